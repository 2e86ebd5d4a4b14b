"""Confusion matrices by one bincount, and the scores that follow from them.

Shapes: N pictures or pixels, K classes, `...` any leading axes. Row: the true class; column: the predicted one.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from etude.core.errors import DataError, sentence
from etude.metrics.registry import Doubles, Floats, Integers, check_labels


def confusion_matrix(
    truth_N: Integers, predicted_N: Integers, n_classes: int, weights: Floats | None = None
) -> npt.NDArray[np.int64] | Doubles:
    """Count the pictures of each true class (row) that were given each class (column).

    Args:
        truth_N: class ids in [0, K), any shape.
        predicted_N: class ids in [0, K), same shape.
        n_classes: K.
        weights: one number a picture, same shape; none counts each once.

    Returns:
        (K, K) int64, or float64 where there are weights.

    Raises:
        DataError: if there are no labels, their shapes differ, or one is out of range.

    >>> confusion_matrix(np.array([0, 0, 1]), np.array([0, 1, 1]), 2)
    array([[1, 1],
           [0, 1]])
    """
    truth, predicted = np.ravel(truth_N), np.ravel(predicted_N)
    if np.shape(truth_N) != np.shape(predicted_N):
        rule = f"{np.shape(truth_N)}, as the truth's"
        raise DataError(sentence("metrics", "the shape of the predicted labels", rule, np.shape(predicted_N)))
    for labels in (truth, predicted):
        check_labels(labels, n_classes)
    cells = truth.astype(np.int64) * n_classes + predicted
    counted = np.bincount(cells, None if weights is None else np.ravel(weights), minlength=n_classes * n_classes)
    return counted.reshape(n_classes, n_classes)


def confusion_under(truth_N: Integers, predicted_N: Integers, n_classes: int, weights_RN: Doubles) -> Doubles:
    """Count as `confusion_matrix` does, under many weights at once: how pictures are resampled.

    Returns:
        (R, K, K) float64.
    """
    cell_N = truth_N.astype(np.int64) * n_classes + predicted_N
    order = np.argsort(cell_N, kind="stable")
    cells_C, starts_C = np.unique(cell_N[order], return_index=True)
    counted = np.zeros((len(weights_RN), n_classes * n_classes))
    counted[:, cells_C] = np.add.reduceat(weights_RN[:, order], starts_C, axis=1)
    return counted.reshape(-1, n_classes, n_classes)


def _ratio(part: Doubles, whole: Doubles) -> Doubles:
    """Divide; NaN where the whole is zero."""
    quotient: Doubles = np.full(np.broadcast(part, whole).shape, np.nan)
    return np.divide(part, whole, out=quotient, where=whole > 0)


def _mean_of_present(values: Doubles) -> Doubles:
    """Mean over the last axis of what is not NaN; NaN where all is."""
    present = ~np.isnan(values)
    return _ratio(np.where(present, values, 0.0).sum(-1), present.sum(-1).astype(np.float64))


def _margins(confusion: npt.ArrayLike) -> tuple[Doubles, Doubles, Doubles]:
    """Return what is right, what is true and what was predicted, each (..., K) float64."""
    matrix = np.asarray(confusion, dtype=np.float64)
    return np.diagonal(matrix, axis1=-2, axis2=-1), matrix.sum(-1), matrix.sum(-2)


def accuracy_from(confusion: npt.ArrayLike) -> Doubles:
    """Share of what is right. (..., K, K) to (...), in 0..1, higher is better; NaN where nothing was counted."""
    right, true, _ = _margins(confusion)
    return _ratio(right.sum(-1), true.sum(-1))


def recall_per_class(confusion: npt.ArrayLike) -> Doubles:
    """Share of each true class that was found. (..., K, K) to (..., K), in 0..1; NaN for a class without a picture."""
    right, true, _ = _margins(confusion)
    return _ratio(right, true)


def precision_per_class(confusion: npt.ArrayLike) -> Doubles:
    """Share of what was given a class that is of it. (..., K, K) to (..., K), in 0..1.

    A class that has pictures and was never predicted has 0; one with neither has NaN.
    """
    right, true, predicted = _margins(confusion)
    return np.where((predicted == 0) & (true > 0), 0.0, _ratio(right, predicted))


def f1_per_class(confusion: npt.ArrayLike) -> Doubles:
    """Harmonic mean of precision and recall of each class. (..., K, K) to (..., K), in 0..1.

    NaN for a class that was neither there nor predicted. The same number as the Dice coefficient.
    """
    right, true, predicted = _margins(confusion)
    return _ratio(2 * right, true + predicted)


def iou_per_class(confusion: npt.ArrayLike) -> Doubles:
    """Intersection over union (Jaccard) of each class. (..., K, K) to (..., K), in 0..1.

    NaN for a class that was neither there nor predicted.
    """
    right, true, predicted = _margins(confusion)
    return _ratio(right, true + predicted - right)


def balanced_accuracy_from(confusion: npt.ArrayLike) -> Doubles:
    """Mean recall over the classes that have pictures. (..., K, K) to (...), in 0..1, higher is better."""
    return _mean_of_present(recall_per_class(confusion))


def f1_macro_from(confusion: npt.ArrayLike) -> Doubles:
    """Mean F1 over the classes that are there or were predicted. (..., K, K) to (...), in 0..1, higher is better."""
    return _mean_of_present(f1_per_class(confusion))


def miou_from(confusion: npt.ArrayLike) -> Doubles:
    """Mean IoU over the classes that are there or were predicted. (..., K, K) to (...), in 0..1, higher is better."""
    return _mean_of_present(iou_per_class(confusion))
