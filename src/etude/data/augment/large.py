"""Large pictures on a CPU: warp and color picture by picture, on the bytes themselves, by OpenCV.

A part of a batch as planar float32 leaves a core's cache at every step, and two cores then wait for the same memory;
bytes stay. Rounding costs half a level; the draws are those of `geometry` and `color`. Measured by
`benchmarks/loading.py`.

Shape suffixes: B picture, H row, W column, C channel, S channel of the source.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from etude.data.augment.color import ColorDraw, compose
from etude.data.augment.draw import Draw
from etude.data.augment.geometry import VOID

Matrix = npt.NDArray[np.float64]
SMALL_PX = 64 * 64
"""Pictures with fewer pixels than this go a whole batch at a time: their time goes into calls, not into memory."""


def is_large(images_BHWC: Tensor) -> bool:
    """Whether these pictures are for this module."""
    return images_BHWC.device.type == "cpu" and images_BHWC.shape[1] * images_BHWC.shape[2] >= SMALL_PX


def warp_bytes(
    images_BHWC: Tensor, masks_BHW: Tensor | None, matrices_B33: Tensor, to_px: tuple[int, int] | None = None
) -> tuple[Tensor, Tensor | None]:
    """Apply any matrices with one bilinear warp (masks: nearest), as `geometry.warp` does.

    Args:
        images_BHWC: uint8, contiguous, on the CPU.
        masks_BHW: uint8 ids of the same size, or None.
        matrices_B33: float32, from the result to the source, in pixels from the centre.
        to_px: height and width of the result; by default those of the pictures.

    Returns:
        The pictures, uint8 (B, H, W, 3), and the masks; outside the source reflections, and void.
    """
    size_px = (images_BHWC.shape[1], images_BHWC.shape[2])
    made_px = to_px or size_px
    matrices = _from_corners(matrices_B33.double().numpy(), made_px, size_px)
    made_BHWC = np.empty((len(images_BHWC), *made_px, 3), np.uint8)
    made_BHW = None if masks_BHW is None else np.empty((len(images_BHWC), *made_px), np.uint8)
    for row, matrix in enumerate(matrices):
        _warp_picture(images_BHWC[row].numpy(), matrix, made_BHWC[row])
        if masks_BHW is not None and made_BHW is not None:
            _apply(masks_BHW[row].to(torch.uint8).numpy(), matrix, made_BHW[row], nearest=True)
    masks = None if made_BHW is None or masks_BHW is None else torch.from_numpy(made_BHW).to(masks_BHW.dtype)
    return torch.from_numpy(made_BHWC), masks


def recolor_bytes(images_BHWC: Tensor, draws: Sequence[ColorDraw], draw: Draw) -> Tensor:
    """Apply the color augmentations in turn, as one map a picture, as `color.recolor` does.

    Args:
        images_BHWC: uint8, on the CPU; not changed.
        draws: the functions of the augmentations.
        draw: the draws of these pictures.

    Returns:
        uint8 pictures, rounded and clamped.
    """
    cv2 = _opencv()
    pictures = images_BHWC.numpy()
    # Twenty times as fast as `cv2.mean`, which counts a mask that is not there.
    sums_BC = torch.tensor([cv2.sumElems(picture)[:3] for picture in pictures], dtype=torch.float64)
    mean_BC = (sums_BC / (pictures.shape[1] * pictures.shape[2])).float()
    matrices_BCS, offsets_BC1 = compose(mean_BC, draws, draw)
    maps = torch.cat((matrices_BCS, offsets_BC1), dim=2).numpy()
    made_BHWC = np.empty(pictures.shape, np.uint8)
    for picture, color_map, made in zip(pictures, maps, made_BHWC, strict=True):
        cv2.transform(picture, color_map, dst=made)
    return torch.from_numpy(made_BHWC)


@cache
def _opencv() -> Any:  # noqa: ANN401 - a module
    """Import OpenCV; threads are the loader's to give, and its own would wait for the same cores."""
    import cv2

    cv2.setNumThreads(1)
    return cv2


def _from_corners(matrices_B33: Matrix, made_px: tuple[int, int], size_px: tuple[int, int]) -> Matrix:
    """Return the matrices in pixels from the top left corner, their last number 1."""
    to_centre, from_centre = np.eye(3), np.eye(3)
    to_centre[:2, 2] = [-(side - 1) / 2 for side in made_px[::-1]]
    from_centre[:2, 2] = [(side - 1) / 2 for side in size_px[::-1]]
    whole_B33: Matrix = from_centre @ matrices_B33 @ to_centre
    return whole_B33 / whole_B33[:, 2:, 2:]


def _warp_picture(picture_HWC: npt.NDArray[np.uint8], matrix: Matrix, made: npt.NDArray[np.uint8]) -> None:
    """Warp one picture; its reflection is laid around it first, which is faster than to fold every coordinate."""
    cv2 = _opencv()
    height, width = picture_HWC.shape[:2]
    margins = _margins(matrix, made.shape[:2], (height, width))
    if margins is None:
        _apply(picture_HWC, matrix, made, nearest=False)
        return
    top, bottom, left, right = margins
    if any(margins):
        picture_HWC = cv2.copyMakeBorder(picture_HWC, top, bottom, left, right, cv2.BORDER_REFLECT_101)
        matrix = np.array([[1.0, 0.0, left], [0.0, 1.0, top], [0.0, 0.0, 1.0]]) @ matrix
    _apply(picture_HWC, matrix, made, nearest=False, inside=True)


def _margins(matrix: Matrix, made_px: tuple[int, ...], size_px: tuple[int, int]) -> tuple[int, int, int, int] | None:
    """Return how far above, below, left and right of the source the result looks; None if a margin cannot do it."""
    height, width = size_px
    last_y, last_x = made_px[0] - 1.0, made_px[1] - 1.0
    corners = matrix @ np.array([[0.0, last_x, 0.0, last_x], [0.0, 0.0, last_y, last_y], [1.0, 1.0, 1.0, 1.0]])
    if corners[2].min() < 0.05:
        return None
    x, y = corners[0] / corners[2], corners[1] / corners[2]
    found = (-y.min(), y.max() - (height - 1), -x.min(), x.max() - (width - 1))
    top, bottom, left, right = (math.ceil(far) + 1 if far > 0 else 0 for far in found)
    return (top, bottom, left, right) if max(top, bottom) < height and max(left, right) < width else None


def _apply(
    source: npt.NDArray[np.uint8],
    matrix: Matrix,
    made: npt.NDArray[np.uint8],
    *,
    nearest: bool,
    inside: bool = False,
) -> None:
    """Look up every pixel of the result."""
    cv2 = _opencv()
    how = (cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR) | cv2.WARP_INVERSE_MAP
    border = cv2.BORDER_CONSTANT if nearest or inside else cv2.BORDER_REFLECT_101
    size = (made.shape[1], made.shape[0])
    if matrix[2, 0] == 0.0 and matrix[2, 1] == 0.0:
        cv2.warpAffine(source, matrix[:2], size, dst=made, flags=how, borderMode=border, borderValue=VOID)
    else:
        cv2.warpPerspective(source, matrix, size, dst=made, flags=how, borderMode=border, borderValue=VOID)
