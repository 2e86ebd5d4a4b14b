"""The two curves of a detector, and the areas under them. N pictures, T distinct thresholds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from etude.metrics.registry import Doubles, Floats

Booleans = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class PrecisionRecallCurve:
    """One point for each distinct score, from the strictest threshold to the loosest. Each field is (T,) float64."""

    precision: Doubles
    """Share of what is found that is positive, 0..1."""
    recall: Doubles
    """Share of the positives that is found, 0..1, not falling; NaN without a positive."""
    threshold: Doubles
    """Pictures that score this or more are found."""


@dataclass(frozen=True)
class RocCurve:
    """From (0, 0) at an infinite threshold to (1, 1). Each field is (T + 1,) float64."""

    false_positive_rate: Doubles
    """Share of the negatives that is found, 0..1; NaN without a negative."""
    true_positive_rate: Doubles
    """Share of the positives that is found, 0..1; NaN without a positive."""
    threshold: Doubles
    """Pictures that score this or more are found."""


def _found(positive_N: Booleans, score_N: Floats, weights: Floats | None) -> tuple[Doubles, Doubles, Doubles]:
    """Return the weight of positives and of negatives that score at least each distinct score, highest first."""
    order = np.argsort(score_N, kind="stable")[::-1]
    score, positive = np.asarray(score_N, dtype=np.float64)[order], np.asarray(positive_N)[order]
    weight = np.ones(len(order)) if weights is None else np.asarray(weights, dtype=np.float64)[order]
    last_of_equals = np.append(np.flatnonzero(np.diff(score)), len(order) - 1)
    true = np.cumsum(weight * positive)[last_of_equals]
    false = np.cumsum(weight * ~positive)[last_of_equals]
    return true, false, score[last_of_equals]


def _share(part: Doubles, whole: Doubles | float) -> Doubles:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(part / whole)


def pr_curve(positive_N: Booleans, score_N: Floats, weights: Floats | None = None) -> PrecisionRecallCurve:
    """Follow precision and recall while the threshold falls.

    Args:
        positive_N: whether each picture is of the positive class.
        score_N: higher means more surely positive, such as its probability.
        weights: one number a picture, or none.

    >>> pr_curve(np.array([True, False, True]), np.array([0.9, 0.8, 0.7])).recall
    array([0.5, 0.5, 1. ])
    """
    true, false, threshold = _found(positive_N, score_N, weights)
    found = true + false
    precision = np.divide(true, found, out=np.ones_like(true), where=found > 0)
    return PrecisionRecallCurve(precision, _share(true, float(true[-1])), threshold)


def roc_curve(positive_N: Booleans, score_N: Floats, weights: Floats | None = None) -> RocCurve:
    """Follow the rates of true and of false positives while the threshold falls. Arguments as for `pr_curve`.

    >>> roc_curve(np.array([True, False]), np.array([0.9, 0.1])).true_positive_rate
    array([0., 1., 1.])
    """
    true, false, threshold = _found(positive_N, score_N, weights)
    rates = [_share(np.concatenate([[0.0], found]), float(found[-1])) for found in (false, true)]
    return RocCurve(rates[0], rates[1], np.concatenate([[np.inf], threshold]))


def average_precision_of(positive_N: Booleans, score_N: Floats, weights: Floats | None = None) -> float:
    """Area under the precision-recall curve, by steps. In 0..1, higher is better; NaN without a positive."""
    curve = pr_curve(positive_N, score_N, weights)
    return float(np.sum(np.diff(curve.recall, prepend=0.0) * curve.precision))


def roc_auc_of(positive_N: Booleans, score_N: Floats, weights: Floats | None = None) -> float:
    """Area under the ROC curve. In 0..1, higher is better; NaN where either class has no picture."""
    curve = roc_curve(positive_N, score_N, weights)
    return float(np.trapezoid(curve.true_positive_rate, curve.false_positive_rate))
