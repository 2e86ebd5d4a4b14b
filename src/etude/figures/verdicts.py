"""The forest plot: each candidate's gain over the baseline, with its interval and a line at zero."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from etude.core.study_record import Verdict, VerdictWord
from etude.figures.rows import lay_rows
from etude.figures.theme import BLUE, INK, MUTED, ORANGE, PAPER, SMALL_PT, WIDE_IN, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLORS: Mapping[VerdictWord, str] = {"better": BLUE, "worse": ORANGE, "no difference shown": MUTED}
MARKERS: Mapping[VerdictWord, str] = {"better": "o", "worse": "s", "no difference shown": "D"}


def draw_verdicts(
    verdicts: Sequence[Verdict],
    *,
    gain_label: str,
    verdict_labels: Mapping[VerdictWord, str],
    number: Callable[[float], str],
    summary: Callable[[Verdict], str],
    width_in: float = WIDE_IN,
) -> Figure:
    """Draw the gains; colour and marker both say the verdict, hollow where nothing was shown.

    Args:
        verdicts: the comparisons, in the order to draw.
        gain_label: name and unit of the gain.
        verdict_labels: the words of the three verdicts.
        number: writes a gain as text on the axis.
        summary: writes gain and interval as text, beside the row.
        width_in: width in inches; below 5 the names stand above their rows.
    """
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    narrow = width_in < 5
    figure = new_figure(width_in, 0.95 + len(verdicts) * (0.46 if narrow else 0.33))
    axes = figure.add_subplot()
    axes.axvline(0, color=INK, linewidth=0.9, zorder=1)
    for place, verdict in enumerate(verdicts):
        color = COLORS[verdict.verdict]
        if verdict.low is not None and verdict.high is not None:
            axes.plot([verdict.low, verdict.high], [place] * 2, color=color, linewidth=1.6, zorder=2)
        axes.plot(
            [verdict.gain],
            [place],
            MARKERS[verdict.verdict],
            markersize=6.5,
            color=color,
            zorder=3,
            markerfacecolor=PAPER if verdict.verdict == "no difference shown" else color,
            markeredgewidth=1.3,
            label=verdict_labels[verdict.verdict],
        )
        axes.annotate(
            summary(verdict),
            (1, place - (0.22 if narrow else 0)),
            xycoords=axes.get_yaxis_transform(),
            xytext=(0 if narrow else 10, 0),
            textcoords="offset points",
            va="bottom" if narrow else "center",
            ha="right" if narrow else "left",
            fontsize=SMALL_PT,
            color=MUTED,
            in_layout=not narrow,
            bbox={"facecolor": PAPER, "edgecolor": "none", "pad": 1},
        )
    lay_rows(axes, [verdict.candidate for verdict in verdicts], narrow=narrow)
    axes.margins(x=0.08)
    axes.xaxis.set_major_locator(MaxNLocator(4 if narrow else 6, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    axes.set_xlabel(gain_label)
    handles, names = axes.get_legend_handles_labels()
    first = {name: handles[names.index(name)] for name in verdict_labels.values() if name in names}
    figure.legend(
        list(first.values()),
        list(first),
        loc="outside upper left",
        ncols=2 if narrow else 3,
        frameon=False,
        fontsize=SMALL_PT,
        labelcolor=MUTED,
        handletextpad=0.2,
        columnspacing=1.4,
        borderaxespad=0.2,
    )
    return figure
