"""The colour of each class of a mask: those of Cityscapes and CamVid where a class has one, else others."""

from __future__ import annotations

import colorsys
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

RGB = tuple[int, int, int]

VOID_RGB: Final[RGB] = (0, 0, 0)
"""The colour of pixels that belong to no class, and of the category of that name."""
KNOWN: Final[dict[str, RGB]] = {
    "road": (128, 64, 128), "sidewalk": (244, 35, 232), "pavement": (244, 35, 232), "flat": (128, 64, 128),
    "building": (70, 70, 70), "construction": (70, 70, 70), "wall": (102, 102, 156), "fence": (190, 153, 153),
    "pole": (153, 153, 153), "object": (153, 153, 153), "traffic light": (250, 170, 30),
    "traffic sign": (220, 220, 0), "sign": (220, 220, 0),
    "vegetation": (107, 142, 35), "tree": (107, 142, 35), "nature": (107, 142, 35), "terrain": (152, 251, 152),
    "sky": (70, 130, 180),
    "person": (220, 20, 60), "pedestrian": (220, 20, 60), "human": (220, 20, 60),
    "rider": (255, 0, 0), "cyclist": (255, 0, 0),
    "car": (0, 0, 142), "vehicle": (0, 0, 142), "truck": (0, 0, 70), "bus": (0, 60, 100), "train": (0, 80, 100),
    "motorcycle": (0, 0, 230), "bicycle": (119, 11, 32), "void": VOID_RGB,
}  # fmt: skip
"""The colours of Cityscapes (Cordts et al. 2016), for its classes and for those of others that mean the same."""


def palette_of(classes: Sequence[str]) -> npt.NDArray[np.uint8]:
    """Return the colour of each id, uint8 (256, 3), void and ids that are no class in black.

    >>> palette_of(["road", "moon"])[:2].tolist()
    [[128, 64, 128], [230, 138, 138]]
    """
    colours = np.full((256, 3), VOID_RGB, np.uint8)
    others = 0
    for number, name in enumerate(classes):
        known = KNOWN.get(name)
        if known is None:
            # Steps of the golden ratio: hues that come after one another lie far apart.
            red, green, blue = colorsys.hsv_to_rgb(others * 0.618034 % 1.0, 0.4, 0.9)
            known = (round(255 * red), round(255 * green), round(255 * blue))
            others += 1
        colours[number] = known
    return colours
