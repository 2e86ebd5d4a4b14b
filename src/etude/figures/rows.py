"""Rows of names: what the leaderboard and the forest plot share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from etude.figures.theme import INK, PAPER, RULE, TEXT_PT, dress, fit

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def lay_rows(axes: Axes, names: Sequence[str], *, narrow: bool) -> None:
    """Write one name a row, first on top: beside the axes, or above its row where the figure is narrow."""
    dress(axes, grid="x")
    axes.set_ylim(len(names) - 0.45, -0.75 if narrow else -0.55)
    if not narrow:
        axes.set_yticks(range(len(names)), [fit(name, 2.6) for name in names], fontsize=TEXT_PT, color=INK)
        return
    axes.set_yticks([])
    for place, name in enumerate(names):
        if place:
            axes.axhline(place - 0.62, color=RULE, linewidth=0.5, zorder=0)
        axes.text(
            0,
            place - 0.24,
            fit(name, 2.3),
            transform=axes.get_yaxis_transform(),
            va="bottom",
            ha="left",
            fontsize=TEXT_PT,
            color=INK,
            in_layout=False,
            zorder=6,
            bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1},
        )
