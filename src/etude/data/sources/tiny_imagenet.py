"""Tiny ImageNet (Stanford CS231n, from ImageNet): 200 classes of 64 × 64 pictures, in its official layout.

`train/SYNSET/images/*.JPEG`, `val/images/*.JPEG` with `val/val_annotations.txt`, `wnids.txt` and `words.txt`. The
labels of the official test part are not public: its official validation part is the test part of a study.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from etude.core.errors import DataError, sentence
from etude.core.words import Part
from etude.data.fingerprint import content_fingerprint
from etude.data.items import Items, check_classes, texts
from etude.pictures.reading import EXTENSIONS, printable, read_file

if TYPE_CHECKING:
    from etude.data.source import Kind

_VAL: Final = "val/val_annotations.txt"


def is_tiny_imagenet(path: Path) -> bool:
    """Whether a folder holds the official files."""
    return (path / "wnids.txt").is_file() and (path / _VAL).is_file() and (path / "train").is_dir()


class TinyImageNetSource:
    """Tiny ImageNet with its official training and validation parts.

    Args:
        root: the folder of `train`, `val`, `wnids.txt` and `words.txt`.
        name: what the source is called.

    Raises:
        DataError: if a file cannot be read, or an annotation names no class.
    """

    kind: Kind = "classification"
    licence = "For research; from ImageNet (Stanford CS231n)."

    def __init__(self, root: Path, name: str = "") -> None:
        self.name, self._root = name or "tiny-imagenet", root
        synsets = [line.strip() for line in _lines(root / "wnids.txt") if line.strip()]
        self.classes = _class_names(root / "words.txt", synsets)
        numbers = {synset: number for number, synset in enumerate(synsets)}
        train = [
            (f"train/{synset}/images/{picture}", number, Part.TRAIN)
            for synset, number in numbers.items()
            for picture in _pictures(root / "train" / synset / "images")
        ]
        rows = [*train, *_validation(root, numbers)]
        labels = np.array([label for _, label, _ in rows], np.int32)
        check_classes(self.classes, labels, str(root))
        parts = np.array([part for _, _, part in rows], np.int8)
        self.items = Items(texts(path for path, _, _ in rows), labels, parts)
        is_hiding = (root / "test").is_dir()
        self.notes = ("The official test part is left out, as its labels are not public.",) if is_hiding else ()

    def raw(self, index: int) -> bytes:
        """Return the bytes of one file."""
        item = str(self.items.ids[index])
        return read_file(self._root / item, item)

    def mask(self, index: int) -> None:
        """Return None: there are no masks."""

    def box(self, index: int) -> None:
        """Return None: the boxes of this set are not used."""

    def fingerprint(self) -> str:
        """Return the fingerprint of the files and their classes."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        return content_fingerprint(self.classes, self.items, self.raw)


def _validation(root: Path, numbers: dict[str, int]) -> list[tuple[str, int, Part]]:
    """Read which class each validation picture is of."""
    rows = []
    for line, text in enumerate(_lines(root / _VAL), 1):
        words = text.split("\t")
        if not text.strip():
            continue
        if len(words) < 2 or words[1] not in numbers or "/" in words[0]:
            rule = "a file name and a synset of wnids.txt"
            raise DataError(sentence("data", f"{_VAL}, line {line}", rule, text[:80], "Download the set again."))
        rows.append((f"val/images/{words[0]}", numbers[words[1]], Part.VALIDATION))
    return sorted(rows)


def _class_names(path: Path, synsets: list[str]) -> tuple[str, ...]:
    """Return the first word of each synset; the synset itself where two would have the same name."""
    words = dict(line.split("\t", 1) for line in _lines(path) if "\t" in line)
    names = [words.get(synset, synset).split(",")[0].strip() for synset in synsets]
    return tuple(
        name if names.count(name) == 1 else f"{name} ({synset})" for name, synset in zip(names, synsets, strict=True)
    )


def _pictures(folder: Path) -> list[str]:
    """Return the names of the pictures of a class."""
    try:
        return sorted(path.name for path in folder.iterdir() if path.suffix.lower() in EXTENSIONS)
    except OSError as error:
        raise _unreadable(folder, error) from error


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> DataError:
    remedy = "Unpack the whole archive tiny-imagenet-200.zip."
    return DataError(sentence("data", printable(str(path)), "there and readable", str(error), remedy))
