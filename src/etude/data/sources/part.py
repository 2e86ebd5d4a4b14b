"""Some pictures of another source, under labels of their own: what a choice of classes and a detector share."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from etude.data.fingerprint import Raw, content_fingerprint
from etude.data.items import Indices, Items
from etude.pictures.prepare import Box

if TYPE_CHECKING:
    from etude.data.source import Kind, Source


class PartOfSource:
    """Pictures of a source with classes, of which some may be left out and all may be labelled anew.

    Ids, official parts, groups, licence and notes are those of the source.
    """

    kind: Kind = "classification"

    def __init__(
        self,
        source: Source,
        indices: Indices,
        labels: npt.NDArray[np.int32],
        *,
        classes: tuple[str, ...],
        what: str,
    ) -> None:
        """Take a part of a source.

        Args:
            source: a source with classes.
            indices: (N,) positions of the pictures that are used.
            labels: (N,) their labels, as positions in `classes`.
            classes: names of the classes.
            what: what is used, for the name.
        """
        taken = source.items.take(indices)
        self._source, self._indices = source, indices
        self.items = Items(taken.ids, labels, taken.official, taken.groups)
        self.classes = classes
        self.all_classes: tuple[str, ...] = getattr(source, "all_classes", source.classes)
        """Those of the whole source, which may be more."""
        self.name = f"{source.name}:{what}"
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
        """Return the fingerprint of the pictures that are used, with the labels that they have here."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        boxes = [self.box(index) for index in range(len(self.items))]
        if not any(box is not None for box in boxes):
            return content_fingerprint(self.classes, self.items, self.raw)
        return content_fingerprint(self.classes, self.items, self.raw, lambda index: repr(boxes[index]).encode())
