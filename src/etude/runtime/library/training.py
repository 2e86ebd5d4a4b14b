"""What was brought into a folder to train on, so that a picture leaves the class that a later correction takes it from.

The list lies in the folder (`.etude.json`). A file is taken away only if it is on the list, holds what it was written
with, and its picture still lies where the library found it: nothing that lies nowhere else is lost.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from etude.core.errors import MistakeError, sentence
from etude.core.files import OWN_LIST, folder_name, storage_errors, write_bytes
from etude.runtime.library.rows import Found, shown

_FORMAT: Final = 1
_WRITE_EVERY_S: Final = 5.0


@dataclass(frozen=True)
class _Entry:
    picture: str
    """SHA-256 of the picture."""
    content: str
    """SHA-256 of the file as it was written: of a HEIC picture that of its JPEG."""


class TrainingFolder:
    """A folder to train on, and the list of what was brought into it.

    Raises:
        MistakeError: if a list lies there that is none.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._kept = _read(folder / OWN_LIST)
        self._files = dict(self._kept)
        self._written = time.monotonic()

    def add(self, file: Path, picture: Found, content: bytes) -> None:
        """Note a file that was made. The list is written now and then, so that little is missing if one is killed."""
        name = file.relative_to(self._folder).as_posix()
        self._files[name] = _Entry(picture.sha256, hashlib.sha256(content).hexdigest())
        if time.monotonic() - self._written > _WRITE_EVERY_S:
            self.write()

    def write(self) -> None:
        """Write the list, where it changed.

        Raises:
            StorageError: if the disk is full or protected.
        """
        if self._files == self._kept:
            return
        files = {name: asdict(entry) for name, entry in self._files.items()}
        text = json.dumps({"format": _FORMAT, "files": files}, indent=1)  # in ASCII: names are of any bytes
        write_bytes(self._folder / OWN_LIST, text.encode() + b"\n")
        self._kept, self._written = dict(self._files), time.monotonic()

    def leave(self, shows: Callable[[str], Sequence[Found]]) -> tuple[list[Path], list[Path]]:
        """Take away the files of pictures that show another class now, or none.

        Args:
            shows: what is known now of the pictures of a content; nothing where it is not known.

        Returns:
            The files that were taken away, and those that stay though their class is another one: they were changed, or
            the picture lies nowhere else.

        Raises:
            StorageError: if one cannot be removed.
        """
        removed, kept = [], []
        for name, entry in list(self._files.items()):
            file, found = self._folder / name, shows(entry.picture)
            folder = PurePosixPath(name).parts[0]
            if not found or any(not picture.none and folder_name(picture.label) == folder for picture in found):
                continue
            if os.path.lexists(file):
                is_ours = _digest(file) == entry.content
                elsewhere = (picture.file for picture in found if not _is_same(picture.file, file))
                if not (is_ours and any(_digest(other) == entry.picture for other in elsewhere)):
                    kept.append(file)
                    continue
                _remove(file)
                removed.append(file)
            del self._files[name]
        return removed, kept


def _read(path: Path) -> dict[str, _Entry]:
    """Read a list; of a folder that has none, an empty one.

    Raises:
        MistakeError: if it is none.
    """
    try:
        kept = json.loads(path.read_bytes())
        if kept["format"] != _FORMAT:
            raise ValueError(f"the format {kept['format']!r}")
        files = {name: _Entry(**entry) for name, entry in kept["files"].items()}
        for name, entry in files.items():
            _check(name, entry)
        return files
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        remedy = "Move it away: what was brought before then stays as it is."
        rule = "the list of what `etude search --train` brought there"
        raise MistakeError(sentence("search", shown(path), rule, str(error)[:200], remedy)) from error


def _check(name: str, entry: _Entry) -> None:
    """Refuse a name that leads out of its class, and what is no text."""
    path = PurePosixPath(name)
    is_inside = len(path.parts) == 2 and ".." not in path.parts and not path.is_absolute() and "\\" not in path.parts[0]
    if not is_inside or not all(isinstance(digest, str) for digest in (entry.picture, entry.content)):
        raise ValueError(f"the entry {shown(name)[:100]!r}")


def _digest(path: Path) -> str:
    """Return the SHA-256 of a regular file; empty for what is none, or cannot be read."""
    with contextlib.suppress(OSError):
        if path.is_file() and not path.is_symlink():
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").hexdigest()
    return ""


def _is_same(one: Path, other: Path) -> bool:
    """Whether two names are of one file, as they are once a folder to train on is indexed itself."""
    with contextlib.suppress(OSError):
        return one.samefile(other)
    return False


def _remove(file: Path) -> None:
    """Remove a file, and the folder of its class where it was the last."""
    with storage_errors(file):
        file.unlink()
    with contextlib.suppress(OSError):
        file.parent.rmdir()
