"""Pictures side by side in one row of axes: axes for each of them would take ten times as long to lay out and draw."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GAP: Final = 0.06
"""Between pictures of a row, as a share of the width of a cell."""
_SMALL_PX: Final = 64
"""Pictures below this height are enlarged without smoothing."""


def show_row(
    axes: Axes, pictures: Sequence[np.ndarray], columns: int, *, ratio: float = 1.0, cmap: str | None = None
) -> None:
    """Show pictures from the left on, each as large as its cell allows, in its own proportions.

    Args:
        axes: where to.
        pictures: (H, W, 3), or (H, W) with a colour map, each then on its own scale.
        columns: cells of the row; those without a picture stay empty.
        ratio: height of a cell over its width.
        cmap: the colour map.
    """
    cell_across, cell_down = 1 - _GAP, (1 - _GAP) * ratio
    for place, picture in enumerate(pictures):
        height, width = picture.shape[:2]
        across = min(cell_across, cell_down * width / height)
        down = across * height / width
        left, bottom = place + (cell_across - across) / 2, (cell_down - down) / 2
        axes.imshow(
            picture,
            cmap=cmap,
            interpolation=interpolation(picture),
            extent=(left, left + across, bottom, bottom + down),
        )
    axes.set_aspect("equal")
    axes.set_xlim(0, columns - _GAP)
    axes.set_ylim(0, cell_down)
    axes.set_anchor("W")  # from the middle the layout would reckon a name at the left too narrow
    undress(axes)


def show(axes: Axes, picture: np.ndarray, cmap: str | None = None) -> None:
    """Show one picture without axes."""
    axes.imshow(picture, cmap=cmap, interpolation=interpolation(picture))
    undress(axes)


def interpolation(picture: np.ndarray) -> str:
    """Return how a picture is enlarged."""
    return "nearest" if picture.shape[0] < _SMALL_PX else "antialiased"


def undress(axes: Axes) -> None:
    """Take ticks and frame away."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
