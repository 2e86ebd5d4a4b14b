"""Putting the parts together into one file, or one folder."""

from __future__ import annotations

import hashlib
import shutil
import zipfile
from dataclasses import replace
from pathlib import Path

from etude.core.bundle_record import BundleRecord, FileEntry
from etude.core.errors import MistakeError, sentence
from etude.core.files import storage_errors, writing
from etude.runtime.archive import RECORD_FILE

_DATE = (1980, 1, 1, 0, 0, 0)  # the same content gives the same file


def with_entries(record: BundleRecord, contents: dict[str, bytes]) -> BundleRecord:
    """Return the record with length and checksum of every file."""
    entries = {
        name: FileEntry(sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
        for name, content in contents.items()
    }
    return replace(record, files=entries)


def write_bundle(path: Path, record: BundleRecord, contents: dict[str, bytes], *, as_folder: bool = False) -> None:
    """Write a bundle whole or not at all: a zip file, or a folder.

    Raises:
        MistakeError: if something that is no bundle is in the place of the folder.
        StorageError: if the disk is full or protected.
    """
    everything = {RECORD_FILE: (record.text(indent=1) + "\n").encode(), **contents}
    if as_folder:
        _write_folder(path, everything)
        return
    if path.is_dir():
        raise MistakeError(sentence("export", "--to", "a file, or given with --folder", str(path)))
    with writing(path) as beside, zipfile.ZipFile(beside, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in everything.items():
            member = zipfile.ZipInfo(name, _DATE)
            member.external_attr = 0o100644 << 16
            packed.writestr(member, content, zipfile.ZIP_DEFLATED)


def _write_folder(path: Path, everything: dict[str, bytes]) -> None:
    if path.exists() and not (path / RECORD_FILE).is_file():
        raise MistakeError(sentence("export", "--to", "a new folder, or one that holds a bundle", str(path)))
    beside = path.with_name(f".{path.name}.part")
    with storage_errors(path):
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        for name, content in everything.items():
            (beside / name).write_bytes(content)
        if path.exists():
            shutil.rmtree(path)
        beside.rename(path)
