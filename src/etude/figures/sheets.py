"""Sheets of pictures, one below the other, each with its caption."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CAPTION_IN = 0.3


def draw_sheets(sheets: Sequence[tuple[str, npt.NDArray[np.uint8]]], *, width_in: float) -> Figure:
    """Draw sheets, each as wide as the figure.

    Args:
        sheets: captions and pixels (H, W, 3).
        width_in: in inches.
    """
    from matplotlib.figure import Figure

    heights_in = [width_in * pixels.shape[0] / pixels.shape[1] + _CAPTION_IN for _, pixels in sheets]
    figure = Figure(figsize=(width_in, sum(heights_in)))
    top_in = sum(heights_in)
    for (caption, pixels), height_in in zip(sheets, heights_in, strict=True):
        bottom = (top_in - height_in) / sum(heights_in)
        axes = figure.add_axes((0.0, bottom, 1.0, (height_in - _CAPTION_IN) / sum(heights_in)))
        axes.imshow(pixels, interpolation="nearest")
        axes.set_axis_off()
        axes.set_title(caption, fontsize="medium", loc="left", pad=4)
        top_in -= height_in
    return figure
