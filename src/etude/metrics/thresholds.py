"""From which probability on a detector says yes. N pictures, T distinct thresholds.

Each rule takes the truth and the scores of the pictures on which the threshold is chosen. The threshold lies half-way
between the lowest score that is found and the next one below.
"""

from __future__ import annotations

import numpy as np

from etude.core.errors import DataError, sentence
from etude.metrics.curves import Booleans
from etude.metrics.registry import Doubles, Floats


def threshold_for_recall(positive_N: Booleans, score_N: Floats, recall: float) -> float:
    """Return the strictest threshold at which at least this share of the positives is found.

    >>> threshold_for_recall(np.array([True, False, True]), np.array([0.9, 0.2, 0.6]), 1.0)
    0.4
    """
    true_T, _, threshold_T = _counts(positive_N, score_N)
    enough = true_T >= recall * true_T[-1] - 1e-9
    return float(threshold_T[int(np.argmax(enough))])


def threshold_for_cost(
    positive_N: Booleans, score_N: Floats, *, false_positive: float, false_negative: float
) -> float:  # fmt: skip
    """Return the threshold at which the errors cost least in all; the strictest among equals.

    Args:
        positive_N: whether each picture is of the positive class.
        score_N: probability of the positive class.
        false_positive: cost of a negative that is found.
        false_negative: cost of a positive that is not found.
    """
    true_T, false_T, threshold_T = _counts(positive_N, score_N)
    cost_T = false_positive * false_T + false_negative * (true_T[-1] - true_T)
    return float(threshold_T[int(np.argmin(cost_T))])


def threshold_for_f1(positive_N: Booleans, score_N: Floats) -> float:
    """Return the threshold with the largest F1 of the positive class; the strictest among equals."""
    true_T, false_T, threshold_T = _counts(positive_N, score_N)
    f1_T = 2 * true_T / (true_T + false_T + true_T[-1])
    return float(threshold_T[int(np.argmax(f1_T))])


def _counts(positive_N: Booleans, score_N: Floats) -> tuple[Doubles, Doubles, Doubles]:
    """Return the true and the false positives at each threshold, and the thresholds: from none found to all.

    Raises:
        DataError: if there is no positive: nothing can be chosen.
    """
    positive, score = np.asarray(positive_N, dtype=bool), np.asarray(score_N, dtype=np.float64)
    if not positive.any():
        remedy = "Give the validation part more pictures: data.split says how many."
        raise DataError(sentence("threshold", "positives in the validation part", "at least 1", 0, remedy))
    values_T, inverse_N = np.unique(score, return_inverse=True)
    true_T = np.bincount(inverse_N, positive, minlength=len(values_T))[::-1].cumsum()
    false_T = np.bincount(inverse_N, ~positive, minlength=len(values_T))[::-1].cumsum()
    falling_T = values_T[::-1]
    between_T = (falling_T + np.append(falling_T[1:], 0.0)) / 2
    none_found = np.nextafter(falling_T[0], 2.0)
    return np.append(0.0, true_T), np.append(0.0, false_T), np.append(none_found, between_T)
