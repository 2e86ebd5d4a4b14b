"""A search drawn: its trials in their order, its settings side by side, and what mattered.

A search that is nested in folds has a record in each; each figure shows all of them.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from etude.core.search_record import ParameterRecord, SearchRecord, TrialRecord, TrialState
from etude.figures.labels import wrap
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

_UP_IN = 1.4  # beside the axes of the history: a longer name would run into its legend
_MARKERS: Mapping[TrialState, str] = {"complete": "o", "pruned": "x", "failed": "|"}


def draw_history(
    records: Sequence[SearchRecord],
    *,
    trial_label: str,
    score_label: str,
    state_labels: Mapping[TrialState, str],
    best_label: str,
    number: Callable[[float], str],
    width_in: float = WIDE_IN,
) -> Figure:
    """Draw the score of each trial in its order, and the best so far as a line of steps, one a fold.

    Args:
        records: the search; with folds that of each.
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
    several = len(records) > 1
    scored = [(trial, trial.score) for record in records for trial in record.trials if trial.score is not None]
    alpha, size = (0.55, 3.5) if several else (1.0, 4.5)
    looks: tuple[tuple[TrialState, str], ...] = (("pruned", MUTED), ("complete", BLUE))
    for state, color in looks:
        own = [(trial.number + 1, score) for trial, score in scored if trial.state == state]
        if own:
            places, scores = zip(*own, strict=True)
            label = state_labels[state]
            axes.plot(places, scores, _MARKERS[state], color=color, markersize=size, alpha=alpha, label=label)
    width, alpha = (0.9, 0.6) if several else (1.2, 1.0)
    for record in records:
        numbers, best = _best_so_far(record)
        if numbers:
            last = max(trial.number for trial in record.trials) + 1
            axes.step([*numbers, last], [*best, best[-1]], where="post", color=INK, linewidth=width, alpha=alpha,
                      label=best_label)  # fmt: skip
    axes.set_xlabel(trial_label)
    axes.set_ylabel(wrap(score_label, _UP_IN, TEXT_PT))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    columns = 2 if width_in < 5 else 3
    named = {str(artist.get_label()): artist for artist in axes.get_lines()}  # the lines of all folds have one name
    figure.legend(
        list(named.values()), list(named), loc="outside upper left", ncols=columns, frameon=False, fontsize=SMALL_PT,
        labelcolor=MUTED,
    )  # fmt: skip
    return figure


def _best_so_far(record: SearchRecord) -> tuple[list[int], list[float]]:
    """Return the numbers, from 1, of the trials that were better than all before them, and their scores."""
    places: list[int] = []
    best: list[float] = []
    higher = record.higher_is_better
    for trial in record.trials:
        score = float(trial.score or 0.0)
        is_scored = trial.state == "complete" and trial.score is not None
        if is_scored and (not best or (score > best[-1] if higher else score < best[-1])):
            places.append(trial.number + 1)
            best.append(score)
    return places, best


def draw_importance(
    records: Sequence[SearchRecord], *, share_label: str, percent: Callable[[float], str], width_in: float = WIDE_IN
) -> Figure:
    """Draw the share of each parameter in what tells the good trials from the others, the largest on top.

    One search gives bars; with folds each gives a point, and a line joins the least and the largest of a parameter.

    Args:
        records: the search; with folds that of each.
        share_label: name of the axis.
        percent: writes a share as text.
        width_in: width in inches; below 5 the names stand above their bars.
    """
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    shares = list_importances(records)
    narrow = width_in < 5
    figure = new_figure(width_in, 0.7 + len(shares) * (0.46 if narrow else 0.3))
    axes = figure.add_subplot()
    dress(axes, grid="x")
    for place, (name, own) in enumerate(shares.items()):
        if len(records) > 1:
            axes.plot([min(own), max(own)], [place, place], color=RULE, linewidth=3, solid_capstyle="round", zorder=1)
            axes.plot(own, [place] * len(own), "o", color=BLUE, markersize=4.5, alpha=0.7)
        else:
            axes.barh(place, own[0], height=0.5, color=BLUE)
            axes.annotate(
                percent(own[0]), (own[0], place), xytext=(4, 0), textcoords="offset points", va="center",
                fontsize=SMALL_PT, color=MUTED,
            )  # fmt: skip
        if narrow:
            axes.text(0, place - 0.3, fit(name, 3.2), fontsize=SMALL_PT, color=INK, va="bottom", in_layout=False)
    names = [fit(name, 2.9) for name in shares]
    axes.set_yticks([] if narrow else range(len(shares)), [] if narrow else names, color=INK)
    axes.set_ylim(len(shares) - 0.5, -0.8 if narrow else -0.5)
    axes.set_xlim(0, 1.12 * max((share for own in shares.values() for share in own), default=1.0))
    axes.set_xlabel(share_label)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: percent(value)))
    return figure


def list_importances(records: Sequence[SearchRecord]) -> dict[str, list[float]]:
    """Return the shares of each parameter that are known, one a record, the parameter with the largest median first."""
    shares: dict[str, list[float]] = {}
    for record in records:
        for entry in record.parameters:
            if entry.importance is not None:
                shares.setdefault(entry.name, []).append(entry.importance)
    return dict(sorted(shares.items(), key=lambda item: -statistics.median(item[1])))


def draw_parallel(
    records: Sequence[SearchRecord],
    *,
    score_label: str,
    number: Callable[[float], str],
    write: Callable[[object], str],
    width_in: float = WIDE_IN,
) -> Figure:
    """Draw each complete trial as a line over the fields and its score: the better, the darker; the best in orange.

    Args:
        records: the search; with folds that of each, which has a best trial of its own.
        score_label: name and unit of the score.
        number: writes a score as text.
        write: writes a value of a field as text.
        width_in: width in inches; below 5 the figure stands upright.
    """
    scores = [score for record in records for _, score in list_complete(record)]
    low, high = min(scores), max(scores)
    parameters = records[0].parameters  # all folds search the same space
    fields = list(dict.fromkeys(entry.field for entry in parameters))
    scales = {field: Scale([entry for entry in parameters if entry.field == field]) for field in fields}
    upright = width_in < 5
    figure = new_figure(width_in, 0.8 + 0.62 * len(fields) if upright else 2.9)
    axes = figure.add_subplot()
    _lay_axes(axes, [*short_names(fields), score_label], upright=upright)
    lines = [
        (trial, score, trial.number == record.best) for record in records for trial, score in list_complete(record)
    ]
    sign = 1 if records[0].higher_is_better else -1
    for trial, score, is_best in sorted(lines, key=lambda line: sign * line[1]):
        height = (score - low) / (high - low) if high > low else 1.0
        heights = [
            *(scales[field].place(trial.settings[field]) if field in trial.settings else math.nan for field in fields),
            height,
        ]
        look = {"color": ORANGE, "linewidth": 1.8, "zorder": 4} if is_best else {"color": BLUE, "linewidth": 0.9}
        steps = range(len(heights))
        line = (heights, steps) if upright else (steps, heights)
        alpha = 1.0 if is_best else 0.15 + 0.75 * (height if sign > 0 else 1 - height)
        axes.plot(*line, alpha=alpha, marker="o", markersize=2.5, **look)  # type: ignore[arg-type]
    ends = [(scales[field].low_text(write), scales[field].high_text(write)) for field in fields]
    for step, (bottom, top) in enumerate([*ends, (number(low), number(high))]):
        for height, text in ((-0.07, bottom), (1.07, top)):
            x, y = (height, step) if upright else (step, height)
            across, along = ("right" if height < 0 else "left", "center") if upright else ("center", "center")
            axes.text(x, y, fit(text, 1.1), ha=across, va=along, fontsize=SMALL_PT, color=MUTED)
    return figure


def short_names(fields: Sequence[str]) -> list[str]:
    """Return each field by its last words, as few of them as tell it from the others.

    >>> short_names(["train.optimizer.lr", "model.dropout", "train.batch"])
    ['lr', 'dropout', 'batch']
    >>> short_names(["train.optimizer.name", "train.schedule.name"])
    ['optimizer.name', 'schedule.name']
    """

    def ending(field: str, count: int) -> str:
        return ".".join(field.split(".")[-count:])

    names = []
    for field in fields:
        counts = range(1, field.count(".") + 2)
        others = [other for other in fields if other != field]
        told = (count for count in counts if all(ending(other, count) != ending(field, count) for other in others))
        names.append(ending(field, next(told, field.count(".") + 1)))
    return names


def list_complete(record: SearchRecord) -> list[tuple[TrialRecord, float]]:
    """Return the complete trials and their scores."""
    return [(trial, trial.score) for trial in record.trials if trial.state == "complete" and trial.score is not None]


class Scale:
    """Where the values of a field stand on its axis, from 0 to 1."""

    def __init__(self, branches: Sequence[ParameterRecord]) -> None:
        self.is_log = any(entry.kind == "log" for entry in branches)
        self.choices = [choice for entry in branches for choice in entry.choices]
        ends = [end for entry in branches for end in (entry.low, entry.high) if end is not None]
        self.low, self.high = (min(ends), max(ends)) if ends else (0.0, 1.0)

    def place(self, value: object) -> float:
        """Return where a value stands, from 0 to 1; NaN for one that has no place."""
        if value in self.choices:
            return (self.choices.index(value) + 0.5) / len(self.choices)
        if not isinstance(value, int | float):
            return math.nan
        if self.is_log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def at(self, place: float) -> float:
        """Return the value that stands at a place of a range, three digits of it."""
        value = self.low * (self.high / self.low) ** place if self.is_log else self.low + place * (self.high - self.low)
        return float(f"{value:.3g}")

    def low_text(self, write: Callable[[object], str]) -> str:
        """Write the lower end."""
        return write(self.choices[0]) if self.choices else write(self.low)

    def high_text(self, write: Callable[[object], str]) -> str:
        """Write the upper end."""
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
    lines = ["\n".join(fit(part, 7.0 / len(names), TEXT_PT) for part in name.split(", ")) for name in names]
    axes.set_xticks(steps, lines, color=INK, fontsize=SMALL_PT)
    axes.tick_params(axis="x", labelcolor=INK)
