"""How near a picture is to one of the training pictures, by the pixels of both: whether it is a copy.

Pictures are made small and their contrast equal, and a training picture is tried mirrored, moved and enlarged too, so
that a copy that is blurred, brighter, noisy, mirrored, shifted or zoomed is found. Features of a pretrained network do
not do: they miss noise and blur, and find what generators draw badly near to whatever training picture has a texture
like it.

Shapes: M pictures, T training pictures, S×S the side they are brought to, D numbers of a small picture.
"""

from __future__ import annotations

import itertools
from typing import Final

import numpy as np
import numpy.typing as npt

from etude.metrics.registry import Doubles

NEIGHBOURS: Final = 10
"""Training pictures of which the nearest is set against the others, to tell a copy."""
_SIDE: Final = 32
_WINDOW: Final = 24
_WINDOWS: Final = (_WINDOW, 16)
"""Sides of the parts of a training picture that are tried: as large as what is compared, and enlarged by half."""
_STEP: Final = 2
_BLOCKS: Final = 8
_CHUNK: Final = 2048
"""Training pictures that are compared with at a time, which bounds memory."""

Pixels = npt.NDArray[np.uint8]
Small = npt.NDArray[np.float32]


def nearness(
    pictures_MHWC: Pixels, training_THWC: Pixels, own_M: npt.NDArray[np.int64] | None = None
) -> tuple[Doubles, npt.NDArray[np.int64]]:
    """Return how near each picture (M,) is to its nearest training picture, and which one that is.

    The distance to the nearest over the mean distance to the next nine: in 0..1, near 0 for a copy, near 1 for a
    picture that is about as far from many. Beside those nine a picture that is only less various than photographs, and
    so near to all of them, is no copy. Compared are the middles of the pictures, three quarters of their side, reduced
    to 8×8 with mean 0 and deviation 1; the distance to a training picture is the least over 25 places of such a window,
    up to an eighth of the side away, over 81 places of one of two thirds of that, which enlarges it by half, and over
    its mirror image.

    Source: Carlini et al. 2023, arXiv 2301.13188, section 5.

    Args:
        pictures_MHWC: square RGB pictures, uint8.
        training_THWC: as many pixels each.
        own_M: which training picture each picture is itself, and is not compared with; none are where none are given.
    """
    middle = (_SIDE - _WINDOW) // 2
    wanted_MD = _reduce(_bring(pictures_MHWC), middle, middle, _WINDOW)
    near_MK = np.full((len(wanted_MD), 0), np.inf, np.float32)
    at_M = np.zeros(len(wanted_MD), np.int64)
    for start in range(0, len(training_THWC), _CHUNK):
        squares_MT = _squares(wanted_MD, _bring(training_THWC[start : start + _CHUNK]))
        if own_M is not None:
            here_M = np.flatnonzero((own_M >= start) & (own_M < start + squares_MT.shape[1]))
            squares_MT[here_M, own_M[here_M] - start] = np.inf
        is_nearer_M = squares_MT.min(1) < near_MK.min(1, initial=np.inf)
        at_M = np.where(is_nearer_M, start + squares_MT.argmin(1), at_M)
        near_MK = np.sort(np.concatenate([near_MK, squares_MT], axis=1), axis=1)[:, :NEIGHBOURS]
    found_MK = np.sqrt(np.maximum(near_MK, 0).astype(np.float64))
    others_M = found_MK[:, 1:].mean(1) if found_MK.shape[1] > 1 else np.zeros(len(found_MK))
    ratios_M = np.divide(found_MK[:, 0], others_M, out=np.zeros_like(others_M), where=others_M > 0)
    return ratios_M, at_M


def _squares(wanted_MD: Small, training_TSSC: Small) -> Small:
    """Return the least squared distance (M, T) of each wanted picture to all windows of each training picture."""
    length_M = (wanted_MD**2).sum(1)
    least_MT = np.full((len(wanted_MD), len(training_TSSC)), np.inf, np.float32)
    for turn, window in itertools.product((1, -1), _WINDOWS):
        turned_TSSC, places = training_TSSC[:, :, ::turn], range(0, _SIDE - window + 1, _STEP)
        for top, left in itertools.product(places, places):
            window_TD = _reduce(turned_TSSC, top, left, window)
            squares_MT = length_M[:, None] + (window_TD**2).sum(1) - 2 * wanted_MD @ window_TD.T
            np.minimum(least_MT, squares_MT, out=least_MT)
    return least_MT


def _bring(pictures_NHWC: Pixels) -> Small:
    """Return the pictures at S×S: means of blocks, or pixels repeated where they are smaller."""
    pictures = np.asarray(pictures_NHWC)
    side = pictures.shape[1]
    if side < _SIDE:
        times = _SIDE // side
        return pictures.repeat(times, 1).repeat(times, 2).astype(np.float32)
    size = side // _SIDE
    small: Small = pictures.reshape(len(pictures), _SIDE, size, _SIDE, size, 3).mean((2, 4), dtype=np.float32)
    return small


def _reduce(pictures_NSSC: Small, top: int, left: int, side: int) -> Small:
    """Return one window of each picture, its blocks averaged and its contrast made equal, (N, D)."""
    block = side // _BLOCKS
    window = pictures_NSSC[:, top : top + side, left : left + side]
    means_ND = window.reshape(len(window), _BLOCKS, block, _BLOCKS, block, 3).mean((2, 4)).reshape(len(window), -1)
    means_ND = means_ND - means_ND.mean(1, keepdims=True)
    deviation_N1 = means_ND.std(1, keepdims=True)
    reduced: Small = np.divide(means_ND, deviation_N1, out=np.zeros_like(means_ND), where=deviation_N1 > 0)
    return reduced
