"""Putting the parts together into one file, or one folder."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from etude.core.bundle_record import BundleRecord, FileEntry
from etude.core.errors import MistakeError, sentence
from etude.core.files import storage_errors, writing
from etude.pictures.reading import printable
from etude.runtime.archive import MAX_RECORD_BYTES, RECORD_FILE

_DATE = (1980, 1, 1, 0, 0, 0)  # the same content gives the same file


def with_entries(record: BundleRecord, contents: dict[str, bytes]) -> BundleRecord:
    """Return the record with length and checksum of every file."""
    entries = {
        name: FileEntry(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
        for name, content in contents.items()
    }
    return replace(record, files=entries)


def check_place(path: Path, *, as_folder: bool) -> None:
    """Refuse a place that a bundle cannot be written to, before anything is computed.

    What a killed export left of a folder that it was about to replace is put back.

    Args:
        path: the file or folder.
        as_folder: whether a folder is to be written.

    Raises:
        MistakeError: if something that is no bundle is there, or no folder can be.
        StorageError: if the disk is full or protected.
    """
    if not path.name:
        raise MistakeError(sentence("export", "--to", "a file or a folder with a name", str(path)))
    try:
        if as_folder and path.is_symlink():
            remedy = "Give the folder that it leads to."
            raise MistakeError(sentence("export", "--to", "a folder of its own", f"{path}, a link", remedy))
        if as_folder:
            _restore(path)
        _check_replaced(path, as_folder=as_folder)
        nearest = next(place for place in path.absolute().parents if place.exists())
        if not nearest.is_dir():
            raise MistakeError(
                sentence("export", "--to", "a place inside of a folder", str(path), f"{nearest} is none.")
            )
        with storage_errors(path):
            handle, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=nearest)
            os.close(handle)
            Path(name).unlink()
    except OSError as error:  # a name that is too long, a disk that fails
        raise MistakeError(
            sentence("export", "--to", "a place that can be written to", str(path)[:100], str(error)[:200])
        ) from error


def write_bundle(
    path: Path,
    record: BundleRecord,
    contents: dict[str, bytes],
    *,
    as_folder: bool = False,
    check: Callable[[Path], None] = lambda path: None,
) -> None:
    """Write a bundle whole or not at all: a zip file, or a folder.

    Args:
        path: the file or folder.
        record: what the bundle is.
        contents: its files.
        as_folder: whether to write a folder.
        check: opens what was written, before it takes the place of a bundle that is there; what it raises is raised.

    Raises:
        MistakeError: if something that is no bundle is in its place.
        StorageError: if the disk is full or protected.
    """
    everything = {RECORD_FILE: (record.text(indent=1) + "\n").encode(), **contents}
    if as_folder:
        _write_folder(path, everything, check)
        return
    _check_replaced(path, as_folder=False)
    with writing(path) as beside:
        with zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, content in everything.items():
                member = zipfile.ZipInfo(name, _DATE)
                member.external_attr = 0o100644 << 16
                packed.writestr(member, content, zipfile.ZIP_DEFLATED)
        check(beside)


def _write_folder(path: Path, everything: dict[str, bytes], check: Callable[[Path], None]) -> None:
    """Write a folder beside its place, and move it there once it is whole and on the disk."""
    beside, before = _beside(path, "part"), _beside(path, "before")
    with storage_errors(path):
        _restore(path)
        _check_replaced(path, as_folder=True)
        shutil.rmtree(beside, ignore_errors=True)
        try:
            beside.mkdir(parents=True)
            for name, content in everything.items():
                with (beside / name).open("wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
            _sync_folder(beside)
            check(beside)
            if path.exists():
                path.rename(before)
            beside.rename(path)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            _restore(path)
            raise
        shutil.rmtree(before, ignore_errors=True)
        _sync_folder(path.parent)


def _beside(path: Path, ending: str) -> Path:
    """Return the hidden folder beside a bundle that is being written, or replaced."""
    return path.with_name(f".{path.name}.{ending}")


def _restore(path: Path) -> None:
    """Put back the folder that an export was replacing when it was killed; remove it where the new one is there."""
    before = _beside(path, "before")
    if not before.is_dir():
        return
    if path.exists():
        shutil.rmtree(before, ignore_errors=True)
    else:
        before.rename(path)


def _sync_folder(folder: Path) -> None:
    """Bring the names of a folder to the disk, where the system can."""
    with contextlib.suppress(OSError):  # Windows opens no folders
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _check_replaced(path: Path, *, as_folder: bool) -> None:
    """Refuse to replace what is no bundle, or a folder that holds something else beside one.

    Raises:
        MistakeError: if it is such a file or folder.
    """
    if not path.exists():
        return
    if as_folder:
        _check_folder(path)
        return
    if path.is_dir():
        raise MistakeError(sentence("export", "--to", "a file, or given with --folder", str(path)))
    if _files_of(_record_in(path)) is None:
        remedy = "Move it away, or give another name: a file that is no bundle is not replaced."
        raise MistakeError(sentence("export", "--to", "a new file, or one that holds a bundle", str(path), remedy))


def _check_folder(path: Path) -> None:
    record = path / RECORD_FILE
    if not record.is_file():
        raise MistakeError(sentence("export", "--to", "a new folder, or one that holds a bundle", str(path)))
    files = _files_of(record.read_bytes()) or set()
    others = sorted(entry.name for entry in path.iterdir() if entry.name not in files | {RECORD_FILE})
    if others:
        remedy = "Move it away, or give another folder: the one before is replaced whole."
        found = f"{path} with {printable(others[0])}"
        raise MistakeError(sentence("export", "--to", "a folder that holds a bundle and nothing else", found, remedy))


def _record_in(path: Path) -> bytes:
    """Return the record of a bundle in one file; nothing where it is none."""
    try:
        with zipfile.ZipFile(path) as packed, packed.open(RECORD_FILE) as member:
            return member.read(MAX_RECORD_BYTES)
    except Exception:  # zipfile raises nearly anything on a file that is none of its own
        return b""


def _files_of(record: bytes) -> set[str] | None:
    """Return the names of the files that a record lists; none where it is no record of a bundle."""
    try:
        return set(json.loads(record)["files"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
