"""Was a training still improving when it ended? Read from the validation scores of its last epochs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from etude.core.run_record import Epoch
from etude.evaluate.scores import metric_of

LEAST_EPOCHS, _MOST, _SHARE = 5, 10, 0.2
"""Epochs that are looked at: a fifth of the training, at least 5, as a line through fewer says nothing, and at most 10,
so that a curve that rose and then lay flat is not taken for one that rises."""
_FALLS = 0.9
"""The learning rate falls where it ends below this share of what it was when the last epochs began."""


@dataclass(frozen=True)
class Trend:
    """A rise of the validation score over the last epochs that is more than its noise."""

    n_epochs: int
    """Epochs that were looked at."""
    gain: float
    """What the fitted line gains from the first to the last of them; more is better."""
    metric: str
    """The metric that was validated; empty for that of the study."""
    lr_falls: bool
    """Whether the learning rate fell over these epochs, which raises a score by itself and ends with the schedule."""


def trend_of(histories: Sequence[Sequence[Epoch]], metric: str) -> Trend | None:
    """Return the trend of a candidate's last epochs; none where none is shown.

    A line is fitted by least squares to the mean over the runs, epoch by epoch; a trend is shown where the 95 %
    interval of its slope (Student's t, n - 2 degrees of freedom) lies above zero, and its end above all means before.
    Epochs of an earlier stage of a fine-tuning are not fitted.

    Args:
        histories: the epochs of each run; runs of other lengths than the first are left out.
        metric: the study's metric.
    """
    alike = [history for history in histories if history and len(history) == len(histories[0])]
    if not alike:
        return None
    n_epochs = min(_MOST, max(LEAST_EPOCHS, round(_SHARE * len(alike[0]))))
    last = [[epoch for epoch in run[-n_epochs:] if epoch.stage == run[-1].stage] for run in alike]
    if len(alike[0]) <= n_epochs or any(len(run) < n_epochs for run in last):
        return None
    scores = [[epoch.validation_score for epoch in run] for run in last]
    if any(score is None for run in scores for score in run):
        return None
    named = last[0][-1].validation_metric
    sign = 1.0 if metric_of(named or metric).higher_is_better else -1.0
    means_N = sign * np.asarray(scores, float).mean(0)
    slope = _shown_slope(means_N)
    if slope is None or means_N.mean() + slope * (n_epochs - 1) / 2 <= _best_before(alike, n_epochs, sign):
        return None
    falls = all(run[-1].lr < _FALLS * run[0].lr for run in last)
    return Trend(n_epochs, slope * (n_epochs - 1), named, falls)


def _best_before(runs: Sequence[Sequence[Epoch]], n_last: int, sign: float) -> float:
    """Return the best mean score before the last epochs: what climbs back to it after a setback has gained nothing."""
    earlier = [[epoch.validation_score for epoch in run[:-n_last]] for run in runs]
    known = [column for column in zip(*earlier, strict=True) if all(score is not None for score in column)]
    return max((sign * float(np.mean(column)) for column in known), default=-np.inf)


def _shown_slope(values_N: np.ndarray) -> float | None:
    """Return the slope of a line through equally spaced values; none where its 95 % interval does not lie above 0."""
    from scipy.stats import linregress, t

    if not np.isfinite(values_N).all():
        return None
    fitted = linregress(np.arange(len(values_N)), values_N)
    return float(fitted.slope) if fitted.slope > t.ppf(0.975, len(values_N) - 2) * fitted.stderr else None
