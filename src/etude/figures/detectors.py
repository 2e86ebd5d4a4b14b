"""What a detector finds and misses at every threshold, and how far its probabilities can be trusted.

Shapes: N pictures, P points of a curve.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from etude.figures.labels import legend_columns, shorten
from etude.figures.theme import MUTED, SMALL_PT, WIDE_IN, Look, belongs_to, dress, new_figure, title

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MOST_POINTS = 400  # more cannot be told apart in print


@dataclass(frozen=True)
class Line:
    """One curve of one candidate, and the point on it that the threshold chooses."""

    x_P: np.ndarray
    """float64 (P,), in 0..1."""
    y_P: np.ndarray
    """float64 (P,), in 0..1."""
    chosen: tuple[float, float] | None = None
    """Where the candidate works; none where nothing is chosen."""


@dataclass(frozen=True)
class DetectorPanel:
    """One panel: its words, and a curve for each candidate."""

    heading: str
    x_label: str
    y_label: str
    lines: Mapping[str, Line]
    has_diagonal: bool = False
    """Whether the diagonal means something: chance, or probabilities that are right."""
    has_marks: bool = False
    """Whether each point of a curve is marked."""


def draw_detectors(
    panels: Sequence[DetectorPanel],
    *,
    looks: Mapping[str, Look],
    number: Callable[[float], str],
    width_in: float = WIDE_IN,
) -> Figure:
    """Draw the panels side by side, or one above the other where the page is narrow.

    Args:
        panels: what to draw.
        looks: how each candidate is drawn.
        number: writes a value of an axis, 0 to 1.
        width_in: width in inches.
    """
    columns = 1 if width_in < 5 else len(panels)
    rows = -(-len(panels) // columns)
    side_in = width_in / columns
    names = list(dict.fromkeys(name for panel in panels for name in panel.lines))
    shown = [shorten(name, width_in - 0.6, SMALL_PT) for name in names]
    n_columns = legend_columns(shown, width_in - 0.2, SMALL_PT)
    legend_in = math.ceil(len(names) / n_columns) * 0.17 + 0.2
    figure = new_figure(width_in, rows * min(3.4, side_in + 0.25) + legend_in)
    for place, panel in enumerate(panels):
        axes = figure.add_subplot(rows, columns, place + 1)
        _dress_panel(axes, panel, number)
        for name, line in panel.lines.items():
            _draw_line(axes, line, looks[name], has_marks=panel.has_marks)
    handles = [_handle(looks[name]) for name in names]
    figure.legend(handles, shown, loc="outside lower center", ncols=n_columns, frameon=False, fontsize=SMALL_PT)
    return figure


def _handle(look: Look) -> Artist:
    """Return what stands for a candidate in the legend."""
    from matplotlib.lines import Line2D

    line = Line2D([], [], color=look.color, linewidth=1.5)
    if look.dash:
        line.set_dashes(look.dash)
    belongs_to(line, look)
    return line


def _draw_line(axes: Axes, line: Line, look: Look, *, has_marks: bool) -> None:
    places = np.unique(np.linspace(0, len(line.x_P) - 1, min(len(line.x_P), _MOST_POINTS)).astype(int))
    style: dict[str, Any] = {"color": look.color, "linewidth": 1.5, "zorder": 3}
    if look.dash:
        style["dashes"] = look.dash
    marks: dict[str, Any] = {"marker": "o", "markersize": 3.5} if has_marks else {}
    drawn = axes.plot(line.x_P[places], line.y_P[places], **style, **marks)
    if line.chosen is not None:
        drawn += axes.plot(*([value] for value in line.chosen), color=look.color, marker="D", markersize=5, zorder=4)
    for artist in drawn:
        belongs_to(artist, look)


def _dress_panel(axes: Axes, panel: DetectorPanel, number: Callable[[float], str]) -> None:
    from matplotlib.ticker import FuncFormatter

    dress(axes, grid="both")
    title(axes, panel.heading)
    if panel.has_diagonal:
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.8, dashes=(3, 2), zorder=2)
    axes.set_xlim(-0.02, 1.02)
    axes.set_ylim(-0.02, 1.02)
    axes.set_aspect("equal")
    ticks = [0, 0.25, 0.5, 0.75, 1]
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_ticks(ticks)
        axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    axes.set_xlabel(panel.x_label)
    axes.set_ylabel(panel.y_label)
