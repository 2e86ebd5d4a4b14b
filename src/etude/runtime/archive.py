"""Reading a bundle as what it is: data from a stranger.

A bundle is a zip file or a folder of regular files with plain names, all listed in `bundle.json` with length and
SHA-256. Everything is bounded before it is unpacked, and nothing is ever written to the disk.
"""

from __future__ import annotations

import hashlib
import json
import re
import stat
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from etude.core.bundle_record import BundleRecord
from etude.core.counting import how_many
from etude.core.errors import BundleError, sentence

RECORD_FILE: Final = "bundle.json"
MAX_FILES: Final = 64
"""Files of a bundle."""
MAX_BYTES: Final = 1 << 30
"""Bytes of all files of a bundle together, unpacked (1 GiB)."""
MAX_RECORD_BYTES: Final = 4 << 20
"""Bytes of the record."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}(/[A-Za-z0-9][A-Za-z0-9._-]{0,99}){0,2}")

Reader = Callable[[str, int], bytes]
"""Reads a file of the bundle of at most so many bytes."""


class Archive:
    """The files of a bundle, read into memory and checked against their checksums.

    Attributes:
        record: the bundle's record.
        path: where it lies.

    Raises:
        BundleError: if it is no bundle, holds what a bundle may not hold, or differs from its checksums.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._contents: dict[str, bytes] = {}
        try:
            self._open(path)
        except BundleError:
            raise
        except Exception as error:  # zipfile and its decoders raise nearly anything on a forged file
            raise _refused(path, "a bundle that can be read", str(error)) from error

    def __getitem__(self, name: str) -> bytes:
        """Return the content of a file.

        Raises:
            BundleError: if there is none of this name.
        """
        if name not in self._contents:
            raise _refused(self.path, "a bundle that holds what its record names", f"no {name}")
        return self._contents[name]

    def forget(self, name: str) -> None:
        """Let go of the content of a file, which is not asked for again: a graph lives on in its session."""
        self._contents.pop(name, None)

    def __contains__(self, name: str) -> bool:
        return name in self._contents

    def __iter__(self) -> Iterator[str]:
        return iter(self._contents)

    def _open(self, path: Path) -> None:
        if path.is_dir():
            self._take(_folder_names(path), lambda name, limit: _read_file(path / name, limit))
        elif path.is_file():
            with zipfile.ZipFile(path) as packed:
                self._take(_zip_names(path, packed), lambda name, limit: _read_member(path, packed, name, limit))
        else:
            raise _refused(path, "a bundle: a file or a folder that `etude export` wrote", "nothing there")

    def _take(self, names: list[str], read: Reader) -> None:
        """Read the record, then every file that it lists, and nothing else."""
        if RECORD_FILE not in names:
            raise _refused(self.path, f"a bundle with a {RECORD_FILE}", how_many(len(names), "other file"))
        self.record = _read_record(self.path, read(RECORD_FILE, MAX_RECORD_BYTES))
        listed = set(self.record.files) | {RECORD_FILE}
        if listed != set(names):
            odd = sorted(listed.symmetric_difference(names))
            raise _refused(self.path, "a bundle of just the files that its record lists", odd[0])
        lengths = [entry.bytes for entry in self.record.files.values()]
        if min(lengths, default=0) < 0:  # it would make room for others in the sum
            raise _refused(self.path, "a bundle of files of 0 bytes or more", min(lengths))
        if sum(lengths) > MAX_BYTES:
            raise _refused(self.path, f"a bundle of at most {MAX_BYTES >> 20} MiB", "a larger one")
        for name, entry in self.record.files.items():
            content = read(name, entry.bytes)
            if len(content) != entry.bytes or hashlib.sha256(content).hexdigest() != entry.sha256:
                raise _refused(self.path, "a bundle whose files have their checksums", f"another {name}")
            self._contents[name] = content


def _folder_names(folder: Path) -> list[str]:
    if (folder / "study.json").is_file():
        rule, remedy = "a bundle", f"Make one of it: etude export {folder.name} --to {folder.name}.bundle"
        raise BundleError(sentence("bundle", str(folder), rule, "the folder of a study", remedy))
    names = []
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            raise _refused(folder, "a bundle without links or special files", name)
        if path.is_file():
            names.append(name)
        if len(names) > MAX_FILES:
            break
    return _checked_names(folder, names)


def _zip_names(path: Path, packed: zipfile.ZipFile) -> list[str]:
    """Return the names of the members, after looking at each of them."""
    members = packed.infolist()
    for member in members:
        mode = member.external_attr >> 16
        if stat.S_ISLNK(mode) or (stat.S_IFMT(mode) and not stat.S_ISREG(mode)):
            raise _refused(path, "a bundle without links or special files", member.filename)
        if member.flag_bits & 0x1:
            raise _refused(path, "a bundle that is not encrypted", member.filename)
    names = [member.orig_filename for member in members]
    if len(set(names)) != len(names):
        raise _refused(path, "a bundle that holds each file once", "a name twice")
    return _checked_names(path, names)


def _checked_names(path: Path, names: list[str]) -> list[str]:
    if len(names) > MAX_FILES:
        raise _refused(path, f"a bundle of at most {MAX_FILES} files", len(names))
    for name in names:
        if not _NAME.fullmatch(name):
            raise _refused(path, "a bundle of files with plain relative names", name[:100])
    return names


def _read_file(path: Path, limit: int) -> bytes:
    with path.open("rb") as file:
        return file.read(limit + 1)


def _read_member(path: Path, packed: zipfile.ZipFile, name: str, limit: int) -> bytes:
    """Unpack a member, no more of it than its record says."""
    if packed.getinfo(name).file_size > limit:
        raise _refused(path, f"a bundle whose {name} is at most {limit} bytes", packed.getinfo(name).file_size)
    with packed.open(name) as member:
        return member.read(limit + 1)


def _read_record(path: Path, content: bytes) -> BundleRecord:
    if len(content) > MAX_RECORD_BYTES:
        raise _refused(path, "a bundle with a small record", how_many(len(content), "byte"))
    try:
        raw = json.loads(content)
        written = raw["format"]
        if isinstance(written, int) and written > BundleRecord.FORMAT:
            remedy = "It was written by a later version of Étude: update Étude to read it."
            raise BundleError(sentence(path.name, "format", f"at most {BundleRecord.FORMAT}", written, remedy))
        return BundleRecord.read(raw)
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        found = f"{type(error).__name__}: {error}"[:200]
        raise _refused(path, f"a bundle whose {RECORD_FILE} can be read", found) from error


def _refused(path: Path, rule: str, found: object) -> BundleError:
    if path.suffix in (".yaml", ".yml"):
        remedy = f"It is a study file; once it was run: `etude export {path} --to {path.stem}.bundle`."
        return BundleError(sentence("bundle", path.name, "a bundle", "a study file", remedy))
    return BundleError(sentence("bundle", path.name or str(path), rule, found, "Export it anew with `etude export`."))
