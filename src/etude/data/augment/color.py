"""Color: every change is an affine map of (red, green, blue), and those of a picture become one 3 × 3 matrix.

A color augmentation is a function `(Draw, mean_BC) -> (matrices_BCC, offsets_BC)`: the map that it applies to the
channels, in 0..255, given the mean of each picture as it is at that point. Float32 on the pictures' device.

Shape suffixes: B picture, H row, W column, C channel, S channel of the source.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from etude.data.augment.draw import Draw

ColorDraw = Callable[[Draw, Tensor], tuple[Tensor, Tensor]]
LUMA = (0.2989, 0.587, 0.114)
"""Weights of red, green and blue in the grey of ITU-R BT.601, as torchvision has them."""


def color(draw: Draw, mean_BC: Tensor) -> tuple[Tensor, Tensor]:
    """Change brightness, then contrast about the picture's mean grey, then saturation: 0.7 to 1.3 at strength 1."""
    reach = 0.3 * draw.strength
    low = max(0.0, 1.0 - reach)
    brightness_B, contrast_B, saturation_B = (draw.uniform(low, 1.0 + reach).to(mean_BC.device) for _ in range(3))
    return adjust(mean_BC, brightness_B, contrast_B, saturation_B)


def night(draw: Draw, mean_BC: Tensor) -> tuple[Tensor, Tensor]:
    """Take light away, red most and blue least, and color with it: down to a third of the light at strength 1."""
    dark_B = draw.uniform(0.0, min(0.67 * draw.strength, 0.95)).to(mean_BC.device)
    luma_C, kept_C = (torch.tensor(values, device=mean_BC.device) for values in (LUMA, (0.85, 0.92, 1.0)))
    grey_B11 = (0.5 * dark_B)[:, None, None]
    fade_BCC = (1.0 - grey_B11) * torch.eye(3, device=mean_BC.device) + grey_B11 * luma_C.expand(3, 3)
    light_BC = (1.0 - dark_B)[:, None] * (1.0 - dark_B[:, None] * (1.0 - kept_C))
    return light_BC[:, :, None] * fade_BCC, torch.zeros_like(mean_BC)


def adjust(mean_BC: Tensor, brightness_B: Tensor, contrast_B: Tensor, saturation_B: Tensor) -> tuple[Tensor, Tensor]:
    """Return the maps that multiply brightness, contrast and saturation by these factors, in this order.

    Contrast c: `c x + (1 - c) m` with m the mean grey of the brightened picture. Saturation s: `s x + (1 - s) grey(x)`.
    """
    luma_C = torch.tensor(LUMA, device=mean_BC.device)
    gain_B11 = (brightness_B * contrast_B)[:, None, None]
    towards_grey_B11 = (1.0 - saturation_B)[:, None, None]
    identity_CC = torch.eye(3, device=mean_BC.device)
    saturate_BCC = saturation_B[:, None, None] * identity_CC + towards_grey_B11 * luma_C.expand(3, 3)
    offset_B = (1.0 - contrast_B) * brightness_B * (mean_BC @ luma_C)
    # The luma weights sum to 0.9999, so a grey offset passes the saturation almost, but not quite, unchanged.
    return saturate_BCC * gain_B11, saturate_BCC.sum(2) * offset_B[:, None]


def recolor(images_BCHW: Tensor, draws: Sequence[ColorDraw], draw: Draw) -> Tensor:
    """Apply the color augmentations in turn, as one map a picture.

    Args:
        images_BCHW: planar float32 in 0..255.
        draws: the functions of the augmentations.
        draw: the draws of the batch.

    Returns:
        Planar float32, not yet clamped.
    """
    B, C, H, W = images_BCHW.shape
    matrices_BCS, offsets_BC1 = compose(images_BCHW.mean((2, 3)), draws, draw)
    return torch.baddbmm(offsets_BC1, matrices_BCS, images_BCHW.view(B, C, H * W)).view(B, C, H, W)


def compose(mean_BC: Tensor, draws: Sequence[ColorDraw], draw: Draw) -> tuple[Tensor, Tensor]:
    """Return the color augmentations in turn as one map a picture: matrices (B, C, S) and offsets (B, C, 1).

    Args:
        mean_BC: mean of each channel of each picture, in 0..255.
        draws: the functions of the augmentations.
        draw: the draws of the batch.
    """
    B, C = mean_BC.shape
    matrices_BCS = torch.eye(C, device=mean_BC.device).expand(B, C, C)
    offsets_BC1 = torch.zeros(B, C, 1, device=mean_BC.device)
    for draw_color in draws:
        mean_now_BC = (torch.bmm(matrices_BCS, mean_BC[:, :, None]) + offsets_BC1)[:, :, 0]
        next_BCC, offset_BC = draw_color(draw, mean_now_BC)
        matrices_BCS = torch.bmm(next_BCC, matrices_BCS)
        offsets_BC1 = torch.bmm(next_BCC, offsets_BC1) + offset_BC[:, :, None]
    return matrices_BCS, offsets_BC1
