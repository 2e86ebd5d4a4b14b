"""Arrays that lie beside a record: written whole, and no larger than what is looked at.

Shapes: N pictures, H and W pixels, C channels.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from etude.core.files import writing

_BATCH = 64


def save_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays to one compressed file, whole or not at all.

    Raises:
        StorageError: if the disk is full or protected.
    """
    with writing(path) as beside:
        np.savez_compressed(beside.with_suffix(".npz"), **arrays)  # type: ignore[arg-type]


def shrink(
    pictures_NHWC: npt.NDArray[np.generic], places: npt.NDArray[np.int64], size_px: tuple[int, int]
) -> npt.NDArray[np.float32]:
    """Return some pictures at another size, each pixel the mean of what it covers, (N, height, width, C)."""
    if pictures_NHWC.shape[1:3] == size_px:
        return pictures_NHWC[places].astype(np.float32)
    import torch

    done = []
    for start in range(0, len(places), _BATCH):
        some = np.ascontiguousarray(pictures_NHWC[places[start : start + _BATCH]])
        chunk = torch.from_numpy(some).permute(0, 3, 1, 2).float()
        done.append(torch.nn.functional.interpolate(chunk, size_px, mode="area").permute(0, 2, 3, 1).numpy())
    return np.concatenate(done)


def shrink_to_most(
    pictures_NHWC: npt.NDArray[np.generic], places: npt.NDArray[np.int64], most_px: int
) -> npt.NDArray[np.uint8]:
    """Return some pictures, uint8, with no side above `most_px`."""
    found = shrink(pictures_NHWC, places, fitting(pictures_NHWC.shape[1:3], most_px))
    return found.round().astype(np.uint8)


def thin(ids_NHW: npt.NDArray[np.generic], most_px: int) -> npt.NDArray[np.generic]:
    """Return masks with no side above `most_px`: every so many pixels, as ids have no mean."""
    size_px = fitting(ids_NHW.shape[1:], most_px)
    lines, columns = (
        np.linspace(0, n - 1, to).round().astype(int) for n, to in zip(ids_NHW.shape[1:], size_px, strict=True)
    )
    return ids_NHW[:, lines][:, :, columns]


def fitting(size_px: tuple[int, ...], most_px: int) -> tuple[int, int]:
    """Return a height and a width of the same shape with no side above `most_px`.

    >>> fitting((256, 352), 176), fitting((32, 32), 176)
    ((128, 176), (32, 32))
    """
    share = min(1.0, most_px / max(size_px))
    return max(1, round(size_px[0] * share)), max(1, round(size_px[1] * share))
