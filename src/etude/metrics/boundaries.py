"""Boundary F1: how well the contours of each class were found.

A contour pixel is right where the other mask has a contour of the same class within a tolerance. Csurka et al., "What
is a good evaluation measure for semantic segmentation?", 2013; here pixels are counted over the whole part, as for IoU.

Shapes: H and W pixels, K classes, `...` any leading axes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from etude.metrics.registry import Doubles

TOLERANCE = 0.0075
"""Distance up to which a contour counts as found, as a share of the picture's diagonal; it is rounded to the nearest
whole pixel, and is at least one: 4 px at 360 × 480, which is 0.67 % of the diagonal."""
_BITS = 32
"""Classes that are looked at together, each a bit of a pixel."""
Bits = npt.NDArray[np.unsignedinteger[Any]]


def boundary_counts(
    truth_HW: npt.NDArray[np.uint8], predicted_HW: npt.NDArray[np.uint8], n_classes: int, void: int = 255
) -> npt.NDArray[np.int64]:
    """Count the contour pixels of one picture.

    Args:
        truth_HW: ids, or `void`; no contour is looked for on void pixels or beside them.
        predicted_HW: ids of classes, same shape.
        n_classes: K.
        void: the id of pixels that belong to no class.

    Returns:
        (K, 4) int64: contour pixels of the truth, those of them that were found, contour pixels predicted, those of
        them that are right. Sums over pictures are the counts of the part.
    """
    reach_px = max(1, round(TOLERANCE * math.hypot(*truth_HW.shape)))
    is_void = truth_HW == void
    # What lies on void is no contour, on either side: nobody knows what is there.
    predicted = np.where(is_void, void, predicted_HW)
    counts = np.zeros((n_classes, 4), np.int64)
    for first in range(0, n_classes, _BITS):
        classes = range(first, min(first + _BITS, n_classes))
        true, found = (_contours(mask, classes, is_void) for mask in (truth_HW, predicted))
        near_true, near_found = (_spread(bits, reach_px) for bits in (true, found))
        # A contour pixel has the one bit of its own class, by which it is counted.
        ids_and_bits = (
            (truth_HW, true), (truth_HW, true & near_found), (predicted, found), (predicted, found & near_true),
        )  # fmt: skip
        for column, (ids, bits) in enumerate(ids_and_bits):
            counts[first : classes.stop, column] = np.bincount(ids[bits != 0], minlength=256)[first : classes.stop]
    return counts


def boundary_f1_from(counts: npt.ArrayLike) -> Doubles:
    """Mean over the classes of the harmonic mean of precision and recall of contours. (..., K, 4) to (...).

    In 0..1, higher is better; a class without a contour on either side is left out, NaN where there is none.
    """
    true, found, predicted, right = np.moveaxis(np.asarray(counts, dtype=np.float64), -1, 0)
    with np.errstate(invalid="ignore", divide="ignore"):
        recall, precision = found / true, right / predicted
        f1 = 2 * precision * recall / (precision + recall)
    f1 = np.where((true + predicted > 0) & ~np.isfinite(f1), 0.0, f1)
    present = true + predicted > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        mean: Doubles = np.where(present, np.nan_to_num(f1), 0.0).sum(-1) / present.sum(-1)
    return mean


def _contours(mask_HW: npt.NDArray[np.uint8], classes: range, is_void_HW: npt.NDArray[np.bool_]) -> Bits:
    """Return a bit a class: whether the pixel is of it and has a neighbour (of four) of another class."""
    is_edge = np.zeros(mask_HW.shape, bool)
    for here, there in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        differ = (mask_HW[here] != mask_HW[there]) & ~is_void_HW[here] & ~is_void_HW[there]
        is_edge[here] |= differ
        is_edge[there] |= differ
    kind = next(np.dtype(f"u{size}") for size in (1, 2, 4) if len(classes) <= 8 * size)  # the smaller, the faster
    table = np.zeros(256, kind)
    table[list(classes)] = np.left_shift(1, np.arange(len(classes))).astype(kind)
    return np.where(is_edge, table[mask_HW], kind.type(0))


def _spread(bits_HW: Bits, reach_px: int) -> Bits:
    """Return the bits that are set within a Euclidean distance: a disc, row by row of it from the farthest."""
    spread = np.zeros_like(bits_HW)
    row, width = bits_HW.copy(), 0
    for down in range(min(reach_px, len(row) - 1), -1, -1):
        half = min(math.isqrt(reach_px * reach_px - down * down), row.shape[1] - 1)
        while width < half:
            width += 1
            row[:, width:] |= bits_HW[:, :-width]
            row[:, :-width] |= bits_HW[:, width:]
        spread[: len(row) - down] |= row[down:]
        spread[down:] |= row[: len(row) - down]
    return spread
