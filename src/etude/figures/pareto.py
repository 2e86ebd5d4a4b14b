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
    axes.margins(x=0.22 if len(panel.points) <= _CLEAR else 0.3, y=0.14)
    _choose_scale(axes, [point.cost for point in panel.points])
    _place_ticks(axes, panel)
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


def _place_ticks(axes: Axes, panel: Panel, apart: float = 0.24) -> None:
    """Put ticks at zero and at round values, the largest first, none nearer to another than this share of the axis."""
    low, high = axes.get_xlim()
    round_values = panel.round_values
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
    if len(placed) < 2 and round_values:
        axes.set_xticks(_list_multiples(low, high, panel, 1.7 * apart))  # their texts are longer
    elif len(placed) > 1:
        axes.set_xticks(sorted(placed))


def _list_multiples(low: float, high: float, panel: Panel, apart: float) -> list[float]:
    """Return the multiples of the least round value that keep apart, for candidates that cost nearly the same.

    Of those that are written alike, such as seconds beyond an hour, only the first has a tick.
    """
    step = min((step for step in panel.round_values if step >= apart * (high - low)), default=high)
    multiples = [step * number for number in range(math.ceil(low / step), math.floor(high / step) + 1)]
    ticks = {panel.number(value): value for value in reversed(multiples)}
    return sorted(ticks.values()) or [panel.points[0].cost]


@dataclass(frozen=True)
class _Place:
    """Where a name may stand beside its point: offset in points, and which of its corners is there."""

    dx: float
    dy: float
    ha: str
    va: str
    price: float = 0.0
    """What it costs to stand there, in areas of the name: a name far away is tied to its point by a line."""

    @property
    def is_tied(self) -> bool:
        """Whether a line leads from the name to its point."""
        return self.price > 0

    def box(self, at: np.ndarray, size: np.ndarray, pixels: float) -> np.ndarray:
        """Return the box (x0, y0, x1, y1) of a name of this size, in pixels, beside a point (x, y)."""
        left = at[0] + self.dx * pixels - {"left": 0, "center": 0.5, "right": 1}[self.ha] * size[0]
        low = at[1] + self.dy * pixels - {"bottom": 0, "center": 0.5, "top": 1}[self.va] * size[1]
        return np.array([left, low, left + size[0], low + size[1]])

    def tie(self, at: np.ndarray, pixels: float) -> np.ndarray:
        """Return places (N, 2) along its line, the point (x, y) itself left out; none without a line."""
        shares = np.linspace(0.2, 1, 12 if self.is_tied else 0)[:, None]
        return np.asarray(at + shares * np.array([self.dx, self.dy]) * pixels)


def _list_places() -> tuple[_Place, ...]:
    """Return the places beside a point, and those on rings around it."""
    near = [
        _Place(7, 0, "left", "center"), _Place(-7, 0, "right", "center"),
        _Place(0, 7, "center", "bottom"), _Place(0, -7, "center", "top"),
        _Place(6, 5, "left", "bottom"), _Place(6, -5, "left", "top"),
        _Place(-6, 5, "right", "bottom"), _Place(-6, -5, "right", "top"),
    ]  # fmt: skip
    far = []
    for reach in (16, 26, 38, 52):
        for turn in np.arange(16) * math.pi / 8:
            across, up = math.cos(turn), math.sin(turn)
            ha = "left" if across > 0.3 else "right" if across < -0.3 else "center"
            va = "bottom" if up > 0.8 else "top" if up < -0.8 else "center"
            far.append(_Place(reach * across, reach * up, ha, va, 0.1 + reach / 150))
    return (*near, *far)


_PLACES = _list_places()
_ROUNDS = 4
"""How often each name may move once the others stand."""


def _name_points(figure: Figure, drawn: list[tuple[Axes, Panel, list[Point]]]) -> None:
    """Write each name where it covers the fewest other marks, tied to its point by a line where it stands apart."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    renderer = FigureCanvasAgg(figure).get_renderer()  # type: ignore[no-untyped-call]
    figure.draw_without_rendering()
    for axes, panel, front in drawn:
        named = [point for point in panel.points if len(panel.points) <= _ALL_NAMED or point in front]
        sizes = []
        for point in named:
            text = axes.text(0, 0, fit(point.name, 1.5), fontsize=SMALL_PT, in_layout=False)
            sizes.append(np.array(text.get_window_extent(renderer).size))
            text.remove()
        for point, place in zip(named, _find_places(axes, panel, front, named, sizes), strict=True):
            if place is None:
                continue
            tie = {"arrowstyle": "-", "color": MUTED, "linewidth": 0.6, "shrinkA": 0.5, "shrinkB": 3.5}
            axes.annotate(
                fit(point.name, 1.5),
                (point.cost, point.score),
                textcoords="offset points",
                xytext=(place.dx, place.dy),
                ha=place.ha,
                va=place.va,
                fontsize=SMALL_PT,
                color=INK,
                in_layout=False,
                zorder=4,
                arrowprops=tie if place.is_tied else None,
            )


def _find_places(
    axes: Axes, panel: Panel, front: list[Point], named: list[Point], sizes: list[np.ndarray]
) -> list[_Place | None]:
    """Return where each name stands; nothing for one that would cover others wherever it stood."""
    frame = np.array([axes.get_window_extent().extents])
    line = np.array([_around(axes, cost, score, 2) for cost, score in _walk(axes, front)]).reshape(-1, 4)
    at = [axes.transData.transform((point.cost, point.score)) for point in named]
    pixels = axes.get_figure(root=True).dpi / 72  # type: ignore[union-attr]
    marks = np.array([_around(axes, point.cost, point.score, 11) for point in panel.points])
    boxes_RP4 = [
        np.array([place.box(where, size, pixels) for place in _PLACES])
        for where, size in zip(at, sizes, strict=True)
    ]  # fmt: skip
    ties_RP = [[place.tie(where, pixels) for place in _PLACES] for where in at]
    alone_RP = []  # what each place costs before any other name stands
    for row, size in enumerate(sizes):
        boxes, others = boxes_RP4[row], np.array([p is not named[row] for p in panel.points])
        covered_P = _overlap(boxes, marks[others]) + 0.5 * _overlap(boxes, line) - 3 * _overlap(boxes, frame)
        crossed_P = [_is_inside(tie, marks[others]).sum() for tie in ties_RP[row]]
        prices_P = [place.price for place in _PLACES]
        alone_RP.append(covered_P / size.prod() + 3 + 0.2 * np.array(crossed_P) + prices_P)
    chosen: list[int | None] = [None] * len(named)

    def choose(row: int) -> tuple[float, int]:
        """Return what the best place of one name costs, in areas of the name, as the others stand now; and which."""
        stand = [(other, place) for other, place in enumerate(chosen) if place is not None and other != row]
        if not stand:
            return float(alone_RP[row].min()), int(alone_RP[row].argmin())
        names = np.array([boxes_RP4[other][place] for other, place in stand])
        ties_N2 = np.concatenate([ties_RP[other][place] for other, place in stand])
        crossed_P = _is_inside(ties_N2, boxes_RP4[row]).sum(0) + [_is_inside(tie, names).sum() for tie in ties_RP[row]]
        costs_P = alone_RP[row] + _overlap(boxes_RP4[row], names) / sizes[row].prod() + 0.2 * crossed_P
        return float(costs_P.min()), int(costs_P.argmin())

    for _ in range(_ROUNDS):
        before = list(chosen)
        for row in range(len(named)):
            _, chosen[row] = choose(row)
        if chosen == before:
            break
    if len(panel.points) > _CLEAR:
        for row in sorted(range(len(named)), key=lambda row: choose(row)[0], reverse=True):
            cost, place = choose(row)
            if cost - _PLACES[place].price > 0.3:
                chosen[row] = None
    return [None if place is None else _PLACES[place] for place in chosen]


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


def _overlap(boxes_P4: np.ndarray, others_N4: np.ndarray) -> np.ndarray:
    """Return the area (P,) that each box (x0, y0, x1, y1) shares with others, summed over these."""
    own, others = boxes_P4[:, None], others_N4[None]
    widths = np.minimum(own[..., 2], others[..., 2]) - np.maximum(own[..., 0], others[..., 0])
    heights = np.minimum(own[..., 3], others[..., 3]) - np.maximum(own[..., 1], others[..., 1])
    return np.asarray((widths.clip(0) * heights.clip(0)).sum(1))


def _is_inside(places_N2: np.ndarray, boxes_P4: np.ndarray) -> np.ndarray:
    """Return whether each place (x, y) lies in each box (x0, y0, x1, y1): (N, P)."""
    places = places_N2[:, None]
    return np.asarray(((places >= boxes_P4[:, :2]) & (places <= boxes_P4[:, 2:])).all(2))
