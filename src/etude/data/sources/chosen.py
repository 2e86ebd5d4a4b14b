"""Some classes of a source with classes, and nothing else of it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from etude.core.errors import DataError
from etude.core.registry import unknown
from etude.data.fingerprint import Raw, content_fingerprint
from etude.data.items import UNLABELLED, Items
from etude.pictures.prepare import Box

if TYPE_CHECKING:
    from etude.data.source import Kind, Source


class ChosenSource:
    """The pictures of some classes; labels are numbered in the order in which the classes are given.

    Args:
        source: a source with classes.
        chosen: their names, in any case.

    Raises:
        DataError: if there is no such class.
    """

    kind: Kind = "classification"

    def __init__(self, source: Source, chosen: Sequence[str]) -> None:
        by_name = {name.casefold(): number for number, name in enumerate(source.classes)}
        for name in chosen:
            if name.casefold() not in by_name:
                raise DataError(unknown("data.classes", name, source.classes))
        numbers = list(dict.fromkeys(by_name[name.casefold()] for name in chosen))
        renumbered = np.full(len(source.classes), UNLABELLED, np.int32)
        renumbered[numbers] = np.arange(len(numbers))
        labels = source.items.labels
        self._source, self._indices = source, np.flatnonzero(np.isin(labels, numbers))
        taken = source.items.take(self._indices)
        self.items = Items(taken.ids, renumbered[taken.labels], taken.official, taken.groups)
        self.classes = tuple(source.classes[number] for number in numbers)
        self.name = f"{source.name}:{'+'.join(self.classes)}"
        self.licence, self.notes = source.licence, source.notes
        self.is_drawn = getattr(source, "is_drawn", False)

    def raw(self, index: int) -> Raw:
        """Return one picture."""
        return self._source.raw(int(self._indices[index]))

    def mask(self, index: int) -> None:
        """Return None: there are no masks."""

    def box(self, index: int) -> Box | None:
        """Return the annotated box of one picture."""
        return self._source.box(int(self._indices[index]))

    def fingerprint(self) -> str:
        """Return the fingerprint of the pictures that are used, with their labels."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        return content_fingerprint(self.classes, self.items, self.raw)
