"""Finding the pictures of a folder, at any depth, without following links out of it, and telling what is no picture."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from etude.core.errors import sentence
from etude.pictures.reading import EXTENSIONS, printable
from etude.runtime.heic import HEIC

_STORES: Final = frozenset(
    {"@eadir", "@__thumb", "@tmp", "@recycle", "@recently-snapshot", "#recycle", "#snapshot", "$recycle.bin"}
)
"""Folders of storage systems, in lower case."""
_FOLDER: Final = "folder"
_LONGEST_ENDING: Final = 12


@dataclass(frozen=True)
class File:
    """A file that may be a picture."""

    path: str
    """Relative to the folder, with `/`."""
    size: int
    mtime_ns: int


@dataclass(frozen=True)
class Shut:
    """A folder, or a file, that the system does not let us look at."""

    path: str
    """Relative to the folder, with `/`; empty for the folder itself."""
    reason: str
    """What the system says, as a sentence."""


@dataclass(frozen=True)
class Passed:
    """A file or folder that is passed over."""

    kind: str
    """Its ending in lower case, such as `.cr2`, or what else keeps it from being taken for a picture."""


def find_pictures(folder: Path) -> Iterator[File | Shut | Passed]:
    """Give every file whose name ends as a picture's, in order, what may not be looked at, and what is passed over.

    Hidden files and folders, and those in which storage systems keep their thumbnails and waste (`@eaDir`), hold copies
    that other programs made; links lead to what lies elsewhere.
    """
    waiting = [""]
    while waiting:
        inner = waiting.pop()
        try:
            with os.scandir(folder / inner) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            continue  # it went while we looked
        except OSError as error:
            yield _shut(inner, error)
            continue
        folders = []
        for entry in found:
            path = f"{inner}/{entry.name}" if inner else entry.name
            try:
                kind = _kind(entry)
                if kind is None:
                    status = entry.stat(follow_symlinks=False)
                    yield File(path, status.st_size, status.st_mtime_ns)
            except FileNotFoundError:
                continue
            except OSError as error:
                yield _shut(path, error)
                continue
            if kind == _FOLDER:
                folders.append(path)
            elif kind is not None:
                yield Passed(kind)
        waiting.extend(reversed(folders))


def _kind(entry: os.DirEntry[str]) -> str | None:
    """Return why an entry is no picture: what it is passed over as, or that it is a folder; none for a picture."""
    is_folder = entry.is_dir(follow_symlinks=False)
    if entry.name.startswith("."):
        return "hidden"
    if is_folder:
        return entry.name if entry.name.lower() in _STORES else _FOLDER
    if entry.is_symlink():
        return "link"
    if not entry.is_file(follow_symlinks=False):
        return "special file"
    ending = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122 - names of any bytes
    if ending in EXTENSIONS | HEIC:
        return None
    return printable(ending) if 1 < len(ending) <= _LONGEST_ENDING else "no ending"


def _shut(path: str, error: OSError) -> Shut:
    reason = os.strerror(error.errno) if error.errno else str(error)
    rule, remedy = "a folder or file that may be looked at", "Mend its permissions or its disk, and index again."
    return Shut(path, sentence("index", printable(path) or "FOLDER", rule, reason, remedy))
