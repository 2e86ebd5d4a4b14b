"""Differentiable augmentation: real and generated pictures are changed alike before the discriminator sees them.

The generator's gradient passes through, so it never learns the changes, and the discriminator has more than a hundred
pictures to tell apart. Source: Zhao et al. 2020, arXiv 2006.10738, section 3 and its appendix's ranges.

Every picture has draws of its own, made on the CPU so that each device draws the same.
Shapes: B pictures, C channels, H and W pixels; values in -1..1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from etude.core.registry import Registry

DIFFERENTIABLE: Registry[Callable[[Tensor], Tensor]] = Registry("differentiable augmentation")
_MOST_SHIFT: Final = 1 / 8
_CUT_SIDE: Final = 1 / 2


def augment(images_BCHW: Tensor, names: Sequence[str]) -> Tensor:
    """Apply augmentations in the order of their names."""
    for name in names:
        images_BCHW = DIFFERENTIABLE[name](images_BCHW)
    return images_BCHW


@DIFFERENTIABLE.register("color")
def color(images_BCHW: Tensor) -> Tensor:
    """Brightness by up to ±0.5, saturation by 0..2, contrast by 0.5..1.5."""
    brightness, saturation, contrast = _draw(images_BCHW, 3)
    images_BCHW = images_BCHW + (brightness - 0.5)
    grey = images_BCHW.mean(1, keepdim=True)
    images_BCHW = grey + (images_BCHW - grey) * (2 * saturation)
    mean = images_BCHW.mean((1, 2, 3), keepdim=True)
    changed: Tensor = mean + (images_BCHW - mean) * (contrast + 0.5)
    return changed


@DIFFERENTIABLE.register("translation")
def translation(images_BCHW: Tensor) -> Tensor:
    """Move by up to an eighth of the side, whole pixels; what comes in is grey."""
    height, width = images_BCHW.shape[2:]
    down, right = round(height * _MOST_SHIFT), round(width * _MOST_SHIFT)
    count = len(images_BCHW)
    padded = F.pad(images_BCHW, (right, right, down, down))
    rows = _draw_whole(2 * down + 1, count)[:, None] + torch.arange(height)
    columns = _draw_whole(2 * right + 1, count)[:, None] + torch.arange(width)
    rows, columns = rows.to(images_BCHW.device), columns.to(images_BCHW.device)
    at = torch.arange(count, device=images_BCHW.device)[:, None, None]
    moved = padded.permute(0, 2, 3, 1)[at, rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2)


@DIFFERENTIABLE.register("cutout")
def cutout(images_BCHW: Tensor) -> Tensor:
    """Grey out a square of half the side, centred anywhere."""
    height, width = images_BCHW.shape[2:]
    count = len(images_BCHW)
    rows, columns = _draw_whole(height + 1, count), _draw_whole(width + 1, count)  # at both edges too
    kept = ~(_within(height, rows)[:, :, None] & _within(width, columns)[:, None, :])
    return images_BCHW * kept[:, None].to(images_BCHW)


def _within(side: int, centres_B: Tensor) -> Tensor:
    """Say which of `side` pixels lie in a cut about each centre, (B, side)."""
    half = side * _CUT_SIDE / 2
    return (torch.arange(side) - centres_B[:, None] + 0.5).abs() < half


def _draw(images_BCHW: Tensor, count: int) -> Tensor:
    """Return `count` draws in 0..1 a picture, (count, B, 1, 1, 1), on the pictures' device."""
    return torch.rand(count, len(images_BCHW), 1, 1, 1).to(images_BCHW)


def _draw_whole(below: int, count: int) -> Tensor:
    return torch.randint(0, below, (count,))
