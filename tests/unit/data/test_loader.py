"""The loader: the same batches whatever the threads, bounded memory, faults with a name, nothing left behind."""

import io
import threading
import time
import weakref

import numpy as np
import pytest
import torch
from PIL import Image

from etude.core.errors import DataError
from etude.data.augment import AUGMENTATIONS, AugmentConfig
from etude.data.items import Items, texts
from etude.data.loader import ImageLoader
from etude.data.pipeline import Work, run_ahead
from etude.data.prepared import prepare_items
from etude.data.stock import ArrayStock, SourceStock
from etude.pictures.prepare import normalisation
from etude.pictures.prepare_config import Prepare

N = 21
SIZE = Prepare(size_px=(96, 160), normalize="none")
EVERYTHING = AugmentConfig(use=AUGMENTATIONS.names())


class Photos:
    """JPEG photographs in memory, whose masks are the brightness of their blocks."""

    name, classes, licence, notes = "photos", tuple("abcde"), "", ()

    def __init__(self, kind="classification", n=N, bad=()):
        self.items = Items(texts(f"street/{row}.jpg" for row in range(n)), (np.arange(n) % 5).astype(np.int32))
        self.kind, self.bad, self.reads, self.wait_s = kind, dict(bad), 0, 0.0

    def blocks(self, index):
        return np.random.default_rng(index).integers(0, 5, (6, 10)).astype(np.uint8)

    def raw(self, index):
        self.reads += 1
        time.sleep(self.wait_s)
        if index in self.bad:
            if isinstance(self.bad[index], Exception):
                raise self.bad[index]
            return self.bad[index]
        picture = np.repeat(np.kron(self.blocks(index) * 50, np.ones((32, 32), np.uint8))[:, :, None], 3, axis=2)
        buffer = io.BytesIO()
        Image.fromarray(picture).save(buffer, "JPEG", quality=95)
        return buffer.getvalue()

    def mask(self, index):
        if self.kind == "classification":
            return None
        return np.kron(self.blocks(index), np.ones((32, 32), np.uint8))

    def box(self, index):
        return None

    def fingerprint(self):
        return "photos"


def make_loader(source=None, *, prepare=SIZE, prepared=False, **options):
    source = Photos() if source is None else source
    indices = np.arange(len(source.items))
    if prepared:
        made = prepare_items(source, indices, prepare)
        stock = ArrayStock(made.pictures_NHWC, made.labels_N, made.masks_NHW, len(source.classes))
    else:
        stock = SourceStock(source, indices, prepare)
    mean, std = normalisation(prepare)
    return ImageLoader(stock, **{"batch": 4, "seed": 1, "mean": mean, "std": std, "shuffle": True, **options})


def tensors(batch):
    return [value for value in (getattr(batch, name) for name in batch.__dataclass_fields__) if value is not None]


def assert_same(batches, others):
    for one, other in zip(batches, others, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(tensors(one), tensors(other), strict=True))


def loader_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("etude-loader")]


@pytest.mark.parametrize("kind", ["classification", "segmentation"])
@pytest.mark.parametrize(("workers", "prefetch"), [(1, 1), (2, 2), (3, 1), (5, 7)])
def test_neither_workers_nor_prefetch_nor_the_cache_change_any_batch(kind, workers, prefetch):
    options = {"augment": EVERYTHING, "workers": 0}
    expected = list(make_loader(Photos(kind), **options))
    assert len(expected) == 6
    made = make_loader(Photos(kind), augment=EVERYTHING, workers=workers, prefetch=prefetch)
    assert_same(list(made), expected)
    made = make_loader(Photos(kind), prepared=True, augment=EVERYTHING, workers=workers, prefetch=prefetch)
    assert_same(list(made), expected)


@pytest.mark.parametrize("prepare", [Prepare(size_px=(256, 512)), Prepare(size_px=16)], ids=["large", "small"])
def test_workers_change_no_bit_of_pictures_of_any_size(prepare):
    options = {"prepare": prepare, "augment": EVERYTHING}
    assert_same(list(make_loader(workers=3, **options)), list(make_loader(workers=0, **options)))


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_goes_on_from_any_batch_as_it_would_have(workers):
    options = {"augment": EVERYTHING, "workers": workers}
    whole = make_loader(**options)
    whole.set_epoch(3)
    batches = list(whole)
    resumed = make_loader(**options)
    resumed.set_epoch(3, start_batch=4)
    assert_same(list(resumed), batches[4:])
    assert len(resumed) == 6
    resumed.set_epoch(2)
    assert not torch.equal(next(iter(resumed)).images_BCHW, batches[0].images_BCHW)


def test_it_is_a_sequence_of_the_epochs_batches():
    loader = make_loader(augment=EVERYTHING, workers=2)
    loader.set_epoch(1)
    batches = list(loader)
    assert_same([loader[3], loader[-1]], [batches[3], batches[5]])
    assert_same(loader[1:4:2], batches[1:4:2])
    assert_same(list(reversed(loader)), batches[::-1])
    with pytest.raises(IndexError):
        loader[6]


def test_every_picture_comes_once_with_its_own_label():
    loader = make_loader(Photos(), workers=2)
    batches = list(loader)
    assert [len(batch) for batch in batches] == [4, 4, 4, 4, 4, 1]
    plain = prepare_items(Photos(), np.arange(N), SIZE)
    by_content = {row.tobytes(): label for row, label in zip(plain.pictures_NHWC, plain.labels_N, strict=True)}
    seen = []
    for batch in batches:
        pixels = (batch.images_BCHW.permute(0, 2, 3, 1) * 255).round().to(torch.uint8).numpy()
        for picture, label in zip(pixels, batch.targets_B.tolist(), strict=True):
            assert by_content[picture.tobytes()] == label
            seen.append(picture.tobytes())
    assert len(set(seen)) == len(seen) == N


@pytest.mark.parametrize("use", [("flip", "shift"), ("flip", "shift", "rotate", "scale", "color")], ids="+".join)
def test_masks_follow_their_pictures(use):
    for batch in make_loader(Photos("segmentation"), augment=AugmentConfig(use=tuple(u for u in use if u != "color"))):
        grey_BHW = batch.images_BCHW.mean(1) * 255 / 50
        inside_BHW = batch.targets_B != 255
        assert inside_BHW.float().mean() > 0.4
        # Away from the blurred borders of the blocks the brightness tells the class.
        agree = (grey_BHW.round() == batch.targets_B)[inside_BHW].float().mean()
        assert agree > 0.9


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("fault", [b"no picture", ValueError("the disk said no")], ids=["damaged", "own error"])
def test_a_fault_names_its_file_comes_in_its_turn_and_ends_the_threads(workers, fault):
    loader = make_loader(Photos(bad={9: fault}), workers=workers, shuffle=False)
    seen = 0
    with pytest.raises(DataError, match=r"street/9\.jpg"):
        for _ in loader:
            seen += 1
    assert seen == 2
    assert loader_threads() == []


def test_a_mask_with_an_unknown_id_names_its_file():
    source = Photos("segmentation")
    source.classes = tuple("abcd")
    with pytest.raises(DataError, match=r"street/\d+\.jpg must be a mask of ids between 0 and 3, .* Got 4"):
        list(make_loader(source, workers=2))


def test_a_label_that_is_no_class_is_refused_at_once():
    source = Photos()
    source.items.labels[5] = -1
    with pytest.raises(DataError, match="Picture 5"):
        make_loader(source)


def test_leaving_an_epoch_early_leaves_no_thread_and_reads_no_more():
    source = Photos()
    source.wait_s = 0.005
    for _ in make_loader(source, workers=3, prefetch=2):
        break
    assert loader_threads() == []
    reads = source.reads
    time.sleep(0.05)
    assert source.reads == reads < N


@pytest.mark.parametrize("prefetch", [1, 3])
def test_no_more_than_the_bounded_number_of_batches_is_read_ahead(prefetch):
    source = Photos()
    batches = iter(make_loader(source, workers=4, prefetch=prefetch, batch=2))
    next(batches)
    time.sleep(0.3)
    assert source.reads <= 2 * (1 + prefetch)
    batches.close()


def test_what_was_used_is_freed():
    class Thing:
        pass

    alive = weakref.WeakSet()

    def work(number):
        thing = Thing()
        alive.add(thing)
        return Work([lambda: None], lambda: thing)

    most = 0
    for _ in run_ahead(map(work, range(50)), workers=2, in_flight=3):
        most = max(most, len(alive))
    assert 1 <= most <= 5


def test_a_batch_that_is_kept_keeps_its_content_and_one_that_is_not_gives_its_memory_to_the_next():
    expected = [batch.images_BCHW.clone() for batch in make_loader(augment=EVERYTHING, workers=0)]
    kept, pictures, places = [], [], set()
    for _ in range(3):
        loader = make_loader(augment=EVERYTHING, workers=2)
        kept += list(loader)
        pictures += [batch.images_BCHW[1:2, :, 3] for batch in loader if len(batch) > 1]
    for number, batch in enumerate(kept):
        assert torch.equal(batch.images_BCHW, expected[number % 6])
    for number, row in enumerate(pictures):
        assert torch.equal(row, expected[number % 5][1:2, :, 3])
    loader = make_loader(Photos(n=40), augment=None, workers=2, prepare=Prepare(size_px=(256, 512)))
    for batch in loader:
        places.add(batch.images_BCHW.data_ptr())
    assert len(loader) == 10
    assert len(places) <= 5


def test_training_keeps_its_threads_while_workers_have_one_each():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for _ in make_loader(workers=2):
            assert torch.get_num_threads() == 2
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("name", ["batch", "prefetch"])
def test_numbers_below_one_are_refused(name):
    with pytest.raises(DataError, match=f"{name} must be 1 or more. Got 0"):
        make_loader(**{name: 0})


def test_a_set_of_no_picture_is_refused():
    with pytest.raises(DataError, match="one picture or more"):
        SourceStock(Photos(), np.arange(0), SIZE)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("kind", ["classification", "segmentation"])
def test_a_gpu_gets_the_same_pictures(kind):
    augment = AugmentConfig(use=("flip", "shift", "rotate", "color", "cutout"))
    on_cpu = list(make_loader(Photos(kind), augment=augment, workers=0))
    for prepared in (False, True):
        on_gpu = list(make_loader(Photos(kind), prepared=prepared, augment=augment, device="cuda"))
        for one, other in zip(on_gpu, on_cpu, strict=True):
            assert one.images_BCHW.device.type == "cuda"
            assert torch.allclose(one.images_BCHW.cpu(), other.images_BCHW, atol=2e-2)
            assert (one.targets_B.cpu() == other.targets_B).float().mean() > 0.999
