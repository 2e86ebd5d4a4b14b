"""One class against the rest: a binary task out of any source with classes."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from etude.core.errors import DataError
from etude.core.registry import unknown
from etude.data.fingerprint import Raw, content_fingerprint
from etude.data.items import UNLABELLED, Items, check_classes
from etude.pictures.prepare import Box

if TYPE_CHECKING:
    from etude.data.source import Kind, Source

_NEGATIVE = "_negative_class"


class BinarySource:
    """A source whose classes are `not X` (label 0) and `X` (label 1).

    Where the source has a class `X_negative_class`, only these two classes are used; else all the others are negatives.

    Args:
        source: a source with classes.
        positive: the name of X, in any case.

    Raises:
        DataError: if there is no such class, or nothing to tell it from.
    """

    kind: Kind = "classification"

    def __init__(self, source: Source, positive: str) -> None:
        by_name = {name.casefold(): number for number, name in enumerate(source.classes)}
        if positive.casefold() not in by_name:
            known = [name for name in source.classes if not name.casefold().endswith(_NEGATIVE)]
            raise DataError(unknown("data.positive", positive, known))
        chosen = by_name[positive.casefold()]
        negative = by_name.get(positive.casefold() + _NEGATIVE)
        labels = source.items.labels
        kept = np.isin(labels, (chosen, negative)) if negative is not None else np.ones(len(labels), bool)
        self._source, self._indices = source, np.flatnonzero(kept)
        taken = source.items.take(self._indices)
        binary = np.where(taken.labels == UNLABELLED, UNLABELLED, taken.labels == chosen).astype(np.int32)
        self.items = Items(taken.ids, binary, taken.official, taken.groups)
        self.name = f"{source.name}:{source.classes[chosen]}"
        self.classes = (f"not {source.classes[chosen]}", source.classes[chosen])
        self.licence, self.notes = source.licence, source.notes
        self.is_drawn = getattr(source, "is_drawn", False)
        check_classes(self.classes, binary, source.name)

    def raw(self, index: int) -> Raw:
        """Return one picture."""
        return self._source.raw(int(self._indices[index]))

    def mask(self, index: int) -> None:
        """Return None: there are no masks."""

    def box(self, index: int) -> Box | None:
        """Return the annotated box of one picture."""
        return self._source.box(int(self._indices[index]))

    def fingerprint(self) -> str:
        """Return the fingerprint of the pictures that are used, with their binary labels."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        return content_fingerprint(self.classes, self.items, self.raw)
