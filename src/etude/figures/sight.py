"""What layers see, and where a network looks: maps, filters, pictures side by side. Words come in as arguments.

Suffixes: ``_HWC`` is height × width × channel, uint8 RGB; ``_CHW`` channel × height × width, any numbers;
``_HW`` 0 to 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from etude.figures.labels import height_of, legend_columns, shorten, wrap, wrap_each
from etude.figures.theme import INK, MUTED, SERIES, SMALL_PT, TEXT_PT, WIDE_IN, dress, new_figure, title
from etude.figures.tiles import show, show_row

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_NAME_IN = 1.3
_BOLD = 1.15  # how much wider bold letters are
ROW_IN = 8.5
"""From this width on four maps of the data stand in one row, as on a slide."""
_DOTS, _DOT_SIZES = 2_500, (5.0, 18.0)
"""What all dots of a map cover together, and one at least and at most, in square points."""


def draw_maps(
    picture_HWC: np.ndarray, maps: Mapping[str, np.ndarray], *, columns: int = 10, width_in: float = WIDE_IN
) -> Figure:
    """Draw the first channels of each layer's maps, one row a layer, the picture first.

    Args:
        picture_HWC: the picture.
        maps: for each layer, its maps (C, H, W); each map is drawn on its own scale, dark to bright.
        columns: channels a row.
        width_in: width in inches.
    """
    names = {name: wrap(name, _NAME_IN, SMALL_PT) for name in maps}
    row_in = max((width_in - 1.5) / columns, height_of([*names.values()], SMALL_PT) + 0.05)
    figure = new_figure(width_in, (len(maps) + 1) * row_in + 0.2)
    rows = len(maps) + 1
    ratio = picture_HWC.shape[0] / picture_HWC.shape[1]
    show_row(figure.add_subplot(rows, 1, 1), [picture_HWC], columns, ratio=ratio)
    for line, (name, maps_CHW) in enumerate(maps.items(), 1):
        order = np.argsort(-maps_CHW.reshape(len(maps_CHW), -1).std(1), kind="stable")[:columns]
        axes = figure.add_subplot(rows, 1, line + 1)
        show_row(axes, [maps_CHW[channel] for channel in sorted(order.tolist())], columns, ratio=ratio, cmap="magma")
        _name_row(axes, names[name])
    return figure


def draw_filters(filters_NCHW: np.ndarray, *, columns: int = 16, width_in: float = WIDE_IN) -> Figure:
    """Draw filters that read colours (N, 3, k, k) as small pictures, each on its own scale around grey."""
    columns = min(columns, len(filters_NCHW))
    lines = math.ceil(len(filters_NCHW) / columns)
    figure = new_figure(width_in, lines * width_in / max(columns, 8) + 0.1)
    scales_N = np.maximum(np.abs(filters_NCHW).max((1, 2, 3)), 1e-12)
    shown = [
        (weights.transpose(1, 2, 0) / scale + 1) / 2 for weights, scale in zip(filters_NCHW, scales_N, strict=True)
    ]
    for line in range(lines):
        show_row(figure.add_subplot(lines, 1, line + 1), shown[line * columns : (line + 1) * columns], columns)
    return figure


def draw_exciting(rows: Sequence[tuple[str, Sequence[np.ndarray]]], *, width_in: float = WIDE_IN) -> Figure:
    """Draw, one row a channel, the pictures that most excite it; the name of the channel at the left."""
    columns = max((len(pictures) for _, pictures in rows), default=1)
    names = [wrap(name, _NAME_IN, SMALL_PT) for name, _ in rows]
    row_in = max((width_in - 1.8) / columns, height_of(names, SMALL_PT) + 0.05)
    figure = new_figure(width_in, max(1, len(rows)) * row_in + 0.1)
    for line, (_, pictures) in enumerate(rows):
        if len(pictures) == 0:
            continue
        axes = figure.add_subplot(len(rows), 1, line + 1)
        show_row(axes, pictures, columns, ratio=pictures[0].shape[0] / pictures[0].shape[1])
        _name_row(axes, names[line])
    return figure


def _name_row(axes: Axes, label: str) -> None:
    """Write the name of a row at its left."""
    axes.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=SMALL_PT, color=INK, labelpad=5)


@dataclass(frozen=True)
class Look:
    """Where a network looks for one answer."""

    told: str
    """What is written above."""
    picture_HWC: np.ndarray
    cam_HW: np.ndarray
    """Grad-CAM."""
    integrated_HW: np.ndarray
    """Integrated gradients."""
    pixels_HW: np.ndarray | None = None
    """Of masks, the pixels in question, bool: they are outlined."""


def draw_attributions(looks: Sequence[Look], heads: Sequence[str], *, width_in: float = WIDE_IN) -> Figure:
    """Draw pictures, each with Grad-CAM laid over it and with its integrated gradients; the pictures side by side.

    Args:
        looks: where the network looks, answer by answer.
        heads: names of the three: picture, Grad-CAM, integrated gradients.
        width_in: width in inches; below 5 four pictures stand side by side, and the others below.
    """
    across = max(1, min(len(looks), 8 if width_in > 5 else 4))
    bands = math.ceil(len(looks) / across)
    height, width = looks[0].picture_HWC.shape[:2] if looks else (1, 1)
    side_in = (width_in - 0.9) / across * min(1.0, height / width)
    told = [wrap_each(look.told, (width_in - 0.9) / across - 0.06, SMALL_PT - 1) for look in looks]
    figure = new_figure(width_in, bands * (3 * side_in + height_of(told, SMALL_PT - 1) + 0.25) + 0.1)
    for place, look in enumerate(looks):
        band, column = divmod(place, across)
        for line in range(3):
            axes = figure.add_subplot(3 * bands, across, (3 * band + line) * across + column + 1)
            is_last = line == 2
            if is_last:
                show(axes, _brightened(look.integrated_HW), cmap="magma")
            else:
                show(axes, look.picture_HWC)
            if line == 1:
                axes.imshow(look.cam_HW, cmap="magma", alpha=0.55)
            if look.pixels_HW is not None and not is_last:
                axes.contour(look.pixels_HW.astype(float), levels=[0.5], colors=["white"], linewidths=0.7)
            if line == 0:
                axes.set_title(told[place], fontsize=SMALL_PT - 1, color=INK)
            if column == 0:
                name = heads[line].replace(" ", "\n")
                axes.set_ylabel(
                    name, rotation=0, ha="right", va="center", fontsize=SMALL_PT - 1, color=MUTED, labelpad=4
                )
    return figure


def _brightened(map_HW: np.ndarray) -> np.ndarray:
    """Return a map, 0 to 1, whose brightest twentieth is equally bright: a few pixels would leave the others black."""
    above = map_HW[map_HW > 0]
    most = float(np.quantile(above, 0.95)) if above.size else 0.0
    return np.clip(map_HW / most, 0.0, 1.0) if most > 0 else map_HW


def draw_data_maps(
    panels: Sequence[tuple[str, np.ndarray]], labels: np.ndarray, classes: Sequence[str], *, width_in: float = WIDE_IN
) -> Figure:
    """Draw maps of the data, each picture a dot in the colour of its class; up to 12 classes that are there are named.

    Two stand in a row, and four in a figure that is wide enough (`ROW_IN`). The fewer pictures, the larger their dots.

    Args:
        panels: for each map its heading and its places (N, 2).
        labels: class ids (N,).
        classes: names of the classes.
        width_in: width in inches.
    """
    colors = [_color(label, len(classes)) for label in range(len(classes))]
    there = [label for label in range(len(classes)) if (labels == label).any()]
    are_named = len(there) <= 12
    names = [shorten(classes[label], width_in - 0.6, SMALL_PT) for label in there]
    n_columns = legend_columns(names, width_in - 0.2, SMALL_PT)
    legend_in = math.ceil(len(names) / n_columns) * 0.17 + 0.25 if are_named else 0.0
    most_across = 2 if width_in < ROW_IN else 4
    across, down = max(1, min(most_across, len(panels))), math.ceil(len(panels) / most_across)
    figure = new_figure(width_in, down * width_in / most_across + legend_in)
    dot = float(np.clip(_DOTS / max(1, len(labels)), *_DOT_SIZES))
    for place, (heading, places_N2) in enumerate(panels):
        axes = figure.add_subplot(down, across, place + 1)
        dress(axes, grid="none", spines=())
        title(axes, wrap(heading, width_in / across - 0.25, TEXT_PT * _BOLD))
        for label in there:
            own = places_N2[labels == label]
            axes.scatter(own[:, 0], own[:, 1], s=dot, color=colors[label], alpha=0.7, linewidths=0, rasterized=True)
        axes.set_xticks([])
        axes.set_yticks([])
    if are_named:
        handles = [figure.axes[0].scatter([], [], s=24, color=colors[label], label=classes[label]) for label in there]
        figure.legend(handles, names, loc="outside lower center", ncols=n_columns, frameon=False, fontsize=SMALL_PT)
    return figure


def _color(label: int, n_classes: int) -> tuple[float, float, float]:
    from matplotlib import colormaps
    from matplotlib.colors import to_rgb

    if n_classes <= len(SERIES):
        return to_rgb(SERIES[label])
    red, green, blue, _ = colormaps["turbo"](label / max(1, n_classes - 1))
    return red, green, blue
