"""A prepared set: every picture of a part, read once, at the size that the network takes, in one array.

Legend: N pictures, H and W pixels, C channels.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from etude.core.counting import how_many
from etude.core.errors import DataError, StorageError, sentence
from etude.core.files import storage_errors
from etude.core.machine import cache_folder, usable_threads
from etude.data.cache import PreparedCache, Stored, cache_key, take_space
from etude.data.items import Indices
from etude.data.source import Source
from etude.pictures.prepare import VOID, prepare_pair, prepare_picture, read_mask
from etude.pictures.prepare_config import Prepare

Pixels = npt.NDArray[np.uint8]
Progress = Callable[[int, int], None]

MEMORY_FRACTION = 0.5
"""A set that would take more than this fraction of the free memory is mapped from the prepared cache instead, or, if
that has no room for it, from a temporary file."""
KEPT_FROM = 2000
"""Encoded pictures: from as many on, what was prepared is kept for the next time."""
_CHUNK = 128
_MOST_SHOWN = 20
_MOST_NAMED = 5


@dataclass(frozen=True)
class PreparedSet:
    """Pictures ready to be made into batches.

    Attributes:
        pictures_NHWC: uint8, RGB; in memory, mapped from the prepared cache (then it may only be read), or mapped from
            a temporary file that goes away with it.
        labels_N: int64 positions of classes, -1 where the class is not known.
        masks_NHW: uint8 ids, 255 where there is no class; None where the source has no masks.
        indices_N: int64 positions of the pictures in the source's items.
        left_out: (id, reason) of each picture that could not be read and was left out.
    """

    pictures_NHWC: Pixels
    labels_N: npt.NDArray[np.int64]
    masks_NHW: Pixels | None
    indices_N: Indices
    left_out: tuple[tuple[str, str], ...] = field(default=())

    def __len__(self) -> int:
        return len(self.labels_N)


def prepare_items(
    source: Source,
    indices: Indices,
    prepare: Prepare,
    *,
    workers: int | None = None,
    unreadable: Literal["stop", "skip"] = "stop",
    progress: Progress | None = None,
    keep: bool | None = None,
    pictures_only: bool = False,
) -> PreparedSet:
    """Read and prepare pictures on all cores, straight into the memory or the file where they stay.

    Pillow leaves Python's lock while it decodes and scales, so threads are enough.

    Args:
        source: where the pictures come from.
        indices: positions in the source's items, in the order that is wanted.
        prepare: the size and the fit.
        workers: threads; by default one for each core that this process may use.
        unreadable: `stop` on pictures that cannot be read, or `skip` them; both list them.
        progress: called with (done, all) as pictures are done, from the thread of the caller.
        keep: whether the pictures are kept in the prepared cache for the next time, and taken from there if they are
            in it. By default where it pays: 2,000 encoded pictures or more, or more than the memory should hold.
        pictures_only: whether masks are left alone, good or bad; such a set is not kept.

    Returns:
        The set, in the order of `indices`.

    Raises:
        DataError: if pictures cannot be read, and are not to be skipped, or none is left.
        StorageError: if the set is too large for the memory, and the disk is full.
    """
    indices = np.asarray(indices, np.int64)
    check_boxes(source, indices, prepare)
    shape = (len(indices), prepare.height_px, prepare.width_px)
    has_masks = source.kind == "segmentation" and not pictures_only
    n_bytes = int(np.prod(shape, dtype=np.int64)) * (4 if has_masks else 3)
    free = int(available_bytes() * MEMORY_FRACTION)
    fill = partial(_fill_all, source, indices, prepare, workers=workers or usable_threads(), progress=progress)
    keep = False if pictures_only else keep
    if keep or (keep is None and (n_bytes > free or _is_slow(source, indices))):
        kept = _prepare_kept(source, indices, prepare, fill, unreadable, must_keep=n_bytes > free)
        if kept is not None:
            return kept
    pictures = _allocate((*shape, 3), free)
    masks = _allocate(shape, free - pictures.nbytes) if has_masks else None
    left_out, rows = _sort_out(source, indices, fill(pictures, masks), unreadable)
    labels = source.items.labels[indices[rows]].astype(np.int64)
    packed_masks = None if masks is None else _pack(masks, rows)
    return PreparedSet(_pack(pictures, rows), labels, packed_masks, indices[rows], left_out)


def take_rows(made: PreparedSet, chosen: Indices) -> PreparedSet:
    """Return copies of the pictures at some positions of a set: in memory, or in a file if that is too small."""
    free = int(available_bytes() * MEMORY_FRACTION)
    pictures = _copy_rows(made.pictures_NHWC, chosen, free)
    masks = None if made.masks_NHW is None else _copy_rows(made.masks_NHW, chosen, free - pictures.nbytes)
    return PreparedSet(pictures, made.labels_N[chosen], masks, made.indices_N[chosen], made.left_out)


def note_left_out(left_out: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    """Say which pictures `data.unreadable: skip` left out, for the record of a run; nothing where there are none.

    >>> note_left_out((("a.png", "a.png: 0 bytes"),))
    ('1 picture that cannot be used is left out (data.unreadable: skip): a.png.',)
    """
    if not left_out:
        return ()
    told = how_many(len(left_out), "picture that cannot be used is", "pictures that cannot be used are")
    named = ", ".join(name for name, _ in left_out[:_MOST_NAMED])
    more = ", …" if len(left_out) > _MOST_NAMED else ""
    return (f"{told} left out (data.unreadable: skip): {named}{more}.",)


def new_pixels(shape: tuple[int, ...]) -> Pixels:
    """Return room for pictures or masks: in memory, or in a file that goes away with it where that is too small."""
    return _allocate(shape, int(available_bytes() * MEMORY_FRACTION))


def _copy_rows(array: Pixels, chosen: Indices, free: int) -> Pixels:
    """Copy rows a chunk at a time, so that a mapped file is never in memory as a whole."""
    rows = _allocate((len(chosen), *array.shape[1:]), free)
    for start in range(0, len(chosen), _CHUNK):
        rows[start : start + _CHUNK] = array[chosen[start : start + _CHUNK]]
    return rows


def _prepare_kept(
    source: Source,
    indices: Indices,
    prepare: Prepare,
    fill: Callable[[Pixels, Pixels | None], dict[int, str]],
    unreadable: Literal["stop", "skip"],
    *,
    must_keep: bool,
) -> PreparedSet | None:
    """Take a set from the prepared cache, or put it there; None where the cache has no room or cannot be written."""
    cache = PreparedCache()
    key = cache_key(source.fingerprint(), indices, prepare)
    stored = cache.open(key)
    if stored is None:
        try:
            with cache.alone(key):
                stored = cache.open(key) or _make_entry(cache, key, source, indices, prepare, fill, unreadable)
        except StorageError as error:
            if must_keep:
                remedy = "Free some space (`etude data cache clear`), or set ETUDE_CACHE to a folder on a larger disk."
                raise StorageError(f"{cache.folder}: the prepared pictures cannot be kept. {remedy}") from error
    if stored is None:
        return None
    if stored.left_out and unreadable == "stop":
        raise DataError(_unreadable(source.name, stored.left_out, len(indices)))
    labels = source.items.labels[stored.items_N].astype(np.int64)
    return PreparedSet(stored.pictures_NHWC, labels, stored.masks_NHW, stored.items_N, stored.left_out)


def _make_entry(
    cache: PreparedCache,
    key: str,
    source: Source,
    indices: Indices,
    prepare: Prepare,
    fill: Callable[[Pixels, Pixels | None], dict[int, str]],
    unreadable: Literal["stop", "skip"],
) -> Stored | None:
    """Prepare a set into the cache; None where the cache has no room for it."""
    shape = (len(indices), prepare.height_px, prepare.width_px)
    draft = cache.begin(key, shape, has_masks=source.kind == "segmentation")
    if draft is None:
        return None
    try:
        left_out, rows = _sort_out(source, indices, fill(draft.pictures_NHWC, draft.masks_NHW), unreadable)
        for array in (draft.pictures_NHWC, draft.masks_NHW):
            if array is not None:
                _pack(array, rows)
        cache.keep(key, draft, indices[rows], left_out, source.name)
    except BaseException:
        cache.drop(draft)
        raise
    return cache.open(key)


def _is_slow(source: Source, indices: Indices) -> bool:
    """Whether preparing takes so long that it should not be done twice."""
    if len(indices) < KEPT_FROM:
        return False
    try:
        return isinstance(source.raw(int(indices[0])), bytes)
    except DataError:  # it will be named with the others
        return True


def _fill_all(
    source: Source,
    indices: Indices,
    prepare: Prepare,
    pictures: Pixels,
    masks: Pixels | None,
    *,
    workers: int,
    progress: Progress | None,
) -> dict[int, str]:
    """Prepare all pictures; return what is wrong with those that cannot be, by their row."""
    # The order of the source is the order of its files: what lies together is read together.
    order = np.argsort(indices, kind="stable")
    chunks = [order[start : start + _CHUNK] for start in range(0, len(order), _CHUNK)]
    fill = partial(_fill, source, indices, prepare, pictures, masks)
    bad: dict[int, str] = {}
    done = 0
    for chunk, failed in zip(chunks, _on_threads(fill, chunks, workers), strict=True):
        bad.update(failed)
        done += len(chunk)
        if progress is not None:
            progress(done, len(indices))
    return bad


def _sort_out(
    source: Source, indices: Indices, bad: dict[int, str], unreadable: Literal["stop", "skip"]
) -> tuple[tuple[tuple[str, str], ...], Indices]:
    """Return (id, reason) of the pictures that are left out, and the rows that are kept.

    Raises:
        DataError: if bad pictures are not to be skipped, or there are no others.
    """
    left_out = tuple((str(source.items.ids[indices[row]]), bad[row]) for row in sorted(bad))
    if bad and (unreadable == "stop" or len(bad) == len(indices)):
        raise DataError(_unreadable(source.name, left_out, len(indices)))
    return left_out, np.setdiff1d(np.arange(len(indices)), np.array(sorted(bad), np.int64))


def available_bytes() -> int:
    """Return how much memory can still be taken, in bytes, within the limits of a container."""
    found = [_free_of_machine(), *_free_of_container()]
    return max(0, min(found))


def _on_threads(
    fill: Callable[[npt.NDArray[np.int64]], dict[int, str]], chunks: list[npt.NDArray[np.int64]], workers: int
) -> Iterator[dict[int, str]]:
    """Run `fill` over the chunks; when the caller stops, what has not begun is dropped."""
    if workers == 1:
        yield from map(fill, chunks)
        return
    pool = ThreadPoolExecutor(workers, thread_name_prefix="etude-prepare")
    try:
        yield from pool.map(fill, chunks)
    finally:
        pool.shutdown(cancel_futures=True)


def _fill(
    source: Source,
    indices: Indices,
    prepare: Prepare,
    pictures: Pixels,
    masks: Pixels | None,
    rows: npt.NDArray[np.int64],
) -> dict[int, str]:
    """Prepare some rows; return what is wrong with those that cannot be."""
    bad: dict[int, str] = {}
    for row in rows.tolist():
        try:
            pictures[row], mask = read_item(source, int(indices[row]), prepare, with_mask=masks is not None)
        except DataError as error:
            if error.cause == "memory":  # no fault of the picture
                raise
            bad[row] = str(error)
            continue
        if masks is not None and mask is not None:
            masks[row] = mask
    return bad


def read_item(source: Source, index: int, prepare: Prepare, *, with_mask: bool = True) -> tuple[Pixels, Pixels | None]:
    """Read and prepare one picture, with its mask where the source has masks and it is wanted.

    Returns:
        uint8 arrays (H, W, 3) and (H, W).

    Raises:
        DataError: naming the picture, if it or its mask cannot be read.
    """
    name = str(source.items.ids[index])
    box = source.box(index) if prepare.crop_to_box else None
    raw = source.raw(index)
    if source.kind != "segmentation" or not with_mask:
        return prepare_picture(raw, prepare, box=box, name=name), None
    whole = read_mask(_mask(source, index), name=f"{name} (mask)")
    check_ids(whole, len(source.classes), name)
    # It is looked at whole: which pictures a study has must not depend on a candidate's size or crop.
    if int(whole.min()) == VOID:
        remedy = "There is nothing to learn from it: take it away."
        raise DataError(sentence("data", name, "a mask with a pixel of a class", "void alone", remedy))
    return prepare_pair(raw, whole, prepare, box=box, name=name)


def check_ids(mask: Pixels, n_classes: int, name: str) -> None:
    """Refuse a mask with an id that is neither a class nor void; it is looked at whole, as scores are counted there.

    Raises:
        DataError: naming the picture.
    """
    # One more turns void into 0, so that the largest is that of an id: many times faster than counting them all.
    largest = int((mask + np.uint8(1)).max()) - 1
    if largest >= n_classes:
        rule = f"a mask of ids between 0 and {n_classes - 1}, or {VOID} for void"
        raise DataError(sentence("data", name, rule, largest, "Correct its mask."))


def check_boxes(source: Source, indices: Indices, prepare: Prepare) -> None:
    """Refuse to crop to boxes where there are none.

    Raises:
        DataError: if no picture has a box, and `prepare` wants one.
    """
    if prepare.crop_to_box and all(source.box(int(index)) is None for index in indices):
        remedy = "Set it to false, or give a CSV file with the columns left, top, right, bottom."
        raise DataError(sentence("prepare", "crop_to_box", f"false, as {source.name} gives no boxes", True, remedy)).at(
            "prepare", "crop_to_box"
        )


def _mask(source: Source, index: int) -> bytes | Pixels:
    """Return the mask of one picture."""
    mask = source.mask(index)
    if mask is None:
        item = str(source.items.ids[index])
        raise DataError(sentence("data", item, "a picture with a mask", None, "Add its mask, or take it away."))
    return mask


def _unreadable(name: str, left_out: tuple[tuple[str, str], ...], n_all: int) -> str:
    """List the pictures that cannot be read, in one sentence."""
    shown = "\n".join(f"  {reason}" for _, reason in left_out[:_MOST_SHOWN])
    more = f"\n  … and {len(left_out) - _MOST_SHOWN} more" if len(left_out) > _MOST_SHOWN else ""
    remedy = "Replace them or take them away"
    remedy += ", or set data.unreadable: skip to leave them out." if len(left_out) < n_all else "."
    return f"data: {len(left_out):,} of {how_many(n_all, 'picture')} of {name} cannot be read. {remedy}\n{shown}{more}"


def _pack(array: Pixels, kept: Indices) -> Pixels:
    """Close the gaps that pictures left, in place, so that the set never takes twice its memory."""
    if len(kept) < len(array):
        for row, from_row in enumerate(kept.tolist()):
            if row != from_row:
                array[row] = array[from_row]
    return array[: len(kept)]


def _allocate(shape: tuple[int, ...], free: int) -> Pixels:
    """Return an array in memory, or, if it is larger than `free` bytes, in a temporary file."""
    n_bytes = int(np.prod(shape, dtype=np.int64))
    return np.empty(shape, np.uint8) if n_bytes <= free else _on_disk(shape, n_bytes)


def _on_disk(shape: tuple[int, ...], n_bytes: int) -> Pixels:
    """Return an array in a file that has no name, and so goes away with the array, even after a kill."""
    folder = cache_folder() / "prepared"
    with storage_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            take_space(file.fileno(), n_bytes)
            mapped = mmap.mmap(file.fileno(), n_bytes)
    return np.frombuffer(mapped, np.uint8).reshape(shape)


def _free_of_machine() -> int:
    """Return what the machine has left."""
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable"))
    with contextlib.suppress(ValueError, OSError, AttributeError):
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    return 4 << 30


def _free_of_container() -> list[int]:
    """Return what the limit of a container leaves, if there is one."""
    with contextlib.suppress(OSError, ValueError):
        folder = Path("/sys/fs/cgroup")
        limit, used = ((folder / name).read_text().strip() for name in ("memory.max", "memory.current"))
        if limit != "max":
            cached = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            return [int(limit) - int(used) + int(cached.get("inactive_file", 0))]
    return []
