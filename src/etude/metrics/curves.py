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
    """Weights of positives and negatives that score at least each distinct score, (..., T), and these, (T,) falling."""
    order = np.argsort(score_N, kind="stable")[::-1]
    score, positive = np.asarray(score_N, dtype=np.float64)[order], np.asarray(positive_N)[order]
    weight = np.ones(len(order)) if weights is None else np.asarray(weights, dtype=np.float64)[..., order]
    last_of_equals = np.append(np.flatnonzero(np.diff(score)), len(order) - 1)
    true = np.cumsum(weight * positive, axis=-1)[..., last_of_equals]
    false = np.cumsum(weight * ~positive, axis=-1)[..., last_of_equals]
    return true, false, score[last_of_equals]


def _share(part: Doubles, whole: Doubles) -> Doubles:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(part / whole)


def _precision_and_recall(true: Doubles, false: Doubles) -> tuple[Doubles, Doubles]:
    found = true + false
    return np.divide(true, found, out=np.ones_like(true), where=found > 0), _share(true, true[..., -1:])


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
    return PrecisionRecallCurve(*_precision_and_recall(true, false), threshold)


def roc_curve(positive_N: Booleans, score_N: Floats, weights: Floats | None = None) -> RocCurve:
    """Follow the rates of true and of false positives while the threshold falls. Arguments as for `pr_curve`.

    >>> roc_curve(np.array([True, False]), np.array([0.9, 0.1])).true_positive_rate
    array([0., 1., 1.])
    """
    true, false, threshold = _found(positive_N, score_N, weights)
    rates = [_share(np.concatenate([[0.0], found]), found[-1:]) for found in (false, true)]
    return RocCurve(rates[0], rates[1], np.concatenate([[np.inf], threshold]))


def average_precision_of(positive_N: Booleans, score_N: Floats, weights: Floats | None = None) -> Doubles:
    """Area under the precision-recall curve, by steps. In 0..1, higher is better; NaN without a positive.

    Args:
        positive_N: as for `pr_curve`.
        score_N: as for `pr_curve`.
        weights: (..., N), or none.

    Returns:
        (...) float64: one value for each row of weights.
    """
    true, false, _ = _found(positive_N, score_N, weights)
    precision, recall = _precision_and_recall(true, false)
    area: Doubles = (np.diff(recall, prepend=0.0) * precision).sum(axis=-1)
    return area


def roc_auc_of(positive_N: Booleans, score_N: Floats, weights: Floats | None = None) -> Doubles:
    """Area under the ROC curve. In 0..1, higher is better; NaN where either class has no picture.

    Arguments and shapes as for `average_precision_of`.
    """
    true, false, _ = _found(positive_N, score_N, weights)
    before = np.concatenate([np.zeros_like(true[..., :1]), true[..., :-1]], axis=-1)
    ordered_pairs = (np.diff(false, prepend=0.0) * (true + before) / 2).sum(axis=-1)
    return _share(ordered_pairs, true[..., -1] * false[..., -1])
