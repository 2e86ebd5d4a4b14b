"""Putting the parts together into one file, or one folder."""

from __future__ import annotations

import hashlib
import json
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from etude.core.bundle_record import BundleRecord, FileEntry
from etude.core.errors import MistakeError, sentence
from etude.core.files import storage_errors, writing
from etude.pictures.reading import printable
from etude.runtime.archive import RECORD_FILE

_DATE = (1980, 1, 1, 0, 0, 0)  # the same content gives the same file


def with_entries(record: BundleRecord, contents: dict[str, bytes]) -> BundleRecord:
    """Return the record with length and checksum of every file."""
    entries = {
        name: FileEntry(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
        for name, content in contents.items()
    }
    return replace(record, files=entries)


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
        MistakeError: if something that is no bundle is in the place of the folder.
        StorageError: if the disk is full or protected.
    """
    everything = {RECORD_FILE: (record.text(indent=1) + "\n").encode(), **contents}
    if as_folder:
        _write_folder(path, everything, check)
        return
    if path.is_dir():
        raise MistakeError(sentence("export", "--to", "a file, or given with --folder", str(path)))
    with writing(path) as beside:
        with zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, content in everything.items():
                member = zipfile.ZipInfo(name, _DATE)
                member.external_attr = 0o100644 << 16
                packed.writestr(member, content, zipfile.ZIP_DEFLATED)
        check(beside)


def _write_folder(path: Path, everything: dict[str, bytes], check: Callable[[Path], None]) -> None:
    if path.exists():
        _check_replaced(path)
    beside, before = (path.with_name(f".{path.name}.{ending}") for ending in ("part", "before"))
    with storage_errors(path):
        for left in (beside, before):
            shutil.rmtree(left, ignore_errors=True)
        beside.mkdir(parents=True)
        for name, content in everything.items():
            (beside / name).write_bytes(content)
        try:
            check(beside)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise
        if path.exists():
            path.rename(before)
        beside.rename(path)
        shutil.rmtree(before, ignore_errors=True)


def _check_replaced(path: Path) -> None:
    """Refuse to replace a folder that is no bundle, or that holds something else beside one.

    Raises:
        MistakeError: if it is such a folder.
    """
    record = path / RECORD_FILE
    if not record.is_file():
        raise MistakeError(sentence("export", "--to", "a new folder, or one that holds a bundle", str(path)))
    try:
        files = set(json.loads(record.read_text("utf-8"))["files"])
    except (ValueError, KeyError, TypeError):
        files = set()
    others = sorted(entry.name for entry in path.iterdir() if entry.name not in files | {RECORD_FILE})
    if others:
        remedy = "Move it away, or give another folder: the one before is replaced whole."
        found = f"{path} with {printable(others[0])}"
        raise MistakeError(sentence("export", "--to", "a folder that holds a bundle and nothing else", found, remedy))
