"""The confusion matrix: which class is taken for which.

Suffix: ``_KK`` is true class × predicted class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from etude.figures.theme import BLUE, INK, MUTED, ORANGE, PAPER, RULE, SMALL_PT, WIDE_IN, dress, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WITH_NUMBERS = 14
_WITH_NAMES = 40


@dataclass(frozen=True)
class Confusion:
    """One pair of classes of which the first is taken for the second."""

    truth: str
    predicted: str
    count: int
    """Pictures."""
    share: float
    """Share of the true class, 0 to 1."""


def share_rows(counts_KK: np.ndarray) -> np.ndarray:
    """Return each row as shares of its sum, float64 (K, K); a class without pictures gives zeros."""
    totals_K1 = counts_KK.sum(axis=1, keepdims=True)
    shares_KK = np.zeros(counts_KK.shape)
    np.divide(counts_KK, totals_K1, out=shares_KK, where=totals_K1 > 0)
    return shares_KK


def list_confusions(counts_KK: np.ndarray, classes: Sequence[str], most: int = 10) -> list[Confusion]:
    """Return the pairs that are confused most often, by count.

    >>> list_confusions(np.array([[8, 2], [0, 5]]), ["cat", "dog"])
    [Confusion(truth='cat', predicted='dog', count=2, share=0.2)]
    """
    shares_KK = share_rows(counts_KK)
    wrong_KK = counts_KK * (1 - np.eye(len(classes), dtype=counts_KK.dtype))
    order = np.argsort(-wrong_KK, axis=None, kind="stable")[:most]
    pairs = [divmod(int(place), len(classes)) for place in order]
    return [
        Confusion(classes[i], classes[j], int(wrong_KK[i, j]), float(shares_KK[i, j]))
        for i, j in pairs
        if wrong_KK[i, j] > 0
    ]


def draw_confusion(
    counts_KK: np.ndarray,
    classes: Sequence[str],
    *,
    truth_label: str,
    predicted_label: str,
    width_in: float = WIDE_IN,
) -> Figure:
    """Draw the share of each true class (row, in %) that is given each answer (column).

    Right answers are blue and wrong ones orange; the tint grows with the square root of the share, so that rare
    confusions can be seen. Numbers of 1 % and more stand in the cells up to 14 classes, names beside them up to 40.

    Args:
        counts_KK: pictures by true and predicted class, whole numbers (K, K).
        classes: names of the K classes.
        truth_label: label of the rows.
        predicted_label: label of the columns.
        width_in: width in inches.
    """
    from matplotlib.collections import PolyCollection
    from matplotlib.colors import to_rgb

    n_classes = len(classes)
    shares_KK = share_rows(counts_KK)
    side_in = min(width_in, 1.9 + 0.42 * n_classes)
    figure = new_figure(side_in, side_in * 0.94)
    axes = figure.add_subplot()
    for color, mask_KK in ((BLUE, np.eye(n_classes, dtype=bool)), (ORANGE, ~np.eye(n_classes, dtype=bool))):
        for alpha in np.unique(_tint(shares_KK[mask_KK])):
            rows, columns = np.nonzero(mask_KK & (_tint(shares_KK) == alpha))
            if alpha > 0:
                corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1)])
                cells = np.stack([columns, rows], axis=1)[:, None, :] + corners - 0.5
                axes.add_collection(
                    PolyCollection(list(cells), facecolors=[to_rgb(color)], alpha=float(alpha), linewidths=0)
                )
    if n_classes <= _WITH_NUMBERS:
        size = SMALL_PT if width_in > 5 or n_classes <= 6 else 6.5
        for (row, column), share in np.ndenumerate(shares_KK):
            if share >= 0.01:
                color = PAPER if share >= (0.45 if row == column else 0.7) else INK
                axes.text(column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=size, color=color)
    dress(axes, grid="none", spines=())
    axes.set_xlim(-0.5, n_classes - 0.5)
    axes.set_ylim(n_classes - 0.5, -0.5)
    axes.set_aspect("equal")
    _draw_frame(figure, n_classes)
    names = list(classes) if n_classes <= _WITH_NAMES else []
    size = SMALL_PT if n_classes <= _WITH_NUMBERS else 6
    turned: dict[str, Any] = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    if n_classes > _WITH_NUMBERS:
        turned = {"rotation": 90}
    axes.set_xticks(range(len(names)), names, fontsize=size, **turned)
    axes.set_yticks(range(len(names)), names, fontsize=size)
    axes.set_xlabel(predicted_label)
    axes.set_ylabel(truth_label)
    return figure


def _tint(shares: np.ndarray) -> np.ndarray:
    """Return the opacity of each share, 0 to 0.95, in steps of 0.05 so that cells of one tint are drawn together."""
    steps = np.ceil(np.sqrt(shares) * 19) / 20
    return np.asarray(steps)


def _draw_frame(figure: Figure, n_classes: int) -> None:
    """Draw a thin frame, and thin lines between the cells where there are few."""
    axes = figure.axes[0]
    edges = np.arange(n_classes + 1) - 0.5 if n_classes <= _WITH_NUMBERS else np.array([-0.5, n_classes - 0.5])
    span = [-0.5, n_classes - 0.5]
    for edge in edges:
        outer = edge in (edges[0], edges[-1])
        color = MUTED if outer else RULE
        axes.plot([edge, edge], span, color=color, linewidth=0.6, clip_on=False, zorder=1)
        axes.plot(span, [edge, edge], color=color, linewidth=0.6, clip_on=False, zorder=1)
