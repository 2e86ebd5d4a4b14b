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

from etude.core.errors import DataError, sentence
from etude.core.files import storage_errors
from etude.data.download import cache_folder
from etude.data.items import Indices
from etude.data.source import Source
from etude.pictures.prepare import Prepare, prepare_pair, prepare_picture

Pixels = npt.NDArray[np.uint8]
Progress = Callable[[int, int], None]

MEMORY_FRACTION = 0.5
"""A set that would take more than this fraction of the free memory is kept in a temporary file instead."""
_CHUNK = 128
_MOST_SHOWN = 20


@dataclass(frozen=True)
class PreparedSet:
    """Pictures ready to be made into batches.

    Attributes:
        pictures_NHWC: uint8, RGB; in memory, or mapped from a temporary file that goes away with it.
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
) -> PreparedSet:
    """Read and prepare pictures on all cores, straight into the memory where they stay.

    Pillow leaves Python's lock while it decodes and scales, so threads are enough.

    Args:
        source: where the pictures come from.
        indices: positions in the source's items, in the order that is wanted.
        prepare: the size and the fit.
        workers: threads; by default one for each core that this process may use.
        unreadable: `stop` on pictures that cannot be read, or `skip` them; both list them.
        progress: called with (done, all) as pictures are done, from the thread of the caller.

    Returns:
        The set, in the order of `indices`.

    Raises:
        DataError: if pictures cannot be read, and are not to be skipped, or none is left.
        StorageError: if the set is too large for the memory, and the disk is full.
    """
    indices = np.asarray(indices, np.int64)
    if prepare.crop_to_box and all(source.box(int(index)) is None for index in indices):
        remedy = "Set it to false, or give a CSV file with the columns left, top, right, bottom."
        raise DataError(sentence("prepare", "crop_to_box", f"false, as {source.name} gives no boxes", True, remedy))
    shape = (len(indices), prepare.height_px, prepare.width_px)
    has_masks = source.kind == "segmentation"
    free = int(available_bytes() * MEMORY_FRACTION)
    pictures = _allocate((*shape, 3), free)
    masks = _allocate(shape, free - pictures.nbytes) if has_masks else None
    # The order of the source is the order of its files: what lies together is read together.
    order = np.argsort(indices, kind="stable")
    chunks = [order[start : start + _CHUNK] for start in range(0, len(order), _CHUNK)]
    fill = partial(_fill, source, indices, prepare, pictures, masks)
    bad: dict[int, str] = {}
    done = 0
    for chunk, failed in zip(chunks, _on_threads(fill, chunks, workers or cores()), strict=True):
        bad.update(failed)
        done += len(chunk)
        if progress is not None:
            progress(done, len(indices))
    left_out = tuple((str(source.items.ids[indices[row]]), bad[row]) for row in sorted(bad))
    if bad and (unreadable == "stop" or len(bad) == len(indices)):
        raise DataError(_unreadable(source.name, left_out, len(indices)))
    kept = np.setdiff1d(np.arange(len(indices)), np.array(sorted(bad), np.int64))
    labels = source.items.labels[indices[kept]].astype(np.int64)
    packed_masks = None if masks is None else _pack(masks, kept)
    return PreparedSet(_pack(pictures, kept), labels, packed_masks, indices[kept], left_out)


def cores() -> int:
    """Return how many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # macOS and Windows do not say
        return os.cpu_count() or 1


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
        index = int(indices[row])
        name = str(source.items.ids[index])
        box = source.box(index) if prepare.crop_to_box else None
        try:
            raw = source.raw(index)
            if masks is None:
                pictures[row] = prepare_picture(raw, prepare, box=box, name=name)
            else:
                pictures[row], masks[row] = prepare_pair(raw, _mask(source, index), prepare, box=box, name=name)
        except DataError as error:
            bad[row] = str(error)
    return bad


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
    return f"data: {len(left_out)} of {n_all} pictures of {name} cannot be read. {remedy}\n{shown}{more}"


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
            if hasattr(os, "posix_fallocate"):  # take the space now: a full disk must be an error, not a crash later
                os.posix_fallocate(file.fileno(), 0, n_bytes)
            else:
                file.truncate(n_bytes)
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
