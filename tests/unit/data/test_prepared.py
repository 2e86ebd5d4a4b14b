"""Prepared sets: order, masks, bad pictures, memory on disk, and nothing that hangs on the number of threads."""

import io
import mmap

import numpy as np
import pytest
from PIL import Image

from etude.core.errors import DataError
from etude.core.machine import usable_threads
from etude.data import prepared as module
from etude.data.cache import PreparedCache
from etude.data.items import Items, texts
from etude.data.prepared import available_bytes, prepare_items, take_rows
from etude.data.sources.streets import streets
from etude.pictures.prepare_config import Prepare


def encoded(number, size=(14, 10)):
    buffer = io.BytesIO()
    Image.fromarray(np.full((*size, 3), number, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


class Fake:
    """A source in memory whose picture i is of grey i; some are bad."""

    name, kind, classes, licence, notes = "fakes", "classification", ("a", "b"), "", ()

    def __init__(self, n, bad=()):
        self.items = Items(texts(f"{row}.png" for row in range(n)), (np.arange(n) % 2).astype(np.int32))
        self.bad = set(bad)

    def raw(self, index):
        return b"" if index in self.bad else encoded(index % 256)

    def mask(self, index):
        return None

    def box(self, index):
        return None

    def fingerprint(self):
        return ""


@pytest.mark.parametrize("workers", [None, 1, 5])
def test_pictures_come_in_the_order_that_is_asked_for(workers):
    indices = np.random.default_rng(0).permutation(400)[:300]
    prepared = prepare_items(Fake(400), indices, Prepare(size_px=4), workers=workers)
    assert prepared.pictures_NHWC.shape == (300, 4, 4, 3)
    assert prepared.pictures_NHWC[:, 0, 0, 0].tolist() == (indices % 256).tolist()
    assert prepared.labels_N.tolist() == (indices % 2).tolist()
    assert prepared.labels_N.dtype == np.int64
    assert prepared.indices_N.tolist() == indices.tolist()
    assert prepared.masks_NHW is None
    assert prepared.left_out == ()
    assert len(prepared) == 300


def test_progress_goes_up_to_all():
    seen = []
    prepare_items(
        Fake(300), np.arange(300), Prepare(size_px=4), progress=lambda done, total: seen.append((done, total))
    )
    assert seen[-1] == (300, 300)
    assert seen == sorted(seen)


def test_bad_pictures_stop_with_one_list():
    with pytest.raises(DataError) as caught:
        prepare_items(Fake(100, bad=range(0, 60, 2)), np.arange(100), Prepare(size_px=4))
    said = str(caught.value)
    assert "30 of 100 pictures of fakes cannot be read" in said
    assert "data.unreadable: skip" in said
    assert "0.png" in said
    assert said.count("an empty file") == 20
    assert "and 10 more" in said


@pytest.mark.parametrize("workers", [1, 3])
def test_bad_pictures_are_left_out_and_reported(workers):
    bad = [0, 7, 8, 299]
    order = np.arange(300)[::-1]
    prepared = prepare_items(Fake(300, bad), order, Prepare(size_px=4), workers=workers, unreadable="skip")
    kept = [index for index in order if index not in bad]
    assert prepared.indices_N.tolist() == kept
    assert prepared.pictures_NHWC[:, 2, 2, 1].tolist() == [index % 256 for index in kept]
    assert prepared.labels_N.tolist() == [index % 2 for index in kept]
    assert [name for name, _ in prepared.left_out] == ["299.png", "8.png", "7.png", "0.png"]
    assert all("an empty file" in reason for _, reason in prepared.left_out)


def test_when_all_are_bad_skipping_does_not_help():
    with pytest.raises(DataError, match="3 of 3 pictures") as caught:
        prepare_items(Fake(3, bad=range(3)), np.arange(3), Prepare(size_px=4), unreadable="skip")
    assert "skip" not in str(caught.value)


def test_masks_come_along():
    source = streets(n_train=1, n_test=1, n_frames=3)
    prepared = prepare_items(source, np.array([4, 1]), Prepare(size_px=(48, 64)))
    assert prepared.masks_NHW.shape == (2, 48, 64)
    assert prepared.labels_N.tolist() == [-1, -1]
    assert np.array_equal(prepared.masks_NHW[0], source.mask(4)[1::2, 1::2])
    same = prepare_items(source, np.array([1]), Prepare(size_px=(96, 128)))
    assert np.array_equal(same.pictures_NHWC[0], source.raw(1))
    assert np.array_equal(same.masks_NHW[0], source.mask(1))


def test_a_set_that_is_too_large_for_the_memory_goes_to_the_disk(monkeypatch, tmp_path):
    monkeypatch.setenv("ETUDE_CACHE", str(tmp_path))
    expected = prepare_items(Fake(50, bad=[3]), np.arange(50), Prepare(size_px=8), unreadable="skip")
    monkeypatch.setattr(module, "available_bytes", lambda: 100)
    PreparedCache().set_limit(0)  # no room for it there
    prepared = prepare_items(Fake(50, bad=[3]), np.arange(50), Prepare(size_px=8), unreadable="skip")
    assert np.array_equal(prepared.pictures_NHWC, expected.pictures_NHWC)
    base = prepared.pictures_NHWC
    while isinstance(base, np.ndarray):
        base = base.base
    assert type(getattr(base, "obj", base)).__name__ == "mmap"
    assert [path.name for path in (tmp_path / "prepared").iterdir() if not path.name.startswith(".")] == ["limit.json"]
    prepared.pictures_NHWC[0] = 9  # a loader may write


def test_parts_of_a_set_that_is_too_large_for_the_memory_go_to_the_disk_too(monkeypatch):
    source = Fake(300)
    made = prepare_items(source, np.arange(300), Prepare(size_px=8))
    chosen = np.random.default_rng(0).permutation(300)[:170]
    in_memory = take_rows(made, chosen)
    monkeypatch.setattr(module, "available_bytes", lambda: 1000)
    on_disk = take_rows(made, chosen)
    assert isinstance(on_disk.pictures_NHWC.base.base, mmap.mmap | memoryview)
    for name in ("pictures_NHWC", "labels_N", "indices_N"):
        np.testing.assert_array_equal(getattr(on_disk, name), getattr(in_memory, name))
    np.testing.assert_array_equal(on_disk.pictures_NHWC[:, 0, 0, 0], chosen % 256)


def test_boxes_that_the_source_does_not_give_are_an_error():
    with pytest.raises(DataError, match="crop_to_box must be false, as fakes gives no boxes"):
        prepare_items(Fake(4), np.arange(4), Prepare(size_px=4, crop_to_box=True))


def test_no_pictures_make_an_empty_set():
    prepared = prepare_items(Fake(4), np.arange(0), Prepare(size_px=4))
    assert prepared.pictures_NHWC.shape == (0, 4, 4, 3)


def test_what_is_free_is_a_sane_number():
    assert 10_000_000 < available_bytes() < 1 << 50
    assert usable_threads() >= 1


def test_a_fault_of_ours_is_not_swallowed():
    class Broken(Fake):
        def raw(self, index):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        prepare_items(Broken(300), np.arange(300), Prepare(size_px=4), workers=2, unreadable="skip")
