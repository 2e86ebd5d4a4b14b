"""Mix: pictures of one batch mixed with one another, and their targets with them.

A mixing augmentation is a function `(Draw) -> Mixing`. Where several are in use, each picture draws one of them.

Shape suffixes: B picture, H row, W column, C channel.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from etude.data.augment.draw import Draw
from etude.data.augment.erase import areas, draw_boxes, fill


@dataclasses.dataclass(frozen=True)
class Mixing:
    """How much of each picture is its own, and which box of it is its partner's; on the CPU."""

    own_B: Tensor
    """Float32 in [0, 1]: the picture's own weight in the blend."""

    boxes_B4: Tensor
    """Int64: the box that is pasted from the partner; empty for none."""


MixDraw = Callable[[Draw], Mixing]


def mixup(draw: Draw) -> Mixing:
    """Blend with weights from Beta(a, a), a = 0.2 at strength 1.

    Zhang et al., "mixup: beyond empirical risk minimization", 2018.
    """
    return Mixing(draw.beta(0.2 * draw.strength), torch.zeros(draw.count, 4, dtype=torch.int64))


def cutmix(draw: Draw) -> Mixing:
    """Paste a box of the picture's shape over half of the pictures (at strength 1), its area drawn evenly.

    Yun et al., "CutMix: regularization strategy to train strong classifiers with localizable features", 2019.
    """
    side_B = draw.uniform(0.0, 1.0).sqrt() * draw.chance(0.5 * draw.strength)
    boxes_B4 = draw_boxes(draw, (side_B * draw.height_px).round().long(), (side_B * draw.width_px).round().long())
    return Mixing(torch.ones(draw.count), boxes_B4)


def draw_mixing(draws: Sequence[MixDraw], draw: Draw) -> Mixing:
    """Let each picture draw one of the mixings."""
    mixings = [draw_one(draw) for draw_one in draws]
    if len(mixings) == 1:
        return mixings[0]
    chosen_B = draw.integers(0, len(mixings) - 1)
    pictures_B = torch.arange(draw.count)
    return Mixing(
        torch.stack([mixing.own_B for mixing in mixings])[chosen_B, pictures_B],
        torch.stack([mixing.boxes_B4 for mixing in mixings])[chosen_B, pictures_B],
    )


def mix(
    images_BHWC: Tensor, targets: Tensor, mixing: Mixing, partner_B: Tensor
) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
    """Mix every picture with its partner.

    Args:
        images_BHWC: normalised pictures.
        targets: labels (B,) or masks (B, H, W), int64.
        mixing: what was drawn.
        partner_B: int64 on the CPU, the partner of each picture.

    Returns:
        Pictures, targets, the partners' targets, and the weight of `targets` in the loss, float32 (B,). Boxes that
        are pasted change a mask itself; where nothing else is mixed, the last two are None for masks.
    """
    device = images_BHWC.device
    own_B, partner_on_device_B = mixing.own_B.to(device), partner_B.to(device)
    height_px, width_px = images_BHWC.shape[1:3]
    partners_BHWC = images_BHWC.index_select(0, partner_on_device_B)
    other_targets = targets.index_select(0, partner_on_device_B)
    blends = bool((mixing.own_B < 1).any())
    if blends:
        weight_B111 = own_B[:, None, None, None].to(images_BHWC.dtype)
        images_BHWC = torch.lerp(partners_BHWC, images_BHWC, weight_B111)
    fill(images_BHWC, mixing.boxes_B4, partners_BHWC)
    if targets.ndim == 3:
        targets = targets.clone()
        fill(targets, mixing.boxes_B4, other_targets)
        return images_BHWC, targets, other_targets if blends else None, own_B if blends else None
    own_area_B = (1.0 - areas(mixing.boxes_B4) / (height_px * width_px)).to(device)
    return images_BHWC, targets, other_targets, own_B * own_area_B
