import threading

import numpy as np
import pytest
import torch

from etude.core.errors import DataError
from etude.data.augment import AugmentConfig
from etude.data.loader import ImageLoader
from etude.data.stock import ArrayStock

BYTES = {"mean": (0.0, 0.0, 0.0), "std": (1 / 255, 1 / 255, 1 / 255)}
N = 23
PICTURES = np.random.default_rng(0).integers(0, 256, (N, 8, 12, 3), dtype=np.uint8)
LABELS = np.arange(N)
EVERYTHING = AugmentConfig(use=("flip", "shift", "color", "noise", "cutout", "mixup", "cutmix"))


def load(pictures, labels, *, masks_NHW=None, n_classes=None, **options):
    return ImageLoader(
        ArrayStock(pictures, labels, masks_NHW, n_classes), **{"batch": 5, "seed": 1, **BYTES, **options}
    )


def make_loader(**options):
    return load(PICTURES, LABELS, **options)


def tensors(batch):
    return [value for value in (getattr(batch, name) for name in batch.__dataclass_fields__) if value is not None]


def assert_same(batches, others):
    assert len(batches) == len(others)
    for one, other in zip(batches, others, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(tensors(one), tensors(other), strict=True))


def test_without_shuffling_the_set_comes_whole_and_in_its_order():
    loader = make_loader()
    batches = list(loader)
    assert [len(batch) for batch in batches] == [5, 5, 5, 5, 3]
    assert len(loader) == 5
    pictures = torch.cat([batch.images_BCHW for batch in batches]).permute(0, 2, 3, 1)
    assert np.array_equal(pictures.numpy(), PICTURES.astype(np.float32))
    assert torch.cat([batch.targets_B for batch in batches]).tolist() == LABELS.tolist()


def test_shuffling_gives_each_epoch_an_order_of_its_own_with_every_picture_once():
    loader = make_loader(shuffle=True)
    orders = []
    for epoch in range(2):
        loader.set_epoch(epoch)
        orders.append([label for batch in loader for label in batch.targets_B.tolist()])
    assert sorted(orders[0]) == sorted(orders[1]) == LABELS.tolist()
    assert orders[0] != orders[1]


@pytest.mark.parametrize("workers", [0, 2])
def test_an_epoch_resumed_in_its_middle_goes_on_as_it_would_have(workers):
    options = {"shuffle": True, "augment": EVERYTHING, "workers": workers}
    whole = make_loader(**options)
    whole.set_epoch(4)
    batches = list(whole)
    resumed = make_loader(**options)
    resumed.set_epoch(4, start_batch=2)
    assert_same(batches[2:], list(resumed))
    assert len(resumed) == 5


def test_making_batches_in_a_thread_changes_nothing():
    options = {"shuffle": True, "augment": EVERYTHING}
    assert_same(list(make_loader(**options)), list(make_loader(**options, workers=1)))


def test_a_fault_in_the_thread_reaches_the_caller():
    loader = make_loader(workers=1)
    loader.stock.read = lambda *arguments: 1 / 0
    with pytest.raises(ZeroDivisionError):
        list(loader)


def test_leaving_a_prefetched_epoch_early_ends_its_thread():
    before = threading.active_count()
    for _ in make_loader(workers=1):
        break
    assert threading.active_count() == before


def test_draws_differ_between_epochs_batches_and_seeds():
    def first_batches(seed, epoch):
        pictures, labels = np.repeat(PICTURES[:1], 10, axis=0), np.zeros(10, np.int64)
        loader = load(pictures, labels, seed=seed, augment=AugmentConfig(use=("noise",)))
        loader.set_epoch(epoch)
        return [batch.images_BCHW for batch in loader]

    seen = [*first_batches(0, 0), *first_batches(0, 1), *first_batches(1, 0)]
    assert not any(torch.equal(a, b) for i, a in enumerate(seen) for b in seen[:i])


@pytest.mark.parametrize(("batch", "sizes"), [(5, [5, 5, 5, 5]), (23, [23]), (40, [23])])
def test_drop_last_drops_a_part_batch_but_never_the_only_one(batch, sizes):
    assert [len(made) for made in make_loader(batch=batch, drop_last=True)] == sizes


def test_masks_are_the_targets_where_given():
    masks = (PICTURES[..., 0] // 64).astype(np.uint8)
    batch = next(iter(make_loader(masks_NHW=masks, augment=AugmentConfig(use=("flip",)), n_classes=4)))
    assert batch.targets_B.dtype == torch.int64
    assert torch.equal(batch.targets_B, (batch.images_BCHW[:, 0].round() // 64).long())


def test_a_read_only_memory_map_is_read_in_place(tmp_path):
    path = tmp_path / "pictures.npy"
    np.save(path, PICTURES)
    mapped = np.load(path, mmap_mode="r")
    loader = load(mapped, LABELS, shuffle=True, augment=EVERYTHING)
    assert_same(list(loader), list(make_loader(shuffle=True, augment=EVERYTHING)))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"targets_N": LABELS[:3]}, "targets_N must be of shape"),
        ({"pictures_NHWC": PICTURES[:0], "targets_N": LABELS[:0]}, "N > 0"),
        ({"pictures_NHWC": PICTURES.astype(float)}, "uint8"),
        ({"masks_NHW": PICTURES[:, :4, :, 0]}, "masks_NHW must be of shape"),
        ({"n_classes": 22}, "target must be between 0 and 21. Got 22. Picture 22"),
        ({"masks_NHW": np.full((N, 8, 12), 7, np.uint8), "n_classes": 7}, "or 255 for void. Got 7. Picture 0"),
    ],
)
def test_a_set_that_does_not_fit_together_is_refused_in_a_sentence(arguments, said):
    given = {"pictures_NHWC": PICTURES, "targets_N": LABELS, **arguments}
    with pytest.raises(DataError) as caught:
        load(given.pop("pictures_NHWC"), given.pop("targets_N"), **given)
    assert said in str(caught.value)


def test_void_is_a_valid_id_of_a_mask():
    masks = np.full((N, 8, 12), 255, np.uint8)
    assert (next(iter(make_loader(masks_NHW=masks, n_classes=2))).targets_B == 255).all()
