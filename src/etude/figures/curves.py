"""Learning curves: loss and score by epoch, each run a thin line and their mean a thick one.

Generators have no epochs but looks, whose distance in steps is each candidate's own: theirs are drawn by step.

Suffix: ``_RE`` is runs × epochs, or looks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from etude.core.run_record import AdversarialLook, Epoch
from etude.figures.theme import (
    BLUE,
    INK,
    MUTED,
    ORANGE,
    SMALL_PT,
    TEXT_PT,
    WIDE_IN,
    Look,
    belongs_to,
    dress,
    fit,
    new_figure,
    title,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Field = Literal[
    "train_loss",
    "train_score",
    "validation_loss",
    "validation_score",
    "discriminator_loss",
    "generator_gradient",
    "discriminator_gradient",
    "real_logit",
    "fake_logit",
    "diversity",
]
"""What a line of history holds; from the discriminator's loss on of generators alone."""
Axis = Literal["epoch", "step"]
History = Sequence[Epoch]
_FEW_PANELS = 4
"""More stand in three columns, or they fill a page."""


@dataclass(frozen=True)
class Curve:
    """One quantity of one candidate, by epoch or by step."""

    runs_RE: np.ndarray
    """float64 (runs, epochs); NaN where a run has no value."""
    mean_E: np.ndarray
    """float64 (epochs,): mean over the runs, as far as all of them went."""
    at_E: np.ndarray
    """int64 (epochs,): numbers of the epochs, from 1, or steps made at their ends."""


def gather_curve(histories: Sequence[History], field: Field, by: Axis = "epoch") -> Curve | None:
    """Set the histories of a candidate's runs side by side; None where none holds a finite value.

    The mean ends with the shortest run, so that it never jumps because a run stopped early.
    """
    longest = max((history[-1].epoch for history in histories if history), default=0)
    runs_RE = np.full((len(histories), longest), math.nan)
    at_E = np.arange(1, longest + 1)
    for run, history in enumerate(histories):
        for line in history:
            value = _value(line, field)
            if value is not None and math.isfinite(value):
                runs_RE[run, line.epoch - 1] = value
            if by == "step":
                at_E[line.epoch - 1] = line.step
    runs_RE = runs_RE[np.isfinite(runs_RE).any(axis=1)]
    if not runs_RE.size:
        return None
    return Curve(runs_RE=runs_RE, mean_E=runs_RE.mean(axis=0), at_E=at_E)


def _value(line: Epoch, field: Field) -> float | None:
    held = line.adversarial if field in AdversarialLook.model_fields else line
    value: float | None = None if held is None else getattr(held, field)
    return value


def draw_curves(
    histories: Mapping[str, Sequence[History]],
    panels: Mapping[Field, str],
    *,
    looks: Mapping[str, Look],
    epoch_label: str,
    numbers: Mapping[Field, Callable[[float], str]],
    by: Axis = "epoch",
    width_in: float = WIDE_IN,
) -> Figure:
    """Overlay all candidates, one panel a quantity; the marks of a candidate share the class ``series-N``.

    Args:
        histories: the runs of each candidate.
        panels: the quantities to draw and their headings; one without any value is left out.
        looks: colour and dash of each candidate.
        epoch_label: label of the horizontal axis.
        numbers: writes a value of each quantity as text.
        by: what the horizontal axis counts.
        width_in: width in inches; below 5 the panels stand one above the other.
    """
    curves = {
        field: {name: curve for name, runs in histories.items() if (curve := gather_curve(runs, field, by))}
        for field in panels
    }
    shown = [field for field in panels if curves[field]]
    columns = 1 if width_in < 5 or len(shown) < 2 else 2 if len(shown) <= _FEW_PANELS else 3
    rows = max(1, math.ceil(len(shown) / columns))
    figure = new_figure(width_in, rows * 2.35 + 0.1)
    for place, field in enumerate(shown):
        axes = figure.add_subplot(rows, columns, place + 1)
        for name, curve in curves[field].items():
            _draw_curve(axes, curve, looks[name])
        _dress_panel(axes, panels[field], numbers[field])
        if place >= len(shown) - columns:
            axes.set_xlabel(epoch_label)
    return figure


def draw_gaps(
    histories: Mapping[str, Sequence[History]],
    *,
    train_label: str,
    validation_label: str,
    epoch_label: str,
    number: Callable[[float], str],
    kind: Literal["loss", "score"] = "loss",
    width_in: float = WIDE_IN,
) -> Figure:
    """Draw training against validation, one small panel a candidate on one scale: where they part, it overfits."""
    fields: tuple[Field, Field] = ("train_loss", "validation_loss")
    if kind == "score":
        fields = ("train_score", "validation_score")
    shown = {name: [gather_curve(runs, field) for field in fields] for name, runs in histories.items()}
    shown = {name: pair for name, pair in shown.items() if any(pair)}
    columns = _choose_columns(len(shown), 2 if width_in < 5 else 5)
    rows = max(1, math.ceil(len(shown) / columns))
    figure = new_figure(width_in, rows * 1.55 + 0.55)
    first: Axes | None = None
    for place, (name, pair) in enumerate(shown.items()):
        axes = figure.add_subplot(rows, columns, place + 1, sharey=first, sharex=first)
        first = first or axes
        for curve, color, label in zip(pair, (ORANGE, BLUE), (train_label, validation_label), strict=True):
            if curve is not None:
                look = Look(place, color, ())
                _draw_curve(axes, curve, look, label=label, mark=False)
        _dress_panel(axes, fit(name, (width_in - 0.4) / columns), number)
        axes.tick_params(labelleft=place % columns == 0, labelbottom=place >= len(shown) - columns)
    figure.supxlabel(epoch_label, fontsize=TEXT_PT, color=INK)
    if first is not None:
        handles, names = first.get_legend_handles_labels()
        figure.legend(
            handles,
            names,
            loc="outside upper left",
            ncols=2,
            frameon=False,
            fontsize=SMALL_PT,
            labelcolor=MUTED,
            handlelength=1.6,
            borderaxespad=0.2,
        )
    return figure


def _choose_columns(n_panels: int, most: int) -> int:
    """Return the number of columns that leaves the fewest holes in the last row.

    >>> [_choose_columns(n, 5) for n in (1, 4, 5, 6, 7, 11)]
    [1, 4, 5, 3, 4, 4]
    """
    if n_panels <= most:
        return max(1, n_panels)
    return min(range(min(3, most), most + 1), key=lambda columns: (-n_panels % columns, -columns))


def _draw_curve(axes: Axes, curve: Curve, look: Look, *, label: str | None = None, mark: bool = True) -> None:
    """Draw each run as a thin line and the mean as a thick one."""
    style: dict[str, Any] = {"color": look.color, "solid_capstyle": "round"}
    lines = []
    if len(curve.runs_RE) > 1:
        lines += axes.plot(curve.at_E, curve.runs_RE.T, linewidth=0.7, alpha=0.45, zorder=2, **style)
    marker = "o" if curve.runs_RE.shape[1] == 1 else ""
    if look.dash:
        style["dashes"] = look.dash
    lines += axes.plot(
        curve.at_E,
        curve.mean_E,
        linewidth=1.7,
        zorder=3,
        marker=marker,
        markersize=4,
        label=label,
        **style,
    )
    if mark:
        for line in lines:
            belongs_to(line, look)


def _dress_panel(axes: Axes, heading: str, number: Callable[[float], str]) -> None:
    """Dress one panel: whole epochs below, few values at the left."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    dress(axes)
    title(axes, heading)
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
