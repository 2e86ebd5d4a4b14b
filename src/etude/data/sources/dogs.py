"""Stanford Dogs (Khosla et al. 2011): breeds in folders, with the official lists of parts and the annotated boxes.

`Images/SYNSET-BREED/*.jpg`, `lists/train_list.mat` and `lists/test_list.mat`, `Annotation/SYNSET-BREED/STEM`.
"""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np

from etude.core.counting import how_many
from etude.core.errors import DataError, MissingPartError, sentence
from etude.core.extras import install
from etude.core.words import Part
from etude.data.fingerprint import content_fingerprint
from etude.data.items import Items
from etude.data.sources.folder import FolderSource
from etude.pictures.prepare import Box
from etude.pictures.reading import printable

_LISTS: Final = {"lists/train_list.mat": Part.TRAIN, "lists/test_list.mat": Part.TEST}
_SIDES: Final = ("xmin", "ymin", "xmax", "ymax")
# A pattern instead of an XML parser: four numbers are wanted, and a forged file can do nothing.
_SIDE: Final = re.compile(r"<(xmin|ymin|xmax|ymax)>\s*(\d{1,6})\s*<")
_MOST_BYTES: Final = 1 << 16


def is_dogs(path: Path) -> bool:
    """Whether a folder holds the pictures with the official lists or the boxes."""
    has_more = all((path / name).is_file() for name in _LISTS) or any((path / "Annotation").glob("n*/*"))
    return (path / "Images").is_dir() and has_more


class DogsSource(FolderSource):
    """Stanford Dogs with its official parts and boxes, as far as they are there.

    Args:
        root: the folder of `Images`, and of `lists` and `Annotation` where they were unpacked.
        name: what the source is called.

    Raises:
        DataError: if a list cannot be read.
        MissingPartError: if the lists are there and scipy is not installed.
    """

    licence = "For research, from ImageNet; cite Khosla et al., Stanford Dogs, 2011."

    def __init__(self, root: Path, name: str = "") -> None:
        super().__init__(root, name)
        self._annotations = root / "Annotation"
        if all((root / listed).is_file() for listed in _LISTS):
            self.items = Items(self.items.ids, self.items.labels, self._read_parts(root), self.items.groups)

    def box(self, index: int) -> Box | None:
        """Return the box of the first dog of one picture, in pixels; None without an annotation."""
        text = self._annotation(index).decode("utf-8", "replace")
        sides: dict[str, float] = {}
        for side, number in _SIDE.findall(text):
            sides.setdefault(side, float(number))
        if len(sides) < len(_SIDES):
            return None
        left, top, right, bottom = (sides[side] for side in _SIDES)
        return (left, top, right, bottom)

    def _annotation(self, index: int) -> bytes:
        item = Path(str(self.items.ids[index]))
        try:
            with (self._annotations / item.parent / item.stem).open("rb") as file:
                return file.read(_MOST_BYTES)
        except OSError:
            return b""

    def _read_parts(self, root: Path) -> np.ndarray:
        """Return the part of each picture; those that no list names are left out."""
        part_of = {name: part for listed, part in _LISTS.items() for name in _read_list(root / listed)}
        found = [part_of.get(item, Part.LEFT_OUT) for item in self.items.ids.tolist()]
        n_unnamed = found.count(Part.LEFT_OUT)
        if n_unnamed:
            left_out, them = how_many(n_unnamed, "picture is", "pictures are"), "it" if n_unnamed == 1 else "them"
            self.notes = (*self.notes, f"{left_out} left out, as no official list names {them}.")
        return np.array(found, np.int8)

    @cached_property
    def _fingerprint(self) -> str:
        return content_fingerprint(self.classes, self.items, self.raw, self._annotation)


def _read_list(path: Path) -> list[str]:
    """Read the names of the pictures of one official list."""
    try:
        from scipy.io import loadmat
    except ImportError as error:
        told = "data: scipy must be installed to read the official lists."
        raise MissingPartError(f"{told} {install('train')}") from error
    try:
        rows = loadmat(path, variable_names=["file_list"])["file_list"]
        return [str(np.ravel(row)[0]) for row in np.ravel(rows)]
    except Exception as error:  # scipy raises nearly anything on a damaged file
        rule = "a MATLAB file with the column file_list"
        found = f"{type(error).__name__}: {error}"
        raise DataError(sentence("data", printable(str(path)), rule, found, "Unpack lists.tar again.")) from error
