"""The prepared cache: pictures at training size, in files that are mapped, kept between runs.

One folder an entry, named by what it was made of (the content of the source, the way of preparing, the items):

    <cache>/prepared/KEY/    pictures.bin  masks.bin  items.npy  entry.json
    <cache>/prepared/.KEY.XXXX/            one that is being made
    <cache>/prepared/.KEY.lock             held by who makes it
    <cache>/prepared/limit.json            the limit, where one was set

An entry is made aside and renamed when it is whole, so that who finds it finds all of it. Reading an entry marks it as
used; room is made by removing those unused for longest. A removed entry stays readable where it is mapped already.

Legend: N pictures, H and W pixels.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import PIL

from etude.core.errors import DataError, sentence
from etude.core.files import locked, storage_errors, write_json
from etude.core.machine import cache_folder
from etude.core.records import fingerprint
from etude.data.items import Indices
from etude.pictures.prepare_config import Prepare

Pixels = npt.NDArray[np.uint8]

DEFAULT_LIMIT_BYTES = 20 * 10**9
"""All prepared pictures together take at most this, unless another limit was set."""
_FORMAT = 2  # 1: ids that name no class passed for void in some layouts
_UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


@dataclass(frozen=True)
class Stored:
    """An entry that was found."""

    pictures_NHWC: Pixels
    """uint8, read-only, mapped."""
    masks_NHW: Pixels | None
    items_N: Indices
    """Positions in the source's items."""
    left_out: tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Entry:
    """What is known of an entry without opening it."""

    key: str
    source: str
    """What the source was called."""
    pictures: int
    height_px: int
    width_px: int
    has_masks: bool
    n_bytes: int
    used_at: float
    """Seconds since 1970."""


@dataclass
class Draft:
    """An entry in the making: arrays to be filled, then kept or dropped."""

    pictures_NHWC: Pixels
    masks_NHW: Pixels | None
    folder: Path


def cache_key(content: str, items_N: Indices, prepare: Prepare) -> str:
    """Return the name of an entry.

    The version of the decoder enters it: another one may round otherwise.

    Args:
        content: the fingerprint of the source.
        items_N: int64 positions in the source's items.
        prepare: the way of preparing; normalisation comes after the cache and does not enter.
    """
    made_of = {
        "format": _FORMAT,
        "content": content,
        "items": fingerprint(np.asarray(items_N, "<i8").tobytes().hex(), 32),
        "prepare": prepare.model_dump(mode="json", exclude={"normalize"}),
        "pillow": PIL.__version__,
    }
    return fingerprint(made_of, 32)


class PreparedCache:
    """The entries in one folder.

    Args:
        folder: by default `prepared` in Étude's cache.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = cache_folder() / "prepared" if folder is None else folder

    @property
    def limit_bytes(self) -> int:
        """How large all entries together may be."""
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            return int(json.loads((self.folder / "limit.json").read_bytes())["bytes"])
        return DEFAULT_LIMIT_BYTES

    def set_limit(self, n_bytes: int) -> None:
        """Set the limit, and remove what is above it, unused for longest first."""
        write_json(self.folder / "limit.json", {"bytes": n_bytes})
        with locked(self.folder / ".lock"):
            self._make_room(0)

    def open(self, key: str) -> Stored | None:
        """Return an entry, and mark it as used; None where there is none, or it is damaged."""
        folder = self.folder / key
        try:
            about = json.loads((folder / "entry.json").read_bytes())
            shape = tuple(about["shape"])
            pictures = _map_file(folder / "pictures.bin", (*shape, 3))
            masks = _map_file(folder / "masks.bin", shape) if about["masks"] else None
            items = np.load(folder / "items.npy")
            if len(items) != shape[0]:
                return None
            left_out = tuple((str(name), str(reason)) for name, reason in about["left_out"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        with contextlib.suppress(OSError):  # a cache that may only be read is a cache all the same
            os.utime(folder / "entry.json")
        return Stored(pictures, masks, items, left_out)

    @contextlib.contextmanager
    def alone(self, key: str) -> Iterator[None]:
        """Keep other processes from making the same entry; they wait, and then find it.

        Raises:
            StorageError: if the folder cannot be written.
        """
        with storage_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            with locked(self.folder / f".{key}.lock"):
                yield

    def begin(self, key: str, shape: tuple[int, int, int], *, has_masks: bool) -> Draft | None:
        """Take the space for a new entry, after making room for it; call it while `alone`.

        Args:
            key: the name of the entry.
            shape: pictures, height and width.
            has_masks: whether there are masks too.

        Returns:
            The draft; None if the entry is larger than the limit.

        Raises:
            StorageError: if the disk is full.
        """
        pixels = int(np.prod(shape, dtype=np.int64))
        needed = pixels * (4 if has_masks else 3)
        for leftover in self.folder.glob(f".{key}.*/"):  # of one that was killed: the lock is ours
            shutil.rmtree(leftover, ignore_errors=True)
        damaged = self.folder / key
        with storage_errors(self.folder), locked(self.folder / ".lock"):
            if damaged.exists():
                self._remove(key)
            if not self._make_room(needed):
                return None
            aside = Path(tempfile.mkdtemp(prefix=f".{key}.", dir=self.folder))
            try:
                pictures = _new_file(aside / "pictures.bin", (*shape, 3))
                masks = _new_file(aside / "masks.bin", shape) if has_masks else None
            except BaseException:
                shutil.rmtree(aside, ignore_errors=True)
                raise
        return Draft(pictures, masks, aside)

    def keep(
        self, key: str, draft: Draft, items_N: Indices, left_out: tuple[tuple[str, str], ...], source: str
    ) -> None:  # fmt: skip
        """Make a filled draft an entry.

        Args:
            key: its name.
            draft: filled; the first `len(items_N)` rows are kept.
            items_N: positions of the pictures in the source's items.
            left_out: (id, reason) of the pictures that could not be read.
            source: what the source is called.

        Raises:
            StorageError: if the disk is full.
        """
        count = len(items_N)
        with storage_errors(self.folder):
            for name, array in (("pictures.bin", draft.pictures_NHWC), ("masks.bin", draft.masks_NHW)):
                if array is not None:
                    _write_through(draft.folder / name, array, count)
            np.save(draft.folder / "items.npy", np.asarray(items_N, np.int64))
            shape = [count, *draft.pictures_NHWC.shape[1:3]]
            about = {
                "format": _FORMAT, "source": source, "shape": shape, "masks": draft.masks_NHW is not None,
                "left_out": left_out,
            }  # fmt: skip
            write_json(draft.folder / "entry.json", about)
            draft.folder.chmod(0o755)
            draft.folder.rename(self.folder / key)

    def drop(self, draft: Draft) -> None:
        """Remove a draft that came to nothing."""
        shutil.rmtree(draft.folder, ignore_errors=True)

    def entries(self) -> list[Entry]:
        """Return the entries, the last used first."""
        found = [self._entry(path.parent) for path in self.folder.glob("*/entry.json")]
        return sorted((entry for entry in found if entry is not None), key=lambda entry: -entry.used_at)

    def clear(self) -> int:
        """Remove every entry, and what killed processes left; return how many bytes were freed.

        Raises:
            StorageError: if the folder cannot be written.
        """
        if not self.folder.is_dir():
            return 0
        with storage_errors(self.folder), locked(self.folder / ".lock"):
            before = self._used_bytes()
            for entry in self.entries():
                self._remove(entry.key)
            for aside in self.folder.glob(".*/"):
                key = aside.name.split(".")[1]
                if _is_free(self.folder / f".{key}.lock"):
                    shutil.rmtree(aside, ignore_errors=True)
            return before - self._used_bytes()

    def _entry(self, folder: Path) -> Entry | None:
        try:
            about = json.loads((folder / "entry.json").read_bytes())
            count, height_px, width_px = about["shape"]
            used_at = (folder / "entry.json").stat().st_mtime
            n_bytes = sum(path.stat().st_size for path in folder.iterdir())
            return Entry(
                folder.name, str(about["source"]), count, height_px, width_px, bool(about["masks"]), n_bytes, used_at
            )  # fmt: skip
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _used_bytes(self) -> int:
        """Return the size of everything, drafts of other processes included."""
        total = 0
        for path in self.folder.rglob("*"):
            with contextlib.suppress(OSError):  # removed meanwhile
                total += path.stat().st_size if path.is_file() else 0
        return total

    def _make_room(self, needed: int) -> bool:
        """Remove entries, unused for longest first, until `needed` more bytes are within the limit."""
        limit = self.limit_bytes
        if needed > limit:
            return False
        excess = self._used_bytes() + needed - limit
        for entry in reversed(self.entries()):
            if excess <= 0:
                break
            self._remove(entry.key)
            excess -= entry.n_bytes
        return True

    def _remove(self, key: str) -> None:
        """Remove an entry at once: who opens it now finds all of it or nothing."""
        gone = self.folder / f".{key}.gone-{os.getpid()}-{time.monotonic_ns()}"
        with contextlib.suppress(FileNotFoundError):
            (self.folder / key).rename(gone)
            shutil.rmtree(gone, ignore_errors=True)


def read_bytes_size(text: str) -> int:
    """Read a size such as '20GB' or '500 MB'; 0 needs no unit.

    Raises:
        DataError: if it is none.

    >>> read_bytes_size("1.5 GB")
    1500000000
    """
    given = text.strip().upper()
    digits = given.rstrip("KMGTB ")
    with contextlib.suppress(ValueError, KeyError, OverflowError):
        unit = given[len(digits) :].strip()
        size = float(digits) * (_UNITS[unit] if unit or float(digits) else 1)
        if size >= 0:
            return int(size)
    raise DataError(sentence("data cache", "limit", "a size such as 20GB or 500MB", text))


def _map_file(path: Path, shape: tuple[int, ...]) -> Pixels:
    """Map a file that must have the size of its shape.

    Raises:
        ValueError: if it has another size.
    """
    if path.stat().st_size != int(np.prod(shape, dtype=np.int64)):
        raise ValueError("of another size")
    with path.open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return np.frombuffer(mapped, np.uint8).reshape(shape)


def _new_file(path: Path, shape: tuple[int, ...]) -> Pixels:
    """Make a file of a shape, its space taken on the disk, and map it."""
    n_bytes = int(np.prod(shape, dtype=np.int64))
    with path.open("wb+") as file:
        take_space(file.fileno(), n_bytes)
        mapped = mmap.mmap(file.fileno(), n_bytes)
    return np.frombuffer(mapped, np.uint8).reshape(shape)


def take_space(descriptor: int, n_bytes: int) -> None:
    """Give a file its size and its space now: a full disk must be an error, not a crash when a page is written."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, n_bytes)
    else:
        os.ftruncate(descriptor, n_bytes)


def _write_through(path: Path, array: Pixels, count: int) -> None:
    """Cut a mapped file to its first `count` rows, and wait until the disk has them."""
    with path.open("rb+") as file:
        if count < len(array):
            file.truncate(count * int(np.prod(array.shape[1:], dtype=np.int64)))
        os.fsync(file.fileno())


def _is_free(lock: Path) -> bool:
    """Whether no process holds a lock."""
    try:
        import fcntl
    except ImportError:
        return True
    try:
        with lock.open("w") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
