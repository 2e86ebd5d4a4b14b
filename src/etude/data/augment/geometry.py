"""Geometry: every movement is a matrix, and the matrices of a batch become one gather or one warp.

A geometric augmentation is a function `(Draw) -> matrices_B33`, float32 on the CPU: for each picture, from the
coordinates (x, y, 1) of the result to those of the source, up to a factor, in pixels from the centre, x to the right,
y down.
Where all of them move whole pixels the result is gathered as uint8; otherwise one bilinear warp does them all.
Outside the source a picture shows its reflection (the border pixel not repeated) and a mask is void.

Shape suffixes: B picture, H row, W column, C channel.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from etude.data.augment.draw import Draw

VOID = 255
"""The id of a mask's pixels that no loss and no score looks at."""


def flip(draw: Draw) -> Tensor:
    """Mirror half of the pictures left to right."""
    mirrored_B = draw.chance(0.5 * min(draw.strength, 1.0))
    return _linear(torch.where(mirrored_B, -1.0, 1.0), 0.0, 0.0, 1.0)


def shift(draw: Draw) -> Tensor:
    """Move by whole pixels, up to an eighth of each side at strength 1."""
    reach_x, reach_y = (int(draw.strength * side / 8) for side in (draw.width_px, draw.height_px))
    matrices_B33 = torch.eye(3).repeat(draw.count, 1, 1)
    matrices_B33[:, 0, 2] = draw.integers(-reach_x, reach_x).float()
    matrices_B33[:, 1, 2] = draw.integers(-reach_y, reach_y).float()
    return matrices_B33


def rotate(draw: Draw) -> Tensor:
    """Turn about the centre, up to 15 degrees either way at strength 1."""
    reach = math.radians(15.0 * draw.strength)
    angle_B = draw.uniform(-reach, reach)
    cosine_B, sine_B = angle_B.cos(), angle_B.sin()
    return _linear(cosine_B, -sine_B, sine_B, cosine_B)


def scale(draw: Draw) -> Tensor:
    """Magnify about the centre by 0.8 to 1.25 at strength 1, evenly in the logarithm."""
    reach = math.log(1.25) * draw.strength
    shrink_B = draw.uniform(-reach, reach).exp()
    return _linear(shrink_B, 0.0, 0.0, shrink_B)


def perspective(draw: Draw) -> Tensor:
    """Look from another side: one border nears and the one across from it recedes, by up to 15 % at strength 1."""
    reach = min(0.15 * draw.strength, 0.45)
    matrices_B33 = torch.eye(3).repeat(draw.count, 1, 1)
    for axis, side in ((0, draw.width_px), (1, draw.height_px)):
        matrices_B33[:, 2, axis] = draw.uniform(-reach, reach) / (side / 2)
    return matrices_B33


def _linear(xx: Tensor, xy: Tensor | float, yx: Tensor | float, yy: Tensor | float) -> Tensor:
    """Return (B, 3, 3) matrices with these linear parts and no translation."""
    matrices_B33 = torch.zeros(len(xx), 3, 3)
    matrices_B33[:, 0, 0] = xx
    matrices_B33[:, 0, 1] = xy
    matrices_B33[:, 1, 0] = yx
    matrices_B33[:, 1, 1] = yy
    matrices_B33[:, 2, 2] = 1.0
    return matrices_B33


def move_pixels(
    images_BHWC: Tensor, masks_BHW: Tensor | None, matrices_B33: Tensor, to_px: tuple[int, int] | None = None
) -> tuple[Tensor, Tensor | None]:
    """Apply matrices that take whole pixels to whole pixels along the axes (flips, whole shifts and crops).

    Args:
        images_BHWC: uint8, contiguous.
        masks_BHW: ids of the same size, or None.
        matrices_B33: float32 on the CPU.
        to_px: height and width of the result; by default those of the pictures.

    Returns:
        The moved pictures (same dtype, contiguous) and masks.
    """
    B, H, W, C = images_BHWC.shape
    to_h, to_w = to_px or (H, W)
    x_BW = _source_positions(matrices_B33[:, 0, 0], matrices_B33[:, 0, 2], W, to_w).to(images_BHWC.device)
    y_BH = _source_positions(matrices_B33[:, 1, 1], matrices_B33[:, 1, 2], H, to_h).to(images_BHWC.device)
    first_row_B1 = torch.arange(B, device=images_BHWC.device, dtype=x_BW.dtype)[:, None] * H
    index_BHW = ((first_row_B1 + _reflect(y_BH, H)) * W)[:, :, None] + _reflect(x_BW, W)[:, None, :]
    flat_index = index_BHW.view(-1)
    moved_BHWC = images_BHWC.view(-1, C).index_select(0, flat_index).view(B, to_h, to_w, C)
    if masks_BHW is None:
        return moved_BHWC, None
    moved_BHW = masks_BHW.reshape(-1).index_select(0, flat_index).view(B, to_h, to_w)
    outside_BHW = _outside(y_BH, H)[:, :, None] | _outside(x_BW, W)[:, None, :]
    return moved_BHWC, moved_BHW.masked_fill_(outside_BHW, VOID)


def warp(
    images_BHWC: Tensor, masks_BHW: Tensor | None, matrices_B33: Tensor, to_px: tuple[int, int] | None = None
) -> tuple[Tensor, Tensor | None]:
    """Apply any matrices with one bilinear warp (masks: nearest).

    Args:
        images_BHWC: uint8.
        masks_BHW: ids of the same size, or None.
        matrices_B33: float32 on the CPU.
        to_px: height and width of the result; by default those of the pictures.

    Returns:
        The pictures as planar float32 (B, C, H, W) in 0..255, and the masks.
    """
    size_px = (images_BHWC.shape[1], images_BHWC.shape[2])
    # Planar, because `grid_sample` and the color matrices are fastest there.
    images_BCHW = images_BHWC.permute(0, 3, 1, 2).to(torch.float32, memory_format=torch.contiguous_format)
    grid_BHW2 = _source_grid(matrices_B33.to(images_BHWC.device), to_px or size_px, size_px)
    warped_BCHW = F.grid_sample(images_BCHW, grid_BHW2, padding_mode="reflection", align_corners=True)
    if masks_BHW is None:
        return warped_BCHW, None
    # Void is 0 here, so that it is what `grid_sample` finds outside; ids are whole and exact in float32.
    shifted_BHW = masks_BHW.to(torch.float32).sub_(VOID)
    warped_BHW = F.grid_sample(shifted_BHW[:, None], grid_BHW2, mode="nearest", align_corners=True)[:, 0]
    return warped_BCHW, warped_BHW.add_(VOID).to(masks_BHW.dtype)


def _source_positions(sign_B: Tensor, offset_B: Tensor, size: int, to_size: int) -> Tensor:
    """Return int32 (B, to_size): where along one axis each result pixel comes from, before reflection."""
    from_centre = torch.arange(to_size) - (to_size - 1) / 2
    return (sign_B[:, None] * from_centre + (offset_B[:, None] + (size - 1) / 2)).round_().int()


def _reflect(position: Tensor, size: int) -> Tensor:
    """Fold positions at most one picture outside back into 0..size-1, the border pixel not repeated."""
    return (size - 1) - ((size - 1) - position.abs()).abs()


def _outside(position: Tensor, size: int) -> Tensor:
    return (position < 0) | (position >= size)


def _source_grid(matrices_B33: Tensor, to_px: tuple[int, int], size_px: tuple[int, int]) -> Tensor:
    """Return float32 (B, H, W, 2): source coordinates (x, y), -1 and 1 being the centres of the border pixels.

    H and W are those of the result, `to_px`; the source has the size `size_px`.

    A sum of a broadcast row and a broadcast column, x and y as one complex number: `affine_grid` takes a matrix product
    for it and is a hundred times slower here.
    """
    half_w, half_h = max(size_px[1] - 1, 1) / 2, max(size_px[0] - 1, 1) / 2
    device = matrices_B33.device
    y_H, x_W = (torch.arange(side, device=device) - (side - 1) / 2 for side in to_px)
    both_B3 = torch.complex(matrices_B33[:, 0] / half_w, matrices_B33[:, 1] / half_h)
    columns_BW = both_B3[:, 0, None] * x_W
    rows_BH = both_B3[:, 1, None] * y_H + both_B3[:, 2, None]
    grid_BHW2 = torch.view_as_real(columns_BW[:, None, :] + rows_BH[:, :, None])
    last_B3 = matrices_B33[:, 2]
    if not bool(last_B3[:, :2].any()):
        return grid_BHW2
    depth_BHW = (last_B3[:, 0, None] * x_W)[:, None, :] + (last_B3[:, 1, None] * y_H + last_B3[:, 2, None])[:, :, None]
    # Far outside the picture a strong draw may bring the depth to nothing: what is seen there is reflections anyway.
    return grid_BHW2.div_(depth_BHW.clamp_(min=0.05)[..., None])
