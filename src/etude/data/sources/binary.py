"""One class against the rest: a binary task out of any source with classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from etude.core.errors import DataError
from etude.core.registry import unknown
from etude.data.items import UNLABELLED, check_classes
from etude.data.sources.part import PartOfSource

if TYPE_CHECKING:
    from etude.data.source import Source

_NEGATIVE = "_negative_class"


class BinarySource(PartOfSource):
    """A source whose classes are `not X` (label 0) and `X` (label 1).

    Where the source has a class `X_negative_class`, only these two classes are used; else all the others are negatives.

    Args:
        source: a source with classes.
        positive: the name of X, in any case.

    Raises:
        DataError: if there is no such class, or nothing to tell it from.
    """

    def __init__(self, source: Source, positive: str) -> None:
        by_name = {name.casefold(): number for number, name in enumerate(source.classes)}
        if positive.casefold() not in by_name:
            known = [name for name in source.classes if not name.casefold().endswith(_NEGATIVE)]
            raise DataError(unknown("data.positive", positive, known))
        chosen = by_name[positive.casefold()]
        negative = by_name.get(positive.casefold() + _NEGATIVE)
        labels = source.items.labels
        kept = np.isin(labels, (chosen, negative)) if negative is not None else np.ones(len(labels), bool)
        own = labels[kept]
        binary = np.where(own == UNLABELLED, UNLABELLED, own == chosen).astype(np.int32)
        name = source.classes[chosen]
        super().__init__(source, np.flatnonzero(kept), binary, classes=(f"not {name}", name), what=name)
        check_classes(self.classes, binary, source.name)
