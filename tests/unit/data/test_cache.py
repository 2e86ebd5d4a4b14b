"""The prepared cache: found again, whole or not at all, shared by processes, bounded."""

import io
import json
import multiprocessing
import os
import time

import numpy as np
import pytest
from PIL import Image

from etude.core.errors import DataError, StorageError
from etude.data import prepared as module
from etude.data.cache import PreparedCache, cache_key, read_bytes_size
from etude.data.items import Items, texts
from etude.data.prepared import prepare_items
from etude.pictures.prepare_config import Prepare

SIZE = Prepare(size_px=8)
ENTRY = 30 * 8 * 8 * 3


class Fake:
    """Encoded pictures in memory; counts how often they are read."""

    name, classes, licence, notes = "fakes", ("a", "b"), "", ()

    def __init__(self, n=30, bad=(), content="one", kind="classification"):
        self.items = Items(texts(f"{row}.png" for row in range(n)), (np.arange(n) % 2).astype(np.int32))
        self.bad, self.content, self.kind, self.reads = set(bad), content, kind, 0

    def raw(self, index):
        self.reads += 1
        if index in self.bad:
            return b""
        buffer = io.BytesIO()
        Image.fromarray(np.full((9, 9, 3), index, np.uint8)).save(buffer, "PNG")
        return buffer.getvalue()

    def mask(self, index):
        return np.full((9, 9), index % 2, np.uint8)

    def box(self, index):
        return None

    def fingerprint(self):
        return self.content


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    monkeypatch.setenv("ETUDE_CACHE", str(tmp_path))
    return PreparedCache()


def prepare(source, indices=None, **options):
    indices = np.arange(len(source.items)) if indices is None else indices
    return prepare_items(source, indices, options.pop("prepare", SIZE), **{"keep": True, **options})


@pytest.mark.parametrize("kind", ["classification", "segmentation"])
def test_what_was_prepared_once_is_found_again_unread(kind):
    first = prepare(Fake(kind=kind))
    again = Fake(kind=kind)
    second = prepare(again)
    plain = prepare(Fake(kind=kind), keep=False)
    assert again.reads == 0
    for made in (first, second):
        assert np.array_equal(made.pictures_NHWC, plain.pictures_NHWC)
        assert np.array_equal(made.labels_N, plain.labels_N)
        assert np.array_equal(made.indices_N, plain.indices_N)
        assert (made.masks_NHW is None) == (kind == "classification")
        assert made.masks_NHW is None or np.array_equal(made.masks_NHW, plain.masks_NHW)
        assert not made.pictures_NHWC.flags.writeable


def test_other_content_items_sizes_or_fits_are_other_entries_and_normalisation_is_not(cache):
    prepare(Fake())
    source = Fake()
    prepare(source, prepare=Prepare(size_px=8, normalize="half"))
    assert source.reads == 0
    prepare(Fake(content="two"))
    prepare(Fake(), np.arange(29))
    prepare(Fake(), np.arange(30)[::-1])
    prepare(Fake(), prepare=Prepare(size_px=8, fit="letterbox"))
    prepare(Fake(), prepare=Prepare(size_px=9))
    assert len(cache.entries()) == 6


def test_a_set_that_may_be_large_or_slow_is_kept_without_being_asked(monkeypatch, cache):
    prepare(Fake(), keep=None)
    assert cache.entries() == []
    monkeypatch.setattr(module, "KEPT_FROM", 30)
    prepare(Fake(), keep=None)
    assert len(cache.entries()) == 1
    monkeypatch.setattr(module, "KEPT_FROM", 10**9)
    monkeypatch.setattr(module, "available_bytes", lambda: 100)
    prepare(Fake(content="large"), keep=None)
    assert len(cache.entries()) == 2


def test_pictures_that_were_left_out_are_remembered_and_still_stop():
    made = prepare(Fake(bad=[3, 7]), unreadable="skip")
    again = Fake(bad=[3, 7])
    found = prepare(again, unreadable="skip")
    assert again.reads == 0
    assert found.left_out == made.left_out
    assert [name for name, _ in found.left_out] == ["3.png", "7.png"]
    assert found.pictures_NHWC[:, 0, 0, 0].tolist() == [n for n in range(30) if n not in (3, 7)]
    with pytest.raises(DataError, match=r"3\.png"):
        prepare(Fake(bad=[3, 7]))


def test_a_preparation_that_stops_leaves_nothing(cache):
    with pytest.raises(DataError):
        prepare(Fake(bad=[3]))
    assert [path for path in cache.folder.iterdir() if path.is_dir()] == []


@pytest.mark.parametrize("damage", ["truncated", "no record", "forged record"])
def test_a_damaged_entry_is_made_anew(cache, damage):
    prepare(Fake())
    folder = next(path for path in cache.folder.iterdir() if path.is_dir())
    if damage == "truncated":
        os.truncate(folder / "pictures.bin", 100)
    elif damage == "no record":
        (folder / "entry.json").unlink()
    else:
        (folder / "entry.json").write_text(json.dumps({"shape": [1, 8, 8], "masks": False, "left_out": []}))
    source = Fake()
    assert prepare(source).pictures_NHWC[:, 0, 0, 0].tolist() == list(range(30))
    assert source.reads > 0
    assert len(cache.entries()) == 1


def test_the_entry_unused_for_longest_makes_room(cache):
    prepare(Fake())
    cache.set_limit(2 * cache.entries()[0].n_bytes + ENTRY // 2)
    for age, content in ((30, "one"), (20, "two")):
        prepare(Fake(content=content))
        entry = next(path for path in cache.folder.glob("*/entry.json") if path.stat().st_mtime > time.time() - 10)
        os.utime(entry, (time.time() - age,) * 2)
    prepare(Fake(content="one"))  # used again
    prepare(Fake(content="three"))
    assert [is_kept(cache, content) for content in ("one", "two", "three")] == [True, False, True]
    cache.set_limit(10)
    assert cache.entries() == []


def is_kept(cache, content):
    return cache.open(cache_key(content, np.arange(30), SIZE)) is not None


def test_what_was_removed_stays_readable_where_it_is_in_use(cache):
    made = prepare(Fake())
    assert cache.clear() > ENTRY
    assert made.pictures_NHWC[:, 0, 0, 0].tolist() == list(range(30))
    assert cache.entries() == []


def test_a_set_above_the_limit_is_prepared_without_being_kept(cache, monkeypatch):
    cache.set_limit(100)
    made = prepare(Fake())
    assert made.pictures_NHWC[:, 0, 0, 0].tolist() == list(range(30))
    monkeypatch.setattr(module, "available_bytes", lambda: 100)
    assert np.array_equal(prepare(Fake()).pictures_NHWC, made.pictures_NHWC)
    assert cache.entries() == []


def test_a_cache_that_cannot_be_written_is_no_fault_unless_the_memory_is_too_small(monkeypatch, tmp_path):
    (tmp_path / "prepared").write_text("a file where the folder should be")

    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("pathlib.Path.mkdir", refuse)
    assert len(prepare(Fake())) == 30
    monkeypatch.setattr(module, "available_bytes", lambda: 100)
    with pytest.raises(StorageError, match="ETUDE_CACHE"):
        prepare(Fake())


def _prepare_in_another_process(queue, folder):
    os.environ["ETUDE_CACHE"] = folder
    source = Fake(n=200)
    made = prepare_items(source, np.arange(200), SIZE, keep=True, workers=1)
    queue.put((source.reads, made.pictures_NHWC[:, 0, 0, 0].tolist()))


def test_of_processes_that_need_the_same_set_one_makes_it(tmp_path, cache):
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    others = [context.Process(target=_prepare_in_another_process, args=(queue, str(tmp_path))) for _ in range(3)]
    for other in others:
        other.start()
    results = [queue.get(timeout=60) for _ in others]
    for other in others:
        other.join()
    assert sorted(reads for reads, _ in results) == [0, 0, 200]
    assert all(pictures == list(range(200)) for _, pictures in results)
    assert len(cache.entries()) == 1


def test_what_a_killed_process_left_is_removed_by_the_next(cache):
    key = cache_key("one", np.arange(30), SIZE)
    with cache.alone(key):
        draft = cache.begin(key, (30, 8, 8), has_masks=False)
    assert draft.folder.exists()
    prepare(Fake())
    assert not draft.folder.exists()
    with cache.alone("other"):
        left = cache.begin("other", (30, 8, 8), has_masks=False)
        cache.clear()
        assert left.folder.exists(), "its maker is alive"
    cache.clear()
    assert not left.folder.exists()


@pytest.mark.parametrize(
    ("text", "size"), [("20GB", 20 * 10**9), (" 500 mb", 5 * 10**8), ("7B", 7), ("0.5KB", 500), ("0", 0)]
)
def test_sizes_are_read(text, size):
    assert read_bytes_size(text) == size


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "much", "nan", "inf", "3 apples", "20"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(DataError, match="20GB"):
        read_bytes_size(text)
