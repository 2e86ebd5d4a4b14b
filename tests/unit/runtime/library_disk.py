"""What the tests of the photo indexer share: pictures drawn on a disk, an indexing of them, and a library by hand."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from hashlib import sha256
from pathlib import Path

from PIL import Image
from tests.unit.runtime.drawing import plain

from etude.runtime.library.database import Library
from etude.runtime.library.indexing import Summary, index_folder
from etude.runtime.library.rows import Row
from etude.runtime.predictor import Predictor

COLOURS = {"red": (220, 30, 20), "green": (10, 200, 40), "blue": (0, 30, 240)}


def draw(path: Path, colour: tuple[int, int, int], size: tuple[int, int] = (30, 40), **options: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(plain(colour, size)).save(path, **options)
    return path


def run(model: Predictor, disk: Path, path: Path, **options: object) -> tuple[Summary, Library]:
    library = Library(path, create=True)
    return index_folder(model, disk, library, threads=2, **options), library


def state(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    return {
        str(path): (path.stat().st_size, path.stat().st_mtime_ns, path.read_bytes())
        for path in folder.rglob("*")
        if path.is_file()
    }


def make(path: Path, rows: Iterable[Row] = (), folder: Path | None = None) -> Library:
    """Make a library without a model, of which husky and malamute are the classes."""
    library = Library(path, create=True)
    library.set_meta(classes='["husky", "malamute"]', folder=str(folder or path.parent))
    library.write(rows)
    return library


def row(path: str, label: str = "husky", digest: str = "", status: str = "answered") -> Row:
    """Return the row of a file; its digest is one of its own unless another is given."""
    digest = digest or sha256(path.encode()).hexdigest()
    return Row(path, 1, 1, digest, status, "a model", "" if status == "answered" else "broken", label, 0.5)


def kennel(tmp_path: Path, names: Iterable[str] = ("a", "b")) -> Library:
    """Make a library of real pictures of huskies."""
    disk, rows = tmp_path / "disk", []
    for number, name in enumerate(names):
        file = draw(disk / f"{name}.png", (200, 100 + number, 0))
        rows.append(row(f"{name}.png", digest=sha256(file.read_bytes()).hexdigest()))
    return make(tmp_path / "l.sqlite", rows, disk)


def head(path: Path) -> bytes:
    """Return the bytes of the head that say whether a log lies beside the file."""
    return path.read_bytes()[18:20]


def as_before(path: Path) -> None:
    """Leave the head of a library as earlier versions left it: the file says that a log lies beside it, and none does."""
    with closing(sqlite3.connect(path)) as base:
        base.execute("PRAGMA journal_mode=WAL")
    assert head(path) == b"\2\2"
