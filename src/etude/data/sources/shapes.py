"""`shapes`: small colour pictures of ten shapes, drawn by seed; the data that Étude brings along.

Each shape has a random place, size, angle, colour and texture, on a random background with distracting blobs, partly
covered, under uneven light, with noise. Colour and place say nothing about the class, so a linear model stays near
chance; pictures are few, so a network that is not shown them moved and turned learns them by heart.

Legend: n pictures of one kind, H and W pixels, u and v coordinates in units of the shape's radius.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import numpy.typing as npt

from etude.core.seeds import derive
from etude.core.words import Part
from etude.data.items import Items, texts
from etude.data.sources.recipe import RecipeSource

Plane = npt.NDArray[np.float32]
RECIPE: Final = 1
"""Raise it when a picture changes: it is part of the fingerprint."""


def shapes(*, n_train: int = 2000, n_test: int = 1000, size_px: int = 32, seed: int = 0) -> RecipeSource:
    """Open the shapes.

    Args:
        n_train: pictures of the official training part; validation is cut from it.
        n_test: pictures of the official test part.
        size_px: side of the pictures.
        seed: seed of all draws; the test part does not depend on how many training pictures there are.
    """
    sizes = {Part.TRAIN: n_train, Part.TEST: n_test}
    n_classes = len(_SHAPES)
    items = Items(
        texts(f"{part.label}/{row:05d}" for part, size in sizes.items() for row in range(size)),
        np.concatenate([np.arange(size) % n_classes for size in sizes.values()]).astype(np.int32),
        np.repeat(np.array(list(sizes), np.int8), list(sizes.values())),
    )

    def draw() -> tuple[npt.NDArray[np.uint8], None]:
        parts = [_draw_part(size, size_px, derive(seed, "shapes", part.label)) for part, size in sizes.items()]
        return np.concatenate(parts), None

    recipe = {"recipe": RECIPE, "n_train": n_train, "n_test": n_test, "size_px": size_px, "seed": seed}
    return RecipeSource("shapes", "classification", tuple(_SHAPES), items, recipe, draw)


def _disc(u: Plane, v: Plane) -> Plane:
    return np.asarray(np.hypot(u, v) - 0.85, np.float32)


def _ring(u: Plane, v: Plane) -> Plane:
    return np.asarray(np.abs(np.hypot(u, v) - 0.68) - 0.24, np.float32)


def _half_disc(u: Plane, v: Plane) -> Plane:
    return np.asarray(np.maximum(np.hypot(u, v + 0.4) - 1, -v - 0.4), np.float32)


def _crescent(u: Plane, v: Plane) -> Plane:
    return np.asarray(np.maximum(np.hypot(u, v) - 0.95, 0.72 - np.hypot(u - 0.5, v)), np.float32)


def _square(u: Plane, v: Plane) -> Plane:
    return np.asarray(np.maximum(np.abs(u), np.abs(v)) - 0.75, np.float32)


def _triangle(u: Plane, v: Plane) -> Plane:
    return np.asarray(np.maximum(np.abs(u) * np.float32(0.866) + v * 0.5, -v) - 0.52, np.float32)


def _star(u: Plane, v: Plane) -> Plane:
    # Folded into a tenth of the star, its border is one straight line from an outer to an inner corner.
    sector = np.float32(np.pi / 5)
    angle = np.abs(np.mod(np.arctan2(v, u) + sector, 2 * sector) - sector)
    radius = np.hypot(u, v)
    inner_u, inner_v = 0.42 * np.cos(sector), 0.42 * np.sin(sector)
    length = np.hypot(1 - inner_u, inner_v)
    return np.asarray(
        (inner_v * (radius * np.cos(angle) - 1) + (1 - inner_u) * radius * np.sin(angle)) / length, np.float32
    )


def _cross(u: Plane, v: Plane) -> Plane:
    u, v = np.abs(u), np.abs(v)
    return np.asarray(np.minimum(np.maximum(u - 0.92, v - 0.3), np.maximum(u - 0.3, v - 0.92)), np.float32)


def _arrow(u: Plane, v: Plane) -> Plane:
    shaft = np.maximum(np.abs(u) - 0.2, np.abs(v - 0.4) - 0.6)
    head = np.maximum(np.abs(u) * np.float32(0.75) - v * np.float32(0.66) - 0.66, v)
    return np.asarray(np.minimum(shaft, head), np.float32)


def _heart(u: Plane, v: Plane) -> Plane:
    p, q = (u + v) * np.float32(0.7071), (u - v) * np.float32(0.7071)
    point = np.maximum(np.abs(p - 0.1), np.abs(q + 0.1)) - 0.5
    lobes = np.minimum(np.hypot(p + 0.4, q + 0.1), np.hypot(p - 0.1, q - 0.4)) - 0.5
    return np.asarray(np.minimum(point, lobes), np.float32)


_SHAPES: Final[dict[str, Callable[[Plane, Plane], Plane]]] = {
    "disc": _disc,
    "ring": _ring,
    "half-disc": _half_disc,
    "crescent": _crescent,
    "square": _square,
    "triangle": _triangle,
    "star": _star,
    "cross": _cross,
    "arrow": _arrow,
    "heart": _heart,
}
"""Each class, and how far a point is outside its shape (negative inside), in units of its radius."""


def _draw_part(n_pictures: int, size_px: int, seed: int) -> npt.NDArray[np.uint8]:
    """Draw one part, class by class: (n, H, W, 3)."""
    pictures = np.empty((n_pictures, size_px, size_px, 3), np.uint8)
    for label, (name, outside) in enumerate(_SHAPES.items()):
        rows = np.arange(label, n_pictures, len(_SHAPES))
        if len(rows):
            pictures[rows] = _Canvas(len(rows), size_px, derive(seed, name)).paint(outside)
    return pictures


class _Canvas:
    """Pictures of one class while they are painted: float32 (n, H, W, 3) in 0..1."""

    def __init__(self, n_pictures: int, size_px: int, seed: int) -> None:
        self.n = n_pictures
        self.unit = np.float32(size_px / 32)  # sizes below are given for 32 pixels
        self.rng = np.random.Generator(np.random.PCG64(seed))
        axis = (np.arange(size_px, dtype=np.float32) + 0.5) / self.unit
        self.y_1H1, self.x_11W = axis[None, :, None], axis[None, None, :]
        self.pixels = np.empty((n_pictures, size_px, size_px, 3), np.float32)

    def paint(self, outside: Callable[[Plane, Plane], Plane]) -> npt.NDArray[np.uint8]:
        """Paint background, blobs, shape, cover and light, in that order."""
        backdrop = self._backdrop()
        for _ in range(2):
            self._blob(backdrop)
        self._shape(outside, backdrop)
        self._cover()
        self._light()
        return np.asarray(np.clip(self.pixels * 255 + 0.5, 0, 255), np.uint8)

    def _uniform(self, low: float, high: float, *shape: int) -> Plane:
        """Draw one number a picture, or several."""
        return self.rng.uniform(low, high, (self.n, *shape)).astype(np.float32)

    def _local(self, x_n: Plane, y_n: Plane, radius_n: Plane, angle_n: Plane) -> tuple[Plane, Plane]:
        """Return the coordinates of every pixel as seen from a shape: (n, H, W) each."""
        dx, dy = self.x_11W - x_n[:, None, None], self.y_1H1 - y_n[:, None, None]
        cosine, sine = (np.cos(angle_n) / radius_n)[:, None, None], (np.sin(angle_n) / radius_n)[:, None, None]
        return cosine * dx + sine * dy, cosine * dy - sine * dx

    def _waves(self, low: float, high: float) -> Plane:
        """Return stripes of random direction, with `low` to `high` periods across, in -1..1: (n, H, W)."""
        angle, periods, phase = self._uniform(0, np.pi), self._uniform(low, high), self._uniform(0, 2 * np.pi)
        speed = periods * np.float32(2 * np.pi / 32)
        along_x, along_y = (speed * np.cos(angle))[:, None, None], (speed * np.sin(angle))[:, None, None]
        return np.asarray(np.sin(along_x * self.x_11W + (along_y * self.y_1H1 + phase[:, None, None])), np.float32)

    def _lay(self, alpha_nHW: Plane, color_n3: Plane) -> None:
        """Lay one colour a picture over the pixels."""
        for channel in range(3):
            plane = self.pixels[..., channel]
            plane += alpha_nHW * (color_n3[:, channel, None, None] - plane)

    def _edge(self, outside_nHW: Plane, radius_n: Plane) -> Plane:
        """Turn a distance in radii into a coverage in 0..1, a pixel wide at the border."""
        return np.asarray(np.clip(0.5 - outside_nHW * (radius_n * self.unit)[:, None, None], 0, 1), np.float32)

    def _backdrop(self) -> Plane:
        """Paint two colours that run into each other, under a texture; return the mean colour (n, 3)."""
        first, second = self._uniform(0.05, 0.95, 3), self._uniform(0.05, 0.95, 3)
        second = first + (second - first) * 0.3
        mix = 0.5 + 0.5 * self._waves(0.2, 1.2)
        texture = self._waves(2, 7) * self._uniform(0, 0.06)[:, None, None]
        for channel in range(3):
            start, end = first[:, channel, None, None], second[:, channel, None, None]
            self.pixels[..., channel] = start + mix * (end - start) + texture
        return np.asarray((first + second) / 2, np.float32)

    def _blob(self, backdrop_n3: Plane) -> None:
        """Paint an ellipse in a colour of its own, to distract."""
        radius = self._uniform(1, 2.6)
        u, v = self._local(self._uniform(0, 32), self._uniform(0, 32), radius, self._uniform(0, np.pi))
        color = backdrop_n3 + self._uniform(-0.45, 0.45, 3)
        stretch = self._uniform(1, 2.5)[:, None, None]
        self._lay(self._edge(np.hypot(u, v * stretch) - 1, radius), color)

    def _shape(self, outside: Callable[[Plane, Plane], Plane], backdrop_n3: Plane) -> None:
        """Paint the shape itself, in a colour that can be told from the background, with a texture."""
        radius = self._uniform(7.5, 12.5)
        margin = radius * 0.9
        x = margin + self._uniform(0, 1) * (32 - 2 * margin)
        y = margin + self._uniform(0, 1) * (32 - 2 * margin)
        u, v = self._local(x, y, radius, self._uniform(-0.5, 0.5))
        v = v * self._uniform(0.85, 1.2)[:, None, None]
        color = self._uniform(0.05, 0.95, 3)
        contrast = color - backdrop_n3
        size = np.sqrt((contrast**2).sum(axis=1, keepdims=True)) + np.float32(1e-6)
        color = backdrop_n3 + contrast * np.maximum(1, 0.6 / size)
        alpha = self._edge(outside(u, v), radius)
        self._lay(alpha, color)
        self.pixels += (alpha * self._waves(1, 5) * self._uniform(0, 0.07)[:, None, None])[..., None]

    def _cover(self) -> None:
        """Paint a bar across one picture in three."""
        radius = self._uniform(0.8, 1.6)
        u, v = self._local(self._uniform(4, 28), self._uniform(4, 28), radius, self._uniform(0, np.pi))
        alpha = self._edge(np.maximum(np.abs(u) - 1, np.abs(v) - 6), radius)
        alpha *= (self._uniform(0, 1) < 0.33)[:, None, None]
        self._lay(alpha, self._uniform(0.05, 0.95, 3))

    def _light(self) -> None:
        """Shade the pictures unevenly, change their contrast, and add noise."""
        shade = 1 + self._waves(0.2, 0.8) * self._uniform(0, 0.3)[:, None, None]
        contrast = self._uniform(0.7, 1.15)[:, None, None]
        offset = self._uniform(-0.08, 0.08)[:, None, None]
        level = self._uniform(0.01, 0.04)[:, None, None, None]
        noise = self.rng.standard_normal(self.pixels.shape, np.float32)
        self.pixels *= (shade * contrast)[..., None]
        self.pixels += (0.5 - 0.5 * contrast + offset)[..., None]
        self.pixels += noise * level
