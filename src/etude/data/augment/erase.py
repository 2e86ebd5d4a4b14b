"""Erase: boxes hidden under the mean colour, which is 0 in a normalised picture. Masks keep their ids.

An erasing augmentation is a function `(Draw) -> boxes_B4`, int64 on the CPU: top, left, bottom, right in pixels,
bottom and right excluded, inside the picture; an empty box erases nothing.

Shape suffixes: B picture, H row, W column, C channel.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from etude.data.augment.draw import Draw


def cutout(draw: Draw) -> Tensor:
    """Draw a square, a quarter of the shorter side at strength 1, whose centre is any pixel of the picture.

    DeVries and Taylor, "Improved regularization of convolutional neural networks with Cutout", 2017.
    """
    side_px = round(min(draw.height_px, draw.width_px) / 4 * draw.strength)
    sides_B = torch.full((draw.count,), side_px)
    return draw_boxes(draw, sides_B, sides_B)


def draw_boxes(draw: Draw, heights_B: Tensor, widths_B: Tensor) -> Tensor:
    """Return boxes of these sizes (int64) about centres drawn evenly over the picture, cut off at its border."""
    top_B = draw.integers(0, draw.height_px - 1) - heights_B // 2
    left_B = draw.integers(0, draw.width_px - 1) - widths_B // 2
    return torch.stack(
        (
            top_B.clamp(min=0),
            left_B.clamp(min=0),
            (top_B + heights_B).clamp(0, draw.height_px),
            (left_B + widths_B).clamp(0, draw.width_px),
        ),
        dim=1,
    )


def areas(boxes_B4: Tensor) -> Tensor:
    """Return the number of pixels in each box, int64 (B,)."""
    top_B, left_B, bottom_B, right_B = boxes_B4.unbind(1)
    return (bottom_B - top_B).clamp(min=0) * (right_B - left_B).clamp(min=0)


def fill(images_BHWC: Tensor, boxes_B4: Tensor, content_BHWC: Tensor | None = None) -> None:
    """Fill a box of each picture with 0, or with what another batch has there; in place.

    Args:
        images_BHWC: any strides and dtype; without its last axis, masks.
        boxes_B4: int64 on the CPU.
        content_BHWC: what to paste, of the same shape, or None to erase.
    """
    if images_BHWC.device.type == "cpu":
        _fill_one_by_one(images_BHWC, boxes_B4, content_BHWC)
        return
    inside_BHW = _inside(boxes_B4.to(images_BHWC.device), *images_BHWC.shape[1:3])
    inside = inside_BHW if images_BHWC.ndim == 3 else inside_BHW[..., None]
    if content_BHWC is None:
        images_BHWC.masked_fill_(inside, 0)
    else:
        images_BHWC.copy_(torch.where(inside, content_BHWC, images_BHWC))


def _fill_one_by_one(images_BHWC: Tensor, boxes_B4: Tensor, content_BHWC: Tensor | None) -> None:
    """Touch the boxes alone, through NumPy: a quarter of the time of a mask over the whole batch on a CPU."""
    pictures = _as_numpy(images_BHWC)
    content = None if content_BHWC is None else _as_numpy(content_BHWC)
    for number, (top, left, bottom, right) in enumerate(boxes_B4.tolist()):
        pictures[number, top:bottom, left:right] = 0 if content is None else content[number, top:bottom, left:right]


def _as_numpy(tensor: Tensor) -> np.ndarray:
    """Return the same memory; bfloat16, which NumPy lacks, as 16-bit integers, whose zero is its zero."""
    array: np.ndarray = (tensor.view(torch.int16) if tensor.dtype == torch.bfloat16 else tensor).numpy()
    return array


def _inside(boxes_B4: Tensor, height_px: int, width_px: int) -> Tensor:
    """Return bool (B, H, W): which pixels are in the box of their picture."""
    top_B1, left_B1, bottom_B1, right_B1 = boxes_B4[:, :, None].unbind(1)
    y_H = torch.arange(height_px, device=boxes_B4.device)
    x_W = torch.arange(width_px, device=boxes_B4.device)
    rows_BH = (y_H >= top_B1) & (y_H < bottom_B1)
    columns_BW = (x_W >= left_B1) & (x_W < right_B1)
    return rows_BH[:, :, None] & columns_BW[:, None, :]
