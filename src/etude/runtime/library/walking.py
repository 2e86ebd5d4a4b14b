"""Finding the pictures of a folder, at any depth, without following links out of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from etude.core.errors import sentence
from etude.pictures.reading import EXTENSIONS, printable

HEIC: Final = frozenset({".heic", ".heif"})


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


def find_pictures(folder: Path) -> Iterator[File | Shut]:
    """Give every file whose name ends as a picture's, in order, and what may not be looked at.

    Hidden files and folders (`.thumbnails`, `@eaDir`) hold copies that other programs made, and are passed over too.
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
            if entry.name.startswith((".", "@")):
                continue
            path = f"{inner}/{entry.name}" if inner else entry.name
            try:
                is_folder, status = entry.is_dir(follow_symlinks=False), _status(entry)
            except FileNotFoundError:
                continue
            except OSError as error:
                yield _shut(path, error)
                continue
            if is_folder:
                folders.append(path)
            elif status is not None:
                yield File(path, status.st_size, status.st_mtime_ns)
        waiting.extend(reversed(folders))


def _status(entry: os.DirEntry[str]) -> os.stat_result | None:
    """Return size and time of a file whose name ends as a picture's; none of anything else."""
    if os.path.splitext(entry.name)[1].lower() not in EXTENSIONS | HEIC or not entry.is_file(follow_symlinks=False):  # noqa: PTH122 - names of any bytes
        return None
    return entry.stat(follow_symlinks=False)


def _shut(path: str, error: OSError) -> Shut:
    reason = os.strerror(error.errno) if error.errno else str(error)
    rule, remedy = "a folder or file that may be looked at", "Mend its permissions or its disk, and index again."
    return Shut(path, sentence("index", printable(path) or "FOLDER", rule, reason, remedy))
