"""Pixels: what changes each pixel by itself or by its neighbours.

A pixel augmentation is a function `(Draw, images_BCHW) -> images_BCHW` on planar float32 in 0..255, which it may
change in place; the result is clamped to 0..255 after the last.

Shape suffixes: B picture, H row, W column, C channel.
"""

from __future__ import annotations

from torch import Tensor

from etude.data.augment.draw import Draw


def noise(draw: Draw, images_BCHW: Tensor) -> Tensor:
    """Add Gaussian noise whose standard deviation is drawn for each picture: up to 0.05 × 255 at strength 1."""
    deviation_B = draw.uniform(0.0, 0.05 * draw.strength * 255.0).to(images_BCHW.device)
    noise_BCHW = draw.normal(tuple(images_BCHW.shape))
    return images_BCHW.addcmul_(noise_BCHW, deviation_B[:, None, None, None])
