"""Pictures side by side: a contact sheet by class, and a grid of answers, right and wrong.

Suffix: ``_NHWC`` is picture × height × width × channel, uint8 RGB.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from etude.figures.labels import height_of, wrap, wrap_each
from etude.figures.theme import BLUE, INK, MUTED, ORANGE, SMALL_PT, TEXT_PT, WIDE_IN, new_figure
from etude.figures.tiles import show, show_row

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def draw_contact_sheet(
    pictures: Sequence[np.ndarray],
    labels: Sequence[int],
    classes: Sequence[str],
    *,
    per_class: int = 8,
    width_in: float = WIDE_IN,
) -> Figure:
    """Draw the first pictures of each class, one row a class, its name at the left.

    Args:
        pictures: N pictures, uint8 (H, W, 3), each of its own size or all of one.
        labels: the class id of each picture.
        classes: names of the classes; one without pictures is left out.
        per_class: pictures a row.
        width_in: width in inches.
    """
    rows = [
        [place for place, label in enumerate(labels) if label == wanted][:per_class] for wanted in range(len(classes))
    ]
    shown = [(name, row) for name, row in zip(classes, rows, strict=True) if row]
    labelled = [wrap(name, 1.0, TEXT_PT) for name, _ in shown]
    row_in = max((width_in - 1.0) / per_class, height_of(labelled, TEXT_PT) + 0.05)
    figure = new_figure(width_in, max(1, len(shown)) * row_in + 0.1)
    for line, (_, row) in enumerate(shown):
        axes = figure.add_subplot(len(shown), 1, line + 1)
        show_row(axes, [pictures[place] for place in row], per_class)
        axes.set_ylabel(labelled[line], rotation=0, ha="right", va="center", fontsize=TEXT_PT, color=INK, labelpad=6)
    return figure


def draw_answers(
    pictures: Sequence[np.ndarray],
    truth: Sequence[int],
    predicted: Sequence[int],
    confidence: Sequence[float],
    classes: Sequence[str],
    *,
    number: Callable[[float], str],
    instead_of: str,
    columns: int = 6,
    width_in: float = WIDE_IN,
) -> Figure:
    """Draw pictures with the answer given: blue frame where right, orange and dashed where wrong.

    Args:
        pictures: N pictures, uint8 (H, W, 3).
        truth: true class ids.
        predicted: class ids of the answers.
        confidence: probability of each answer, 0 to 1.
        classes: names of the classes.
        number: writes a probability as text.
        instead_of: how a wrong answer names the truth, such as 'true: {truth}'.
        columns: pictures a row.
        width_in: width in inches.
    """
    lines = max(1, math.ceil(len(pictures) / columns))
    told = []
    for real, answer, surety in zip(truth, predicted, confidence, strict=True):
        answered = f"{classes[answer]} {number(surety)}"
        below = "" if real == answer else "\n" + instead_of.format(truth=classes[real])
        told.append(wrap_each(answered + below, width_in / columns - 0.12, SMALL_PT))
    figure = new_figure(width_in, lines * (width_in / columns + height_of(told, SMALL_PT) + 0.14))
    for place, picture in enumerate(pictures):
        axes = figure.add_subplot(lines, columns, place + 1)
        show(axes, picture)
        right = truth[place] == predicted[place]
        for spine in axes.spines.values():
            spine.set(
                visible=True, color=BLUE if right else ORANGE, linewidth=2.2, linestyle="-" if right else (0, (3, 2.5))
            )
        axes.set_xlabel(told[place], fontsize=SMALL_PT, color=MUTED if right else INK, labelpad=3)
    return figure
