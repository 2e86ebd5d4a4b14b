"""The influence of one setting: the score at each of its values, with its interval."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from etude.core.interval import Interval
from etude.figures.theme import BLUE, INK, MUTED, SMALL_PT, WIDE_IN, dress, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_LOG_FROM = 20.0  # a setting whose largest value is so many times the smallest is drawn on a logarithmic axis


@dataclass(frozen=True)
class Value:
    """One value of a setting, and what it came to."""

    value: float
    score: float
    """On the test part."""
    train_score: float | None
    """On the training part."""
    interval: Interval | None


def draw_influence(
    values: Sequence[Value],
    *,
    setting: str,
    score_label: str,
    test_label: str,
    train_label: str,
    number: Callable[[float], str],
    score_number: Callable[[float], str],
    width_in: float = WIDE_IN,
) -> Figure:
    """Draw the score against a setting.

    Args:
        values: at least two, in any order.
        setting: name of the setting.
        score_label: name and unit of the score.
        test_label: the words for the test part.
        train_label: the words for the training part.
        number: writes a value of the setting on its axis.
        score_number: writes a score on its axis.
        width_in: width in inches.
    """
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    ordered = sorted(values, key=lambda entry: entry.value)
    places = [entry.value for entry in ordered]
    width_in = min(width_in, 5.2)
    figure = new_figure(width_in, 0.58 * width_in)
    axes = figure.add_subplot()
    dress(axes, spines=("bottom", "left"))
    if places[0] > 0 and places[-1] / places[0] >= _LOG_FROM:
        axes.set_xscale("log")
    if all(entry.train_score is not None for entry in ordered):
        axes.plot(places, [entry.train_score for entry in ordered], "--", color=MUTED, linewidth=1.2, label=train_label)  # type: ignore[arg-type]
    axes.plot(
        places, [entry.score for entry in ordered], "o-", color=BLUE, linewidth=1.6, markersize=4.5, label=test_label
    )
    for entry in ordered:
        if entry.interval is not None:
            axes.plot([entry.value] * 2, [entry.interval.low, entry.interval.high], color=BLUE, linewidth=1.1)
    axes.xaxis.set_major_locator(FixedLocator(places if len(places) <= 7 else places[:: len(places) // 6 + 1]))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: score_number(value)))
    axes.set_xlabel(setting)
    axes.set_ylabel(score_label)
    # Outside: a curve may go through any corner.
    figure.legend(
        loc="outside upper left", ncols=2, frameon=False, fontsize=SMALL_PT, labelcolor=INK, borderaxespad=0.2
    )
    return figure
