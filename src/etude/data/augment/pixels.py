"""Pixels: what changes each pixel by itself or by its neighbours.

Haze and rain are those of street scenes: the far is above, the near below.

A pixel augmentation is a function `(Draw, images_BCHW) -> images_BCHW` on planar float32 in 0..255, which it may
change in place; the result is clamped to 0..255 after the last.

Shape suffixes: B picture, H row, W column, C channel.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from etude.data.augment.draw import Draw

_QUANTA_OF_LIGHT = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
"""Quantisation of luminance at quality 50 (ITU-T T.81, table K.1)."""
_QUANTA_OF_COLOR = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *[(99,) * 8] * 4,
)
"""Quantisation of the two color differences at quality 50 (ITU-T T.81, table K.2)."""


def noise(draw: Draw, images_BCHW: Tensor) -> Tensor:
    """Add Gaussian noise whose standard deviation is drawn for each picture: up to 0.05 × 255 at strength 1."""
    deviation_B = draw.uniform(0.0, 0.05 * draw.strength * 255.0).to(images_BCHW.device)
    noise_BCHW = draw.normal(tuple(images_BCHW.shape))
    return images_BCHW.addcmul_(noise_BCHW, deviation_B[:, None, None, None])


def blur(draw: Draw, images_BCHW: Tensor) -> Tensor:
    """Blur with a Gaussian whose deviation is up to a 128th of the shorter side, or 0.8 pixel, at strength 1."""
    reach_px = max(0.8, min(draw.height_px, draw.width_px) / 128) * draw.strength
    deviation_B = draw.uniform(0.05, max(reach_px, 0.05)).to(images_BCHW.device)
    radius = min(math.ceil(3 * reach_px), draw.height_px - 1, draw.width_px - 1)
    if radius < 1:
        return images_BCHW
    offsets_K = torch.arange(-radius, radius + 1, device=images_BCHW.device)
    weights_BK = torch.exp(-(offsets_K**2) / (2 * deviation_B[:, None] ** 2))
    weights_BK /= weights_BK.sum(1, keepdim=True)
    for axis in (2, 3):
        margin = (0, 0, radius, radius) if axis == 2 else (radius, radius, 0, 0)
        padded = F.pad(images_BCHW, margin, mode="reflect")
        images_BCHW = torch.zeros_like(images_BCHW)
        for step, weight_B in enumerate(weights_BK.unbind(1)):
            part = padded.narrow(axis, step, images_BCHW.shape[axis])
            images_BCHW.addcmul_(part, weight_B[:, None, None, None])
    return images_BCHW


def jpeg(draw: Draw, images_BCHW: Tensor) -> Tensor:
    """Lose what JPEG loses, without halving the color's resolution: quality 95 down to 35 at strength 1."""
    worst = max(5.0, 95.0 - 60.0 * draw.strength)
    return compress(images_BCHW, draw.uniform(worst, 95.0).to(images_BCHW.device))


def compress(images_BCHW: Tensor, quality_B: Tensor) -> Tensor:
    """Return what JPEG leaves of pictures: blocks of 8 × 8, their cosine transform quantised (ITU-T T.81).

    Args:
        images_BCHW: float32 in 0..255.
        quality_B: from 1 (worst) to 100, on the scale of the Independent JPEG Group.
    """
    B, C, H, W = images_BCHW.shape
    device = images_BCHW.device
    padded = F.pad(images_BCHW.clamp(0.0, 255.0), (0, -W % 8, 0, -H % 8), mode="replicate")
    to_ycc_CC = torch.tensor(
        [[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], device=device
    )
    rows, columns = padded.shape[2] // 8, padded.shape[3] // 8
    planes_BCN = torch.matmul(to_ycc_CC, padded.flatten(2))
    planes_BCN[:, 0] -= 128.0
    blocks = planes_BCN.view(B, C, rows, 8, columns, 8).transpose(3, 4)
    frequency_8, place_8 = torch.arange(8.0, device=device)[:, None], torch.arange(8.0, device=device)
    cosine_88 = torch.cos((2 * place_8 + 1) * frequency_8 * (math.pi / 16)) / 2
    cosine_88[0] /= math.sqrt(2)
    light_88, color_88 = (torch.tensor(table, device=device) for table in (_QUANTA_OF_LIGHT, _QUANTA_OF_COLOR))
    quanta_C88 = torch.stack((light_88, color_88, color_88)).float()
    percent_B = torch.where(quality_B < 50, 5000 / quality_B, 200 - 2 * quality_B)
    steps_BC88 = ((quanta_C88 * percent_B[:, None, None, None] + 50) / 100).floor_().clamp_(1, 255)[:, :, None, None]
    quantised = (cosine_88 @ blocks @ cosine_88.T).div_(steps_BC88).round_().mul_(steps_BC88)
    planes_BCN = (cosine_88.T @ quantised @ cosine_88).transpose(3, 4).reshape(B, C, -1)
    planes_BCN[:, 0] += 128.0
    restored = torch.matmul(torch.linalg.inv(to_ycc_CC.cpu()).to(device), planes_BCN)
    return restored.view_as(padded)[:, :, :H, :W].clamp(0.0, 255.0).contiguous()


def haze(draw: Draw, images_BCHW: Tensor) -> Tensor:
    """Veil the far with a grey light: the top loses up to 60 % of its contrast at strength 1, the bottom 17 %.

    Koschmieder's law, `light × t + veil × (1 - t)`; the transmission t falls exponentially with the distance, which is
    1 at the top and 0.2 at the bottom.
    """
    depth_B = draw.uniform(0.0, 0.92 * draw.strength)[:, None]
    veil_B = draw.uniform(180.0, 240.0).to(images_BCHW.device)
    distance_H = torch.linspace(1.0, 0.2, draw.height_px)
    kept_BH = torch.exp(-depth_B * distance_H).to(images_BCHW.device)[:, None, :, None]
    return images_BCHW.mul_(kept_BH).add_(veil_B[:, None, None, None] * (1.0 - kept_BH))


def rain(draw: Draw, images_BCHW: Tensor) -> Tensor:
    """Draw bright streaks that fall at one slant a picture, under a darker sky: up to one for 200 pixels."""
    B, _, H, W = images_BCHW.shape
    heavy_B = draw.uniform(0.0, min(draw.strength, 2.0))
    slant_B = draw.uniform(-0.35, 0.35)
    most, length_px = max(1, H * W // 100), max(2, H // 12)
    starts_B3S = draw.even((B, 3, most))
    fall_L = torch.arange(length_px)
    top_BS = (starts_B3S[:, 0] * (H + length_px)).floor() - length_px
    y_BSL = (top_BS[:, :, None] + fall_L).long()
    x_BSL = (starts_B3S[:, 1, :, None] * W + slant_B[:, None, None] * fall_L).long() % W
    seen_BSL = (y_BSL >= 0) & (y_BSL < H) & (starts_B3S[:, 2] < heavy_B[:, None] / 2)[:, :, None]
    pixel_BSL = torch.where(seen_BSL, y_BSL * W + x_BSL, H * W)  # what is not seen goes to one pixel beyond the last
    streaks_BN = torch.zeros(B, H * W + 1).scatter_(1, pixel_BSL.flatten(1), 1.0)
    strength_B = (0.15 + 0.25 * heavy_B.clamp(max=1.0)) * (heavy_B > 0)
    streaks_B1HW = (streaks_BN[:, :-1].view(B, 1, H, W) * strength_B[:, None, None, None]).to(images_BCHW.device)
    images_BCHW = images_BCHW.mul_((1.0 - 0.15 * heavy_B).to(images_BCHW.device)[:, None, None, None])
    return images_BCHW.add_((220.0 - images_BCHW).mul_(streaks_B1HW))
