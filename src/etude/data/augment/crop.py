"""Crops: which window of each picture becomes the picture of the batch.

The window is one more movement of `geometry`: its translation goes before all others, so that a crop costs no pass of
its own and what is turned or magnified is the window, about its own centre.

Shape suffixes: P picture of a part of the batch, H row, W column.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from etude.data.augment.draw import Draw
from etude.pictures.prepare import VOID


@dataclasses.dataclass(frozen=True)
class Crop:
    """How windows are drawn."""

    size_px: tuple[int, int]
    """Height and width of the window."""

    balanced: float = 0.0
    """Share of the windows that are laid about a pixel of a class drawn evenly among those of the picture."""


def lay_windows(crop: Crop, draw: Draw, size_px: tuple[int, int], masks_PHW: Tensor | None) -> Tensor:
    """Draw a window for each picture, inside it, at whole pixels.

    Args:
        crop: the size, and how it is laid.
        draw: the draws of these pictures.
        size_px: height and width of the pictures, at least those of the window.
        masks_PHW: ids; 255 is void. Without masks no window is balanced.

    Returns:
        Matrices (P, 3, 3), float32 on the CPU, from the window's coordinates to the picture's, as in `geometry`.
    """
    room_y, room_x = (side - window for side, window in zip(size_px, crop.size_px, strict=True))
    top_P = (draw.uniform(0.0, 1.0) * (room_y + 1)).floor().clamp(max=room_y)
    left_P = (draw.uniform(0.0, 1.0) * (room_x + 1)).floor().clamp(max=room_x)
    if crop.balanced > 0 and masks_PHW is not None:
        is_chosen_P, class_P, pixel_P = draw.chance(crop.balanced), draw.uniform(0.0, 1.0), draw.uniform(0.0, 1.0)
        for row in torch.nonzero(is_chosen_P).flatten().tolist():
            pixel = draw_pixel(masks_PHW[row], float(class_P[row]), float(pixel_P[row]))
            if pixel is not None:
                top_P[row] = min(max(pixel[0] - crop.size_px[0] // 2, 0), room_y)
                left_P[row] = min(max(pixel[1] - crop.size_px[1] // 2, 0), room_x)
    matrices_P33 = torch.eye(3).repeat(draw.count, 1, 1)
    matrices_P33[:, 0, 2] = left_P - room_x / 2
    matrices_P33[:, 1, 2] = top_P - room_y / 2
    return matrices_P33


def draw_pixel(mask_HW: Tensor, which_class: float, which_pixel: float) -> tuple[int, int] | None:
    """Return the row and column of a pixel of a class; None where the mask is all void.

    Args:
        mask_HW: ids.
        which_class: a number in [0, 1) that chooses among the classes of the mask, each as likely as another.
        which_pixel: one that chooses among the pixels of the class.
    """
    counts = torch.bincount(mask_HW.flatten(), minlength=VOID + 1)
    present = torch.nonzero(counts[:VOID]).flatten()
    if not len(present):
        return None
    number = int(present[int(which_class * len(present))])
    place = int(which_pixel * int(counts[number]))
    at = int(torch.nonzero(mask_HW.flatten() == number)[place])
    return divmod(at, mask_HW.shape[1])
