"""Score against what it costs: which candidates no other beats on both."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from etude.core.interval import Interval
from etude.figures.theme import (
    INK,
    MUTED,
    PAPER,
    SMALL_PT,
    WIDE_IN,
    Look,
    belongs_to,
    dress,
    fit,
    new_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_CLEAR = 6
"""Above this many candidates a name that would cover others is left out."""

_ALL_NAMED = 12
"""Above this many candidates only those on the front are named."""


@dataclass(frozen=True)
class Point:
    """One candidate: what it costs and what it scores."""

    name: str
    cost: float
    score: float
    interval: Interval | None = None


@dataclass(frozen=True)
class Panel:
    """One kind of cost."""

    label: str
    points: Sequence[Point]
    number: Callable[[float], str]
    """Writes a cost as text."""
    round_values: Sequence[float] = ()
    """Costs that are round in their unit, for the ticks; powers of ten if none."""


def find_front(points: Sequence[Point], *, higher_is_better: bool = True) -> list[Point]:
    """Return the points that no other beats on cost and score together, cheapest first.

    >>> [p.name for p in find_front([Point("a", 1, 0.5), Point("b", 2, 0.4), Point("c", 3, 0.9)])]
    ['a', 'c']
    """
    sign = 1 if higher_is_better else -1
    front: list[Point] = []
    for point in sorted(points, key=lambda point: (point.cost, -sign * point.score)):
        if not front or sign * point.score > sign * front[-1].score:
            front.append(point)
    return front


def draw_pareto(
    panels: Sequence[Panel],
    *,
    score_label: str,
    score_number: Callable[[float], str],
    looks: Mapping[str, Look],
    higher_is_better: bool = True,
    width_in: float = WIDE_IN,
) -> Figure:
    """Draw score against each cost, with the front as a stepped line through filled dots.

    Args:
        panels: the costs, one panel each; a cost that spans a factor of 10 has a logarithmic axis.
        score_label: name and unit of the score.
        score_number: writes a score as text.
        looks: colour of each candidate.
        higher_is_better: direction of the score.
        width_in: width in inches; below 5 the panels stand one above the other.
    """
    columns = 1 if width_in < 5 else min(len(panels), 3) or 1
    rows = max(1, math.ceil(len(panels) / columns))
    figure = new_figure(width_in, rows * 2.75 + 0.25)
    drawn: list[tuple[Axes, Panel, list[Point]]] = []
    for place, panel in enumerate(panels):
        axes = figure.add_subplot(rows, columns, place + 1, sharey=drawn[0][0] if drawn else None)
        front = find_front(panel.points, higher_is_better=higher_is_better)
        _draw_panel(axes, panel, front, looks)
        _dress_panel(axes, panel, score_number)
        if place % columns == 0:
            axes.set_ylabel(score_label)
        else:
            axes.tick_params(labelleft=False)
        drawn.append((axes, panel, front))
    _name_points(figure, drawn)
    return figure


def _draw_panel(axes: Axes, panel: Panel, front: list[Point], looks: Mapping[str, Look]) -> None:
    """Draw the points of one panel and the line through the best of them."""
    axes.step(
        [point.cost for point in front],
        [point.score for point in front],
        where="post",
        color=MUTED,
        linewidth=0.9,
        dashes=(3, 2),
        zorder=1,
    )
    for point in panel.points:
        look = looks[point.name]
        marks = axes.plot(
            [point.cost],
            [point.score],
            "o",
            markersize=7,
            color=look.color,
            zorder=3,
            markerfacecolor=look.color if point in front else PAPER,
            markeredgewidth=1.4,
        )
        if point.interval:
            ends = [point.interval.low, point.interval.high]
            marks += axes.plot([point.cost] * 2, ends, color=look.color, linewidth=1, alpha=0.7, zorder=2)
        for mark in marks:
            belongs_to(mark, look)


def _dress_panel(axes: Axes, panel: Panel, score_number: Callable[[float], str]) -> None:
    """Dress one panel and choose its scale."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    dress(axes, grid="both")
    axes.margins(x=0.22, y=0.14)
    _choose_scale(axes, [point.cost for point in panel.points])
    _place_ticks(axes, panel.round_values)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: panel.number(value)))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: score_number(value)))
    axes.set_xlabel(panel.label)


def _choose_scale(axes: Axes, costs: Sequence[float]) -> None:
    """Make the axis logarithmic where the costs span a factor of 10, with room for a cost of nothing."""
    paid = [cost for cost in costs if cost > 0]
    if not paid or max(paid) / min(paid) < 10:
        return
    if len(paid) == len(costs):
        axes.set_xscale("log")
    else:
        axes.set_xscale("symlog", linthresh=min(paid))
    axes.minorticks_off()


def _place_ticks(axes: Axes, round_values: Sequence[float], apart: float = 0.24) -> None:
    """Put ticks at zero and at round values, the largest first, none nearer to another than this share of the axis."""
    low, high = axes.get_xlim()
    if not round_values and axes.get_xscale() == "linear":
        from matplotlib.ticker import MaxNLocator

        axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
        return
    wide = low > 0 and high / low > 300
    values = [*(round_values or [step * 10.0**power for power in range(-9, 13) for step in ((1,) if wide else (1, 3))])]
    placed: dict[float, float] = {}
    for value in [0.0, *sorted(values, reverse=True)]:
        if not low <= value <= high:
            continue
        share = float(axes.transAxes.inverted().transform(axes.transData.transform((value, 0)))[0])
        if all(abs(share - other) >= apart for other in placed.values()):
            placed[value] = share
    if len(placed) > 1:
        axes.set_xticks(sorted(placed))


_PLACES = (
    (7, 0, "left", "center"),
    (-7, 0, "right", "center"),
    (0, 7, "center", "bottom"),
    (0, -7, "center", "top"),
    (6, 5, "left", "bottom"),
    (6, -5, "left", "top"),
    (-6, 5, "right", "bottom"),
    (-6, -5, "right", "top"),
)
"""Where a name may stand: offset in points, and which of its corners is there."""


def _name_points(figure: Figure, drawn: list[tuple[Axes, Panel, list[Point]]]) -> None:
    """Write each name where it covers the fewest other marks."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    figure.draw_without_rendering()
    for axes, panel, front in drawn:
        frame = np.array([axes.get_window_extent(renderer).extents])
        line = np.array([_around(axes, cost, score, 2) for cost, score in _walk(axes, front)]).reshape(-1, 4)
        names: list[np.ndarray] = []
        for point in panel.points:
            if len(panel.points) > _ALL_NAMED and point not in front:
                continue
            taken = np.array(
                names + [_around(axes, other.cost, other.score, 5 if other is point else 11) for other in panel.points]
            )
            text = axes.annotate(
                fit(point.name, 1.5),
                (point.cost, point.score),
                textcoords="offset points",
                xytext=(0, 0),
                fontsize=SMALL_PT,
                color=INK,
                in_layout=False,
                zorder=4,
            )
            best: tuple[float, tuple[float, float, str, str], np.ndarray] | None = None
            for place in _PLACES:
                text.set(position=place[:2], ha=place[2], va=place[3])
                box = np.array(text.get_window_extent(renderer).extents)
                covered = _overlap(box, taken) + 0.5 * _overlap(box, line)
                cost = covered + 3 * (_area(box) - _overlap(box, frame))
                if best is None or cost < best[0] - 1e-6:
                    best = (cost, place, box)
            assert best is not None
            if len(panel.points) > _CLEAR and best[0] > 0.3 * _area(best[2]):
                text.remove()
                continue
            text.set(position=best[1][:2], ha=best[1][2], va=best[1][3])
            names.append(best[2])


def _walk(axes: Axes, front: list[Point], steps: int = 12) -> list[tuple[float, float]]:
    """Return places along the stepped line, close to each other on the paper."""
    spread = np.geomspace if axes.get_xscale() == "log" else np.linspace  # of symlog, near enough
    places: list[tuple[float, float]] = []
    for one, other in pairwise(front):
        places += [(float(cost), one.score) for cost in spread(one.cost, other.cost, steps)]
        places += [(other.cost, float(score)) for score in np.linspace(one.score, other.score, steps)]
    return places


def _around(axes: Axes, cost: float, score: float, reach: float) -> np.ndarray:
    """Return the box (x0, y0, x1, y1) that reaches so many pixels around a point."""
    x, y = axes.transData.transform((cost, score))
    return np.array([x - reach, y - reach, x + reach, y + reach])


def _overlap(box: np.ndarray, others_N4: np.ndarray) -> float:
    """Return the area that a box (x0, y0, x1, y1) shares with others, summed."""
    widths = np.minimum(box[2], others_N4[:, 2]) - np.maximum(box[0], others_N4[:, 0])
    heights = np.minimum(box[3], others_N4[:, 3]) - np.maximum(box[1], others_N4[:, 1])
    return float((widths.clip(0) * heights.clip(0)).sum())


def _area(box: np.ndarray) -> float:
    """Return the area of a box (x0, y0, x1, y1)."""
    return float((box[2] - box[0]) * (box[3] - box[1]))
