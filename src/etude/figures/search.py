"""A search drawn: its trials in their order, its settings side by side, and what mattered."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from etude.core.search_record import ParameterRecord, SearchRecord, TrialRecord, TrialState
from etude.figures.theme import (
    BLUE,
    INK,
    MUTED,
    ORANGE,
    PAPER,
    RULE,
    SMALL_PT,
    TEXT_PT,
    WIDE_IN,
    dress,
    fit,
    new_figure,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKERS: Mapping[TrialState, str] = {"complete": "o", "pruned": "x", "failed": "|"}


def draw_history(
    record: SearchRecord,
    *,
    trial_label: str,
    score_label: str,
    state_labels: Mapping[TrialState, str],
    best_label: str,
    number: Callable[[float], str],
    width_in: float = WIDE_IN,
) -> Figure:
    """Draw the score of each trial in its order, and the best so far as a line of steps.

    Args:
        record: the search.
        trial_label: name of the horizontal axis.
        score_label: name and unit of the score.
        state_labels: words for complete and pruned.
        best_label: what the line is.
        number: writes a score as text.
        width_in: width in inches.
    """
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    figure = new_figure(width_in, 2.5)
    axes = figure.add_subplot()
    dress(axes)
    scored = [trial for trial in record.trials if trial.score is not None]
    for state, color in (("pruned", MUTED), ("complete", BLUE)):
        own = [trial for trial in scored if trial.state == state]
        if own:
            places, scores = [trial.number + 1 for trial in own], [trial.score for trial in own]
            axes.plot(places, scores, _MARKERS[state], color=color, markersize=4.5, label=state_labels[state])  # type: ignore[index,arg-type]
    places, best = _best_so_far(scored, higher=record.higher_is_better)
    if places:
        last = max(trial.number for trial in record.trials) + 1
        axes.step([*places, last], [*best, best[-1]], where="post", color=INK, linewidth=1.2, label=best_label)
    axes.set_xlabel(trial_label)
    axes.set_ylabel(score_label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    columns = 2 if width_in < 5 else 3
    figure.legend(loc="outside upper left", ncols=columns, frameon=False, fontsize=SMALL_PT, labelcolor=MUTED)
    return figure


def _best_so_far(trials: Sequence[TrialRecord], *, higher: bool) -> tuple[list[int], list[float]]:
    places: list[int] = []
    best: list[float] = []
    for trial in trials:
        score = float(trial.score or 0.0)
        if trial.state == "complete" and (not best or (score > best[-1] if higher else score < best[-1])):
            places.append(trial.number + 1)
            best.append(score)
    return places, best


def draw_importance(
    record: SearchRecord, *, share_label: str, percent: Callable[[float], str], width_in: float = WIDE_IN
) -> Figure:
    """Draw the share of each parameter in what tells the good trials from the others, the largest on top.

    Args:
        record: the search.
        share_label: name of the axis.
        percent: writes a share as text.
        width_in: width in inches; below 5 the names stand above their bars.
    """
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    known = sorted(
        (entry for entry in record.parameters if entry.importance is not None),
        key=lambda entry: -float(entry.importance or 0.0),
    )
    narrow = width_in < 5
    figure = new_figure(width_in, 0.7 + len(known) * (0.46 if narrow else 0.3))
    axes = figure.add_subplot()
    dress(axes, grid="x")
    for place, entry in enumerate(known):
        share = float(entry.importance or 0.0)
        axes.barh(place, share, height=0.5, color=BLUE)
        axes.annotate(
            percent(share), (share, place), xytext=(4, 0), textcoords="offset points", va="center", fontsize=SMALL_PT,
            color=MUTED,
        )  # fmt: skip
        if narrow:
            axes.text(0, place - 0.3, fit(entry.name, 3.2), fontsize=SMALL_PT, color=INK, va="bottom", in_layout=False)
    names = [fit(entry.name, 2.9) for entry in known]
    axes.set_yticks([] if narrow else range(len(known)), [] if narrow else names, color=INK)
    axes.set_ylim(len(known) - 0.5, -0.8 if narrow else -0.5)
    axes.set_xlim(0, 1.12 * max((float(entry.importance or 0.0) for entry in known), default=1.0))
    axes.set_xlabel(share_label)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: percent(value)))
    return figure


def draw_parallel(
    record: SearchRecord,
    *,
    score_label: str,
    number: Callable[[float], str],
    write: Callable[[object], str],
    width_in: float = WIDE_IN,
) -> Figure:
    """Draw each complete trial as a line over the fields and its score: the better, the darker; the best in orange.

    Args:
        record: the search.
        score_label: name and unit of the score.
        number: writes a score as text.
        write: writes a value of a field as text.
        width_in: width in inches; below 5 the figure stands upright.
    """
    trials = [trial for trial in record.trials if trial.state == "complete" and trial.score is not None]
    scores = [float(trial.score or 0.0) for trial in trials]
    low, high = min(scores), max(scores)
    fields = list(dict.fromkeys(entry.field for entry in record.parameters))
    scales = {field: _Scale([entry for entry in record.parameters if entry.field == field]) for field in fields}
    upright = width_in < 5
    figure = new_figure(width_in, 0.8 + 0.62 * len(fields) if upright else 2.9)
    axes = figure.add_subplot()
    _lay_axes(axes, [*(fit(field, 1.4) for field in fields), score_label], upright=upright)
    sign = 1 if record.higher_is_better else -1
    for trial in sorted(trials, key=lambda trial: sign * float(trial.score or 0.0)):
        share = (float(trial.score or 0.0) - low) / (high - low) if high > low else 1.0
        share = share if record.higher_is_better else 1 - share
        heights = [
            *(scales[field].place(trial.settings[field]) if field in trial.settings else math.nan for field in fields),
            share if record.higher_is_better else 1 - share,
        ]
        is_best = trial.number == record.best
        look = {"color": ORANGE, "linewidth": 1.8, "zorder": 4} if is_best else {"color": BLUE, "linewidth": 0.9}
        steps = range(len(heights))
        line = (heights, steps) if upright else (steps, heights)
        axes.plot(*line, alpha=1.0 if is_best else 0.15 + 0.75 * share, marker="o", markersize=2.5, **look)  # type: ignore[arg-type]
    ends = [(scales[field].low_text(write), scales[field].high_text(write)) for field in fields]
    for step, (bottom, top) in enumerate([*ends, (number(low), number(high))]):
        for height, text in ((-0.07, bottom), (1.07, top)):
            x, y = (height, step) if upright else (step, height)
            across, along = ("right" if height < 0 else "left", "center") if upright else ("center", "center")
            axes.text(x, y, fit(text, 1.1), ha=across, va=along, fontsize=SMALL_PT, color=MUTED)
    return figure


class _Scale:
    """Where the values of a field stand on its axis, from 0 to 1."""

    def __init__(self, branches: Sequence[ParameterRecord]) -> None:
        self.is_log = any(entry.kind == "log" for entry in branches)
        self.choices = [choice for entry in branches for choice in entry.choices]
        ends = [end for entry in branches for end in (entry.low, entry.high) if end is not None]
        self.low, self.high = (min(ends), max(ends)) if ends else (0.0, 1.0)

    def place(self, value: object) -> float:
        if value in self.choices:
            return (self.choices.index(value) + 0.5) / len(self.choices)
        if not isinstance(value, int | float):
            return math.nan
        if self.is_log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def low_text(self, write: Callable[[object], str]) -> str:
        return write(self.choices[0]) if self.choices else write(self.low)

    def high_text(self, write: Callable[[object], str]) -> str:
        return write(self.choices[-1]) if self.choices else write(self.high)


def _lay_axes(axes: Axes, names: Sequence[str], *, upright: bool) -> None:
    """Lay one axis a field, across the page or, on a phone, down it."""
    dress(axes, grid="none", spines=())
    steps = range(len(names))
    for step in steps:
        (axes.axhline if upright else axes.axvline)(step, 0, 1, color=RULE, linewidth=1, zorder=0)
    if upright:
        axes.set_ylim(len(names) - 0.6, -0.6)
        axes.set_xlim(-0.35, 1.35)
        axes.set_xticks([])
        axes.set_yticks([])
        for step, name in enumerate(names):
            axes.text(
                0, step - 0.25, name, fontsize=SMALL_PT, color=INK, bbox={"facecolor": PAPER, "edgecolor": "none"}
            )
        return
    axes.set_xlim(-0.4, len(names) - 0.6)
    axes.set_ylim(-0.15, 1.15)
    axes.set_yticks([])
    axes.set_xticks(steps, [fit(name, 7.0 / len(names), TEXT_PT) for name in names], color=INK, fontsize=SMALL_PT)
    axes.tick_params(axis="x", labelcolor=INK)
