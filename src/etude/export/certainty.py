"""How sure is sure: the temperature, and the probability below which an answer counts as unsure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from etude.core.bundle_record import Certainty
from etude.export.request import Request
from etude.metrics.calibration import COLDEST, HOTTEST, fit_temperature, with_temperature
from etude.metrics.classification import predicted_labels

_LEAST_SURE = 0.05
"""The share of the right answers, the least probable ones, that count as unsure in any case: a model that makes no
error on validation still has to be able to doubt what it never saw."""

Probabilities = npt.NDArray[np.float32]


def choose_temperature(truth_N: npt.NDArray[np.int64], probabilities_NK: Probabilities) -> float:
    """Return what the logits are to be divided by, chosen on validation."""
    return fit_temperature(truth_N, probabilities_NK)


def further_temperature(truth_N: npt.NDArray[np.int64], probabilities_NK: Probabilities, temperature: float) -> float:
    """Return what logits are to be divided by beyond a temperature, chosen on validation for what was answered at it.

    Both together stay in the range that one choice is made in: answers that are all right would get surer each time.
    """
    further = choose_temperature(truth_N, probabilities_NK)
    return min(max(further, COLDEST / temperature), HOTTEST / temperature)


def tempered(request: Request, further: float) -> Request:
    """Return the run with its logits divided by so much beyond its temperature, its threshold moved along."""
    temperature = further * (1.0 if request.temperature is None else request.temperature)
    return replace(request, temperature=temperature, threshold=moved_threshold(request.threshold, further))


def moved_threshold(threshold: float | None, temperature: float) -> float | None:
    """Return the threshold that decides after a further temperature as the given one did before it.

    >>> moved_threshold(0.5, 3.0)
    0.5
    """
    if threshold is None or not 0 < threshold < 1:
        return threshold
    return float(with_temperature(np.array([[1 - threshold, threshold]]), temperature)[0, 1])


def choose_certainty(
    truth_N: npt.NDArray[np.int64], probabilities_NK: Probabilities, threshold: float | None, sure: float
) -> Certainty:
    """Choose the smallest probability from which on a share `sure` of the answers is right.

    Args:
        truth_N: the true classes of the validation pictures.
        probabilities_NK: what was answered, at the bundle's temperature.
        threshold: a detector's threshold.
        sure: share of right answers that sure answers must have.
    """
    answer_N = predicted_labels(probabilities_NK, threshold)
    confidence_N = probabilities_NK[np.arange(len(answer_N)), answer_N].astype(np.float64)
    right_N = answer_N == truth_N
    falling = np.argsort(-confidence_N, kind="stable")
    share_right_N = np.cumsum(right_N[falling]) / np.arange(1, len(falling) + 1)
    enough = np.flatnonzero(share_right_N >= sure)
    lowest = confidence_N[falling[enough[-1]]] if len(enough) else 1.0
    doubtful = float(np.quantile(confidence_N[right_N], _LEAST_SURE)) if right_N.any() else 1.0
    unsure_below = max(float(lowest), doubtful)
    is_sure_N = confidence_N >= unsure_below
    return Certainty(
        unsure_below=unsure_below,
        sure_share=float(is_sure_N.mean()),
        sure_accuracy=float(right_N[is_sure_N].mean()) if is_sure_N.any() else None,
    )
