"""The score of each trial of a search against each of its fields: the curves of their influence."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from etude.core.search_record import SearchRecord, TrialRecord
from etude.figures.search import Scale, list_complete, short_names
from etude.figures.theme import BLUE, INK, MUTED, ORANGE, SMALL_PT, TEXT_PT, WIDE_IN, dress, fit, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ACROSS, _PANEL_IN, _MOST_LINES = 3, 2.0, 5


def draw_slices(
    records: Sequence[SearchRecord],
    *,
    score_label: str,
    number: Callable[[float], str],
    write: Callable[[object], str],
    width_in: float = WIDE_IN,
) -> Figure:
    """Draw each complete trial as a point in a panel of each field: its value across, its score up; the best in orange.

    All other fields differ from point to point, so a panel shows how far one field decides, and not what it does alone.

    Args:
        records: the search; with folds that of each.
        score_label: name and unit of the score.
        number: writes a score as text.
        write: writes a value of a field as text.
        width_in: width in inches; below 5 the panels stand in one column.
    """
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    parameters = records[0].parameters
    fields = list(dict.fromkeys(entry.field for entry in parameters))
    across = 1 if width_in < 5 else min(_ACROSS, len(fields))
    rows = math.ceil(len(fields) / across)
    longest = max(
        (len(choice) for entry in parameters for choice in entry.choices if isinstance(choice, list | tuple)), default=1
    )
    stacked_in = 0.16 * (min(longest, _MOST_LINES) - 1)
    figure = new_figure(width_in, 0.3 + rows * (_PANEL_IN + stacked_in))
    panels = figure.subplots(rows, across, sharey=True, squeeze=False).ravel().tolist()
    points = [
        (trial, score, trial.number == record.best) for record in records for trial, score in list_complete(record)
    ]
    figure.supylabel(score_label, fontsize=TEXT_PT, color=INK)
    for panel, field, name in zip(panels, fields, short_names(fields), strict=False):
        dress(panel)
        scale = Scale([entry for entry in parameters if entry.field == field])
        _draw_panel(panel, points, field, scale)
        _label(panel, scale, write, width_in / across)
        panel.set_xlabel(fit(name, width_in / across - 0.6))
        panel.yaxis.set_major_locator(MaxNLocator(4))
        panel.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    for panel in panels[len(fields) :]:
        panel.set_axis_off()
    return figure


def _draw_panel(
    axes: Axes, points: Sequence[tuple[TrialRecord, float, bool]], field: str, scale: Scale
) -> None:  # fmt: skip
    """Draw the trials that have the field; those of conditions that they do not meet have none."""
    for trial, score, is_best in sorted(points, key=lambda point: point[2]):
        if field in trial.settings:
            color, size = (ORANGE, 6) if is_best else (BLUE, 4)
            place = scale.place(trial.settings[field])
            axes.plot(place, score, "o", color=color, markersize=size, alpha=0.9 if is_best else 0.6)
    axes.set_xlim(-0.06, 1.06)
    axes.margins(y=0.08)


def _label(axes: Axes, scale: Scale, write: Callable[[object], str], width_in: float) -> None:
    """Write the choices of a field, or the ends and the middle of its range, below its axis."""
    if scale.choices:
        places = [scale.place(choice) for choice in scale.choices]
        each_in = (width_in - 0.7) / len(places)
        labels = [_stack(write(choice), max(0.35, each_in)) for choice in scale.choices]
    else:
        places, labels = [0.0, 0.5, 1.0], [write(scale.low), write(scale.at(0.5)), write(scale.high)]
    axes.set_xticks(places, labels, color=MUTED, fontsize=SMALL_PT)


def _stack(text: str, width_in: float) -> str:
    """Write a list that is too long for its place with a line for each of its parts."""
    if fit(text, width_in, SMALL_PT) == text:
        return text
    parts = text.strip("[]").split(", ")
    lines = parts if len(parts) <= _MOST_LINES else [*parts[: _MOST_LINES - 1], "…"]
    return "\n".join(fit(part, width_in, SMALL_PT) for part in lines)
