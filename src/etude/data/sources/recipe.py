"""A source that is drawn rather than read: a recipe, its numbers, and the pictures once somebody asks for one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from etude.core.records import fingerprint
from etude.data.items import Items

if TYPE_CHECKING:
    from etude.data.source import Kind

Drawn = tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8] | None]
"""Pictures (N, H, W, 3) and, where there are any, masks (N, H, W)."""


class RecipeSource:
    """Pictures drawn from a seed, all at once, when the first of them is asked for.

    Args:
        name: what the source is called.
        kind: whether its pictures have classes or masks.
        classes: the names of the classes.
        items: what is known of the pictures.
        recipe: the numbers that they follow from, with the version of the drawing; they are the fingerprint, so that it
            does not hang on how a machine rounds.
        draw: draws all pictures, and all masks if there are any.
    """

    licence = "MIT"
    is_drawn = True
    notes: tuple[str, ...] = ()

    def __init__(
        self,
        name: str,
        kind: Kind,
        classes: tuple[str, ...],
        items: Items,
        recipe: dict[str, int],
        draw: Callable[[], Drawn],
    ) -> None:
        self.name, self.kind, self.classes, self.items = name, kind, classes, items
        self._recipe, self._draw = recipe, draw
        self._drawn: Drawn | None = None
        self._lock = threading.Lock()

    def raw(self, index: int) -> npt.NDArray[np.uint8]:
        """Return one picture: uint8 (H, W, 3)."""
        picture: npt.NDArray[np.uint8] = self._all()[0][index]
        return picture

    def mask(self, index: int) -> npt.NDArray[np.uint8] | None:
        """Return the ids of one picture, uint8 (H, W), 255 where there is no class; None without masks."""
        masks = self._all()[1]
        return None if masks is None else masks[index]

    def box(self, index: int) -> None:
        """Return None: there are no boxes."""

    def fingerprint(self) -> str:
        """Return the fingerprint of the recipe."""
        return fingerprint({"name": self.name, **self._recipe}, length=32)

    def _all(self) -> Drawn:
        with self._lock:
            if self._drawn is None:
                self._drawn = self._draw()
            return self._drawn
