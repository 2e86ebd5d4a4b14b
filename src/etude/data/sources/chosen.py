"""Some classes of a source with classes, and nothing else of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from etude.core.errors import DataError
from etude.core.registry import unknown
from etude.data.items import UNLABELLED
from etude.data.sources.part import PartOfSource

if TYPE_CHECKING:
    from etude.data.source import Source


class ChosenSource(PartOfSource):
    """The pictures of some classes; labels are numbered in the order in which the classes are given.

    Args:
        source: a source with classes.
        chosen: their names, in any case.

    Raises:
        DataError: if there is no such class.
    """

    def __init__(self, source: Source, chosen: Sequence[str]) -> None:
        by_name = {name.casefold(): number for number, name in enumerate(source.classes)}
        for name in chosen:
            if name.casefold() not in by_name:
                raise DataError(unknown("data.classes", name, source.classes))
        numbers = list(dict.fromkeys(by_name[name.casefold()] for name in chosen))
        renumbered = np.full(len(source.classes), UNLABELLED, np.int32)
        renumbered[numbers] = np.arange(len(numbers))
        labels = source.items.labels
        indices = np.flatnonzero(np.isin(labels, numbers))
        classes = tuple(source.classes[number] for number in numbers)
        super().__init__(source, indices, renumbered[labels[indices]], classes=classes, what="+".join(classes))
