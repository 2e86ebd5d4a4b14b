"""Finding the pictures of a folder, at any depth, without following links out of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from etude.pictures.reading import EXTENSIONS

HEIC: Final = frozenset({".heic", ".heif"})


@dataclass(frozen=True)
class File:
    """A file that may be a picture."""

    path: str
    """Relative to the folder, with `/`."""
    size: int
    mtime_ns: int


def find_pictures(folder: Path) -> Iterator[File]:
    """Give every file whose name ends as a picture's, in order; what may not be entered is passed over.

    Hidden files and folders (`.thumbnails`, `@eaDir`) hold copies that other programs made, and are passed over too.
    """
    waiting = [""]
    while waiting:
        inner = waiting.pop()
        try:
            with os.scandir(folder / inner) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except OSError:
            continue
        folders = []
        for entry in found:
            if entry.name.startswith((".", "@")):
                continue
            path = f"{inner}/{entry.name}" if inner else entry.name
            if entry.is_dir(follow_symlinks=False):
                folders.append(path)
            elif os.path.splitext(entry.name)[1].lower() in EXTENSIONS | HEIC and entry.is_file(follow_symlinks=False):  # noqa: PTH122 - names of any bytes
                status = entry.stat(follow_symlinks=False)
                yield File(path, status.st_size, status.st_mtime_ns)
        waiting.extend(reversed(folders))
