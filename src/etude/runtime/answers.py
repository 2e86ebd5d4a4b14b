"""What a model answers about one picture: a class with its probability, or a mask of ids.

Shapes: H and W are the picture's own, K classes. What is made of a mask is made in strips of rows: a picture of 40
megapixels is permitted, and a single array of floats for its colours takes a quarter of the memory that a server has.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from etude.core.bundle_record import Rgb
from etude.pictures.prepare import VOID
from etude.pictures.reading import Pixels

_VOID_RGB: Rgb = (0, 0, 0)
_STRIP_PIXELS: Final = 1 << 16
"""Pixels that are worked on at a time."""


@dataclass(frozen=True, eq=False)
class ClassAnswer:
    """The class of a picture."""

    classes: tuple[str, ...]
    """Names of the classes."""
    probabilities: npt.NDArray[np.float32]
    """(K,) probabilities, with sum 1."""
    threshold: float | None = None
    """For a detector, the probability of class 1 from which it says yes."""
    unsure_below: float = 0.0
    """An answer with a smaller probability is unsure."""
    familiarity: float | None = None
    """How like the training pictures of the nearest class it is, from -1 to 1; none where the model does not tell."""
    unfamiliar_below: float = -1.0
    """A picture with a smaller familiarity is unlike them."""

    @property
    def id(self) -> int:
        """Position of the answer in `classes`: the most probable one; a detector's by its threshold."""
        if self.threshold is not None:
            return int(float(self.probabilities[1]) >= self.threshold)
        return int(self.probabilities.argmax())

    @property
    def label(self) -> str:
        """Name of the answer."""
        return self.classes[self.id]

    @property
    def probability(self) -> float:
        """Probability of the answer, from 0 to 1."""
        return float(self.probabilities[self.id])

    @property
    def is_positive(self) -> bool | None:
        """For two classes, whether the answer is class 1; none for more."""
        return bool(self.id) if len(self.classes) == 2 else None

    @property
    def is_unfamiliar(self) -> bool:
        """Whether the picture is unlike those that the model was trained on: it may show none of its classes."""
        return self.familiarity is not None and self.familiarity < self.unfamiliar_below

    @property
    def is_unsure(self) -> bool:
        """Whether the probability is below that of sure answers on validation, or the picture is unfamiliar."""
        return self.probability < self.unsure_below or self.is_unfamiliar

    def top(self, count: int = 5) -> list[tuple[str, float]]:
        """Return the most probable classes with their probabilities, the likeliest first."""
        order = np.argsort(-self.probabilities, kind="stable")[: max(0, count)]
        return [(self.classes[index], float(self.probabilities[index])) for index in order]

    def as_json(self, top: int = 5) -> dict[str, Any]:
        """Return it as plain values."""
        told: dict[str, Any] = {
            "label": self.label,
            "probability": round(self.probability, 6),
            "unsure": self.is_unsure,
            "top": [{"label": name, "probability": round(value, 6)} for name, value in self.top(top)],
        }
        if self.familiarity is not None:
            told |= {"unfamiliar": self.is_unfamiliar, "familiarity": round(self.familiarity, 6)}
        if self.threshold is not None:
            told |= {"positive": bool(self.id), "threshold": self.threshold}
        return told


@dataclass(frozen=True, eq=False)
class MaskAnswer:
    """The class of every pixel of a picture."""

    classes: tuple[str, ...]
    """Names of the classes."""
    palette: tuple[Rgb, ...]
    """Colour of each class."""
    mask: Pixels
    """(H, W) uint8 ids at the picture's own size; 255 where the model did not look (outside a centre crop)."""
    _picture: Callable[[], Pixels | None] | None = field(default=None, repr=False)

    @property
    def areas(self) -> dict[str, float]:
        """Share of the picture's pixels that each class has, from 0 to 1, in the order of the ids."""
        counts = np.zeros(256, np.int64)
        for rows in self._strips():
            counts += np.bincount(self.mask[rows].ravel(), minlength=256)
        return {name: float(counts[index] / self.mask.size) for index, name in enumerate(self.classes)}

    @property
    def colored(self) -> Pixels:
        """(H, W, 3) uint8: each pixel in the colour of its class; black where the model did not look."""
        colors, table = np.empty((*self.mask.shape, 3), np.uint8), self.lookup()
        for rows in self._strips():
            colors[rows] = table[self.mask[rows]]
        return colors

    def lookup(self) -> Pixels:
        """Return the colour (256, 3) of each id."""
        table = np.full((256, 3), _VOID_RGB, np.uint8)
        table[: len(self.palette)] = self.palette
        return table

    def overlay(self, picture: Pixels | None = None, opacity: float = 0.5) -> Pixels:
        """Lay the colours over the picture.

        Args:
            picture: uint8 (H, W, 3); by default the one that was asked about, where it was kept.
            opacity: how much of the colour is seen, from 0 to 1.

        Returns:
            uint8 (H, W, 3).

        Raises:
            ValueError: if there is no picture of the mask's size.
        """
        under = self._picture() if picture is None and self._picture is not None else picture
        if under is None or under.shape != (*self.mask.shape, 3):
            raise ValueError(f"overlay: picture must be of shape {(*self.mask.shape, 3)}.")
        weights = np.full((256, 1), round(256 * opacity), np.uint16)  # of 256, so that 16 bits hold every product
        weights[VOID] = 0
        colors = self.lookup() * weights + np.uint16(128)  # half a level: what follows rounds down
        blended = np.empty(under.shape, np.uint8)
        for rows in self._strips():
            ids = self.mask[rows]
            blended[rows] = (under[rows] * (256 - weights)[ids] + colors[ids]) >> 8
        return blended

    def _strips(self) -> Iterator[slice]:
        """Give the rows of the mask in strips."""
        height, width = self.mask.shape
        step = max(1, _STRIP_PIXELS // max(1, width))
        return (slice(top, top + step) for top in range(0, height, step))

    def as_json(self, top: int = 5) -> dict[str, Any]:
        """Return the areas as plain values."""
        areas = {name: round(share, 6) for name, share in self.areas.items()}
        height, width = self.mask.shape
        return {"height": height, "width": width, "areas": areas}


Answer = ClassAnswer | MaskAnswer
