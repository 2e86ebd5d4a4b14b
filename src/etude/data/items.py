"""The items of a source: what is known of each picture before it is opened, column by column.

N is the number of pictures.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from numpy.dtypes import StringDType

from etude.core.errors import DataError, sentence
from etude.core.words import Part

Texts = np.ndarray[Any, Any]
"""(N,) texts in numpy's `StringDType`, which its type stubs cannot name yet."""
Indices = npt.NDArray[np.int64]

_PART_WORDS = {
    Part.TRAIN: ("train", "training"),
    Part.VALIDATION: ("validation", "valid", "val", "dev"),
    Part.TEST: ("test", "testing"),
}
_PARTS = {word: part for part, words in _PART_WORDS.items() for word in words}

UNLABELLED = -1
"""The label of a picture whose class is not known."""


@dataclass(frozen=True)
class Items:
    """What is known of N pictures: about 100 bytes each, so that large sets stay small in memory.

    Attributes:
        ids: (N,) texts, unique, the same on every machine: a path inside the source, or a row.
        labels: (N,) int32, the position of the class in the source's `classes`; -1 where it is not known.
        official: (N,) int8, the part (`etude.core.words.Part`) that the source puts each picture in; None without one.
        groups: (N,) texts, what must not be parted (a sequence, a patient); None without groups.

    Raises:
        DataError: if two pictures have the same id.
    """

    ids: Texts
    labels: npt.NDArray[np.int32]
    official: npt.NDArray[np.int8] | None = None
    groups: Texts | None = None

    def __post_init__(self) -> None:
        for name in ("labels", "official", "groups"):
            column = getattr(self, name)
            if column is not None and len(column) != len(self.ids):
                raise ValueError(f"items: {name} has {len(column)} rows, and ids has {len(self.ids)}")
        twice = _first_twice(self.ids)
        if twice is not None:
            remedy = "Name each picture once; remove the duplicate row or file."
            raise DataError(sentence("items", "ids", "different from each other", twice, remedy))

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, indices: Indices) -> Items:
        """Return the items at these positions, in that order."""
        return Items(
            self.ids[indices],
            self.labels[indices],
            None if self.official is None else self.official[indices],
            None if self.groups is None else self.groups[indices],
        )


def texts(values: Iterable[str]) -> Texts:
    """Return texts as a compact column.

    >>> len(texts(["a", "bc"]))
    2
    """
    return np.array(list(values), dtype=StringDType())


def part_named(word: str) -> Part | None:
    """Return the part that a folder, a shard or a table cell names; None if it names none.

    >>> part_named("Val"), part_named("cats")
    (<Part.VALIDATION: 1>, None)
    """
    return _PARTS.get(word.strip().casefold())


def check_classes(classes: Sequence[str], labels: npt.NDArray[np.int32], where: str) -> None:
    """Check that there is something to learn: pictures of classes, none of which is empty.

    Args:
        classes: the names of the classes.
        labels: (N,) positions in `classes`, or -1.
        where: what errors call the source.

    Raises:
        DataError: if not.
    """
    if len(labels) == 0:
        remedy = "Give a folder with a folder of pictures per class, a Parquet or a CSV file."
        raise DataError(sentence("data", where, "a source with pictures", "no picture", remedy))
    counts = np.bincount(labels[labels >= 0], minlength=len(classes))
    if len(counts) > len(classes) or labels.min() < UNLABELLED:
        found = int(labels.max()) if len(counts) > len(classes) else int(labels.min())
        rule = f"a source whose labels lie between 0 and {len(classes) - 1}"
        raise DataError(sentence("data", where, rule, found, "Correct the label, or the names of the classes."))
    empty = [name for name, count in zip(classes, counts, strict=True) if count == 0]
    if empty:
        remedy = "Add its pictures, or take the class away."
        raise DataError(sentence("data", where, "a source with a picture of every class", f"none of {empty}", remedy))


def _first_twice(ids: Texts) -> str | None:
    """Return the first id that comes twice, if any does."""
    seen: set[str] = set()
    for item in ids:
        if item in seen:
            return str(item)
        seen.add(item)
    return None
