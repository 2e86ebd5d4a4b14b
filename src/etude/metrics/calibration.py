"""Temperature: one number that makes a model as sure as it is right. N pictures, K classes."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from etude.metrics.registry import Doubles, Floats, Integers

COLDEST, HOTTEST = 0.05, 20.0
_STEPS = 60
_SMALLEST = 1e-30


def with_temperature(probabilities_NK: Floats, temperature: float) -> Doubles:
    """Return the probabilities (N, K) after their logits are divided by a temperature.

    Above 1 the model becomes less sure, below 1 surer; the order of the classes stays.

    >>> with_temperature(np.array([[0.2, 0.8]]), 1.0).round(3)
    array([[0.2, 0.8]])
    >>> with_temperature(np.array([[0.2, 0.8]]), 2.0).round(3)
    array([[0.333, 0.667]])
    """
    logits_NK: Doubles = _log(probabilities_NK) / temperature
    weights_NK = np.exp(logits_NK - logits_NK.max(axis=1, keepdims=True))
    scaled_NK: Doubles = weights_NK / weights_NK.sum(axis=1, keepdims=True)
    return scaled_NK


def fit_temperature(truth_N: Integers, probabilities_NK: Floats) -> float:
    """Return the temperature with the smallest mean surprise at the truth, from 0.05 to 20 (Guo et al. 2017).

    The surprise is convex in the inverse of the temperature, so that a golden-section search finds the one minimum.
    """
    logits_NK = _log(probabilities_NK)

    def surprise(inverse: float) -> float:
        scaled_NK = logits_NK * inverse
        largest_N1 = scaled_NK.max(axis=1, keepdims=True)
        total_N = np.log(np.exp(scaled_NK - largest_N1).sum(axis=1)) + largest_N1[:, 0]
        return float(np.mean(total_N - scaled_NK[np.arange(len(truth_N)), truth_N]))

    golden = (math.sqrt(5) - 1) / 2
    low, high = math.log(1 / HOTTEST), math.log(1 / COLDEST)
    for _ in range(_STEPS):
        left, right = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, right) if surprise(math.exp(left)) <= surprise(math.exp(right)) else (left, high)
    return math.exp(-(low + high) / 2)


def _log(probabilities_NK: Floats) -> Doubles:
    logs: Doubles = np.log(np.maximum(np.asarray(probabilities_NK, dtype=np.float64), _SMALLEST))
    return logs


def reliability_of_positive(
    positive_N: npt.NDArray[np.bool_], score_N: Floats, bins: int = 10
) -> tuple[Doubles, Doubles, Doubles]:
    """Set the probability of the positive class beside how often it is there, in equal bins of the probability.

    Returns:
        Pictures, mean probability and share of positives of each bin, each (bins,) float64; means are NaN in an empty
        bin.

    >>> counts, _, share = reliability_of_positive(np.array([True, False, False]), np.array([0.9, 0.1, 0.15]), 2)
    >>> counts.tolist(), share.tolist()
    ([2.0, 1.0], [0.0, 1.0])
    """
    bin_N = np.clip((np.asarray(score_N, dtype=np.float64) * bins).astype(np.int64), 0, bins - 1)
    counts = np.bincount(bin_N, minlength=bins).astype(np.float64)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(bin_N, score_N, minlength=bins) / counts
        share = np.bincount(bin_N, positive_N, minlength=bins) / counts
    return counts, mean, share
