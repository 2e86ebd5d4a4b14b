"""CIFAR-10 and CIFAR-100 in their official binary layout (Krizhevsky 2009, https://www.cs.toronto.edu/~kriz/cifar.html).

A row is one label byte (CIFAR-100: a coarse and a fine one) and 3,072 bytes: 32 × 32 red, then green, then blue.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from etude.core.errors import DataError, sentence
from etude.core.machine import cache_folder
from etude.core.words import Part
from etude.data.download import fetch_archive
from etude.data.fingerprint import content_fingerprint
from etude.data.items import Items, check_classes, texts

if TYPE_CHECKING:
    from etude.data.source import Kind

_SIDE_PX: Final = 32
_PIXEL_BYTES: Final = 3 * _SIDE_PX * _SIDE_PX


@dataclass(frozen=True)
class _Edition:
    """One of the two published sets."""

    folder: str
    url: str
    md5: str
    train: str
    """Pattern of the names of the training files."""
    test: str
    names: str
    """File with a class name a line."""
    label_bytes: int
    """Label bytes a row; the last of them is the class."""


_EDITIONS: Final = {
    "cifar10": _Edition(
        folder="cifar-10-batches-bin",
        url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        md5="c32a1d4ab5d03f1284b67883e8d87530",
        train="data_batch_*.bin",
        test="test_batch.bin",
        names="batches.meta.txt",
        label_bytes=1,
    ),
    "cifar100": _Edition(
        folder="cifar-100-binary",
        url="https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
        md5="03b5dce01913d631647c71ecec9e9cb8",
        train="train.bin",
        test="test.bin",
        names="fine_label_names.txt",
        label_bytes=2,
    ),
}


def is_cifar_folder(path: Path) -> bool:
    """Whether a folder holds one of the two sets, directly or in its official folder."""
    return path.is_dir() and _find(path) is not None


def fetch_cifar(name: str) -> CifarSource:
    """Open a set from the cache, and download it first if it is not there.

    Args:
        name: `cifar10` or `cifar100`.

    Raises:
        DataError: if it is not there and cannot be fetched.
    """
    edition = _EDITIONS[name]
    otherwise = (
        f"Fetch it on a machine with a network, unpack it, and put the folder {edition.folder} into $ETUDE_DATA/{name}."
    )
    folder = fetch_archive(edition.url, edition.md5, cache_folder() / "data" / edition.folder, otherwise=otherwise)
    return CifarSource(folder, name)


class CifarSource:
    """The pictures of a CIFAR set, memory-mapped, with its official parts.

    Args:
        path: the folder of the `.bin` files, or the folder that holds it.
        name: what the source is called.

    Raises:
        DataError: if a file is absent, or its length is not a whole number of rows.
    """

    kind: Kind = "classification"
    licence = "Not stated by its authors; cite Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009."
    notes: tuple[str, ...] = ()

    def __init__(self, path: Path, name: str = "") -> None:
        found = _find(path)
        if found is None:
            remedy = f"Give the folder {' or '.join(edition.folder for edition in _EDITIONS.values())}."
            raise DataError(sentence("data", str(path), "a folder of CIFAR's binary files", "none of them", remedy))
        edition_name, folder = found
        edition = _EDITIONS[edition_name]
        self.name = name or edition_name
        self._label_bytes = edition.label_bytes
        train = [_map(file, edition) for file in sorted(folder.glob(edition.train))]
        test = [_map(file, edition) for file in sorted(folder.glob(edition.test))]
        self._files = [*train, *test]
        self._first_rows = np.cumsum([0] + [len(rows) for rows in self._files])[:-1]
        self.classes = _class_names(folder / edition.names)
        labels = np.concatenate([rows[:, edition.label_bytes - 1] for rows in self._files]).astype(np.int32)
        check_classes(self.classes, labels, str(folder))
        sizes = {part: sum(len(rows) for rows in files) for part, files in ((Part.TRAIN, train), (Part.TEST, test))}
        self.items = Items(
            texts(f"{part.label}/{row:05d}" for part, size in sizes.items() for row in range(size)),
            labels,
            np.repeat(np.array(list(sizes), np.int8), list(sizes.values())),
        )

    def raw(self, index: int) -> npt.NDArray[np.uint8]:
        """Return one picture: uint8 (32, 32, 3)."""
        file = int(np.searchsorted(self._first_rows, index, side="right")) - 1
        row = self._files[file][index - int(self._first_rows[file])]
        planes_CHW = row[self._label_bytes :].reshape(3, _SIDE_PX, _SIDE_PX)
        return np.ascontiguousarray(planes_CHW.transpose(1, 2, 0))

    def mask(self, index: int) -> None:
        """Return None: there are no masks."""

    def box(self, index: int) -> None:
        """Return None: there are no boxes."""

    def fingerprint(self) -> str:
        """Return the fingerprint of the pictures and labels."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        return content_fingerprint(self.classes, self.items, self.raw, workers=1)


def _find(path: Path) -> tuple[str, Path] | None:
    """Return which set a folder holds, and the folder of its files."""
    for name, edition in _EDITIONS.items():
        for folder in (path, path / edition.folder):
            if (folder / edition.test).is_file() and any(folder.glob(edition.train)):
                return name, folder
    return None


def _map(path: Path, edition: _Edition) -> npt.NDArray[np.uint8]:
    """Map the rows of one file into memory: uint8 (rows, label bytes + 3072)."""
    row_bytes = edition.label_bytes + _PIXEL_BYTES
    length = path.stat().st_size
    if length == 0 or length % row_bytes:
        remedy = "Download it again: it is cut short, or of another edition."
        raise DataError(sentence("data", str(path), f"rows of {row_bytes} bytes", f"{length} bytes", remedy))
    return np.memmap(path, np.uint8, "r").reshape(-1, row_bytes)


def _class_names(path: Path) -> tuple[str, ...]:
    """Read a class name a line."""
    try:
        return tuple(line.strip() for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    except (OSError, UnicodeDecodeError) as error:
        remedy = "It comes with the set: unpack the whole archive."
        raise DataError(sentence("data", str(path), "the file of class names", str(error), remedy)) from error
