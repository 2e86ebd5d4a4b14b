"""Masks to look at: picture, truth, answer and errors side by side; and each class from epoch to epoch."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from etude.core.run_record import Epoch
from etude.figures.labels import legend_columns, shorten
from etude.figures.theme import DASHES, INK, MUTED, ORANGE, SERIES, SMALL_PT, TEXT_PT, WIDE_IN, dress, new_figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Pixels = npt.NDArray[np.uint8]
VOID = 255
_LEGEND_COLUMNS = 6
_TWO_BESIDE_IN = 9.0


@dataclass(frozen=True)
class MaskRow:
    """One picture of a grid: its pixels (H, W, 3), its two masks (H, W) of ids, and what stands under it."""

    picture: Pixels
    truth: Pixels
    answer: Pixels
    caption: str


def draw_masks(
    rows: Sequence[MaskRow],
    classes: Sequence[str],
    palette: Pixels,
    headings: tuple[str, str, str, str],
    *,
    width_in: float = WIDE_IN,
    widest_px: int = 200,
) -> Figure:
    """Draw pictures line by line: as it is, its truth, the answer, and in orange what is wrong.

    Args:
        rows: the pictures.
        classes: names of the classes.
        palette: the colour of each id, uint8 (256, 3).
        headings: what stands over the four columns.
        width_in: width in inches; above 9 two pictures stand side by side.
        widest_px: pictures are brought to this width, so that a page stays small.
    """
    from matplotlib.patches import Patch

    height, width = rows[0].picture.shape[:2]
    beside = 2 if width_in > _TWO_BESIDE_IN and len(rows) > 1 else 1
    lines, across = -(-len(rows) // beside), 4 * beside
    line_in = width_in / across * height / width + 0.2
    names = [shorten(name, width_in - 0.6, SMALL_PT) for name in classes]
    columns = min(_LEGEND_COLUMNS, legend_columns(names, width_in - 0.2, SMALL_PT))
    figure = new_figure(width_in, lines * line_in + 0.35 + 0.2 * math.ceil(len(names) / columns))
    for place, row in enumerate(rows):
        side, line = divmod(place, lines)
        step = max(1, -(-row.picture.shape[1] // widest_px))
        picture, truth, answer = (array[::step, ::step] for array in (row.picture, row.truth, row.answer))
        wrong = (truth != answer) & (truth != VOID)
        panels = (picture, palette[truth], palette[answer], _mark(picture, wrong))
        for column, pixels in enumerate(panels):
            axes = figure.add_subplot(lines, across, across * line + 4 * side + column + 1)
            _show(axes, pixels)
            if line == 0:
                axes.set_title(headings[column], fontsize=SMALL_PT, color=INK, loc="left")
        figure.axes[4 * place].set_xlabel(row.caption, fontsize=SMALL_PT - 1, color=MUTED, loc="left")
    handles = [Patch(color=tuple(palette[number] / 255), label=name) for number, name in enumerate(names)]
    figure.legend(handles=handles, loc="outside lower left", ncols=columns, fontsize=SMALL_PT, frameon=False)
    return figure


def draw_class_curves(
    history: Sequence[Epoch],
    classes: Sequence[str],
    *,
    score_label: str,
    epoch_label: str,
    number: Callable[[float], str],
    width_in: float = WIDE_IN,
) -> Figure:
    """Draw the IoU of each class on validation, epoch by epoch, one line a class, its name at the end.

    Args:
        history: the epochs of one run.
        classes: names of the classes.
        score_label: label of the vertical axis.
        epoch_label: label of the horizontal axis.
        number: writes a share.
        width_in: width in inches.
    """
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    figure = new_figure(width_in, 3.4)
    axes = figure.add_subplot()
    dress(axes)
    ends: list[tuple[float, str, str]] = []
    for place, name in enumerate(classes):
        # A class that an epoch neither saw nor answered has no IoU there: its line has no point.
        points = [
            (line.epoch, iou)
            for line in history
            if len(line.validation_classes) > place and (iou := line.validation_classes[place]) is not None
        ]
        if not points:
            continue
        color = SERIES[place % len(SERIES)]
        axes.plot(
            *zip(*points, strict=True), color=color, linewidth=1.2, dashes=DASHES[place // len(SERIES) % 4] or (1, 0)
        )
        ends.append((points[-1][1], name, color))
    last = history[-1].epoch
    for height, name, color in _apart(ends, 0.05):
        axes.annotate(
            name, (last, height), (4, 0), textcoords="offset points", va="center", fontsize=SMALL_PT, color=color,
            annotation_clip=False,
        )  # fmt: skip
    axes.set_ylim(0, 1)
    axes.set_xlim(left=history[0].epoch, right=max(last, history[0].epoch + 1))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    axes.set_xlabel(epoch_label, fontsize=TEXT_PT)
    axes.set_ylabel(score_label, fontsize=TEXT_PT)
    return figure


def _apart(ends: Sequence[tuple[float, str, str]], gap: float) -> list[tuple[float, str, str]]:
    """Move names that would lie over each other apart: upwards, and down again where they would leave the axes."""
    gap = min(gap, 1 / max(1, len(ends) - 1))
    heights: list[float] = []
    ranked = sorted(ends)
    for height, _, _ in ranked:
        heights.append(max(height, heights[-1] + gap) if heights else height)
    highest = 1.0
    for place in reversed(range(len(heights))):
        heights[place] = min(heights[place], highest)
        highest = heights[place] - gap
    return [(height, name, color) for height, (_, name, color) in zip(heights, ranked, strict=True)]


def _mark(picture: Pixels, wrong: npt.NDArray[np.bool_]) -> Pixels:
    """Return the picture in pale grey, what is wrong in orange."""
    pale = np.repeat((picture.mean(2) * 0.5 + 120).astype(np.uint8)[..., None], 3, 2)
    pale[wrong] = [int(ORANGE[at : at + 2], 16) for at in (1, 3, 5)]
    return pale


def _show(axes: Axes, pixels: Pixels) -> None:
    axes.imshow(pixels, interpolation="none")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
