"""Dot and both intervals for each candidate, best on top."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from etude.core.interval import Interval
from etude.core.study_record import LeaderboardRow
from etude.figures.rows import lay_rows
from etude.figures.theme import BLUE, INK, MUTED, SMALL_PT, WIDE_IN, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw_leaderboard(
    rows: Sequence[LeaderboardRow],
    *,
    score_label: str,
    runs_label: str,
    pictures_label: str,
    run_label: str,
    baseline_label: str,
    number: Callable[[float], str],
    baseline: str | None = None,
    run_scores: Mapping[str, Sequence[float]] | None = None,
    width_in: float = WIDE_IN,
) -> Figure:
    """Draw the score of each candidate that has one, with its interval over runs and over pictures.

    Args:
        rows: the leaderboard, best first.
        score_label: name and unit of the score.
        runs_label: legend of the interval over runs.
        pictures_label: legend of the interval over pictures.
        run_label: legend of the small circles, one a run.
        baseline_label: legend of the baseline's line.
        number: writes a score as text.
        baseline: the candidate whose score is drawn as a line.
        run_scores: test scores of each candidate's runs.
        width_in: width in inches; below 5 the names stand above their rows.
    """
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    shown = [row for row in rows if row.score is not None]
    narrow = width_in < 5
    figure = new_figure(width_in, 0.95 + len(shown) * (0.46 if narrow else 0.33))
    axes = figure.add_subplot()
    for place, row in enumerate(shown):
        if row.candidate == baseline and row.score is not None:
            axes.axvline(row.score, color=MUTED, linewidth=0.8, dashes=(3, 3), zorder=1, label=baseline_label)
        _draw_row(axes, place, row, (run_scores or {}).get(row.candidate, ()))
    lay_rows(axes, [row.candidate for row in shown], narrow=narrow)
    axes.xaxis.set_major_locator(MaxNLocator(4 if narrow else 6, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    axes.set_xlabel(score_label)
    _add_legend(figure, axes, {"pictures": pictures_label, "runs": runs_label, "run": run_label}, narrow=narrow)
    return figure


def _draw_row(axes: Axes, place: int, row: LeaderboardRow, runs: Sequence[float]) -> None:
    """Draw one candidate at height `place`, its runs just below."""
    _draw_interval(axes, place, row.interval_pictures, "pictures")
    _draw_interval(axes, place, row.interval_runs, "runs")
    if len(runs) > 1:
        axes.plot(
            runs,
            [place + 0.27] * len(runs),
            "o",
            markersize=3.6,
            markerfacecolor="none",
            markeredgecolor=BLUE,
            markeredgewidth=0.8,
            zorder=4,
            label="run",
        )
    if row.score is not None:
        axes.plot([row.score], [place], "o", markersize=5, color=INK, zorder=5)


def _draw_interval(axes: Axes, place: int, interval: Interval | None, kind: str) -> None:
    """Draw an interval: over pictures a thin bar with ends, over runs a pale thick one."""
    if interval is None:
        return
    ends, height = [interval.low, interval.high], [place, place]
    if kind == "runs":
        axes.plot(ends, height, color=BLUE, alpha=0.3, linewidth=7, solid_capstyle="butt", zorder=2, label=kind)
    else:
        axes.plot(ends, height, color=INK, linewidth=1, marker="|", markersize=6, zorder=3, label=kind)


def _add_legend(figure: Figure, axes: Axes, words: Mapping[str, str], *, narrow: bool) -> None:
    """Add one entry a kind of mark that was really drawn."""
    handles, names = axes.get_legend_handles_labels()
    first = {words.get(name, name): handle for name, handle in reversed(list(zip(names, handles, strict=True)))}
    if first:
        figure.legend(
            list(first.values()),
            list(first),
            loc="outside upper left",
            ncols=1 if narrow else len(first),
            frameon=False,
            fontsize=SMALL_PT,
            labelcolor=MUTED,
            handlelength=1.8,
            columnspacing=1.6,
            borderaxespad=0.2,
        )
