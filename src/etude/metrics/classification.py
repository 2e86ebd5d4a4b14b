"""Scores of classification. Weights count a picture several times, or not at all, which is how pictures are resampled.

Shapes: N pictures, K classes. Where classes are absent, `etude.metrics.confusion` says what each mean leaves out.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from etude.core.errors import DataError, sentence
from etude.metrics.confusion import accuracy_from, balanced_accuracy_from, confusion_matrix, f1_macro_from
from etude.metrics.curves import average_precision_of, roc_auc_of
from etude.metrics.registry import METRICS, Doubles, Floats, Integers, Metric, checked

ECE_BINS = 15
SMALLEST_PROBABILITY = float(np.finfo(np.float32).eps)


def predicted_labels(probabilities_NK: npt.ArrayLike, threshold: float | None = None) -> npt.NDArray[np.int64]:
    """Return the class of the highest probability, the first among equals.

    Args:
        probabilities_NK: in 0..1.
        threshold: for two classes, the probability of class 1 from which it is predicted; none means the highest.

    Returns:
        (N,) int64.

    Raises:
        DataError: if there is a threshold and not two classes.
    """
    probabilities: Floats = np.asarray(probabilities_NK)
    if threshold is None:
        highest_N: npt.NDArray[np.int64] = probabilities.argmax(axis=1).astype(np.int64)
        return highest_N
    if probabilities.shape[1] != 2:
        remedy = "A threshold belongs to a detector of one class; leave it out."
        raise DataError(
            sentence("metrics", "the number of classes with a threshold", "2", probabilities.shape[1], remedy)
        )
    # Thresholds are chosen between scores in float64: in float32 they may be one of them.
    return (probabilities[:, 1].astype(np.float64) >= threshold).astype(np.int64)


def _confusion(truth_N: Integers, probabilities_NK: Floats, weights: Floats | None) -> npt.NDArray[np.number]:
    truth, probabilities, weights = checked(truth_N, probabilities_NK, weights)
    return confusion_matrix(truth, predicted_labels(probabilities), probabilities.shape[1], weights)


def accuracy(truth_N: Integers, probabilities_NK: Floats, weights: Floats | None = None) -> float:
    """Share of the pictures whose most probable class is the true one. In 0..1, higher is better.

    >>> accuracy(np.array([0, 1, 1]), np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]]))
    0.6666666666666666
    """
    return float(accuracy_from(_confusion(truth_N, probabilities_NK, weights)))


def balanced_accuracy(truth_N: Integers, probabilities_NK: Floats, weights: Floats | None = None) -> float:
    """Mean recall over the classes that have pictures. In 0..1, higher is better; chance is 1 / K."""
    return float(balanced_accuracy_from(_confusion(truth_N, probabilities_NK, weights)))


def f1_macro(truth_N: Integers, probabilities_NK: Floats, weights: Floats | None = None) -> float:
    """Mean F1 over the classes that are there or were predicted. In 0..1, higher is better."""
    return float(f1_macro_from(_confusion(truth_N, probabilities_NK, weights)))


def right_per_picture(truth_N: Integers, probabilities_NK: Floats) -> Doubles:
    """Return 1.0 where the most probable class is the true one, else 0.0. (N,)."""
    right_N: npt.NDArray[np.bool_] = predicted_labels(probabilities_NK) == truth_N
    return right_N.astype(np.float64)


def in_top_per_picture(truth_N: Integers, probabilities_NK: Floats, k: int = 5) -> Doubles:
    """Return 1.0 where the true class is among the `k` most probable, else 0.0. (N,).

    Among equal probabilities the lower class id goes first, as in `argmax`, so that a constant
    model is not right by a tie.
    """
    own_N1 = np.take_along_axis(probabilities_NK, truth_N[:, None], axis=1)
    earlier_NK = np.arange(probabilities_NK.shape[1]) < truth_N[:, None]
    ahead_NK: npt.NDArray[np.bool_] = (probabilities_NK > own_N1) | ((probabilities_NK == own_N1) & earlier_NK)
    in_top_N: npt.NDArray[np.bool_] = ahead_NK.sum(axis=1) < k
    return in_top_N.astype(np.float64)


def log_loss_per_picture(truth_N: Integers, probabilities_NK: Floats) -> Doubles:
    """Return minus the logarithm of the true class's probability, in nats. (N,).

    A probability below 1.2e-7 (the step of float32 at 1) counts as that, so that one sure mistake is not infinite.
    """
    own_N: Floats = np.take_along_axis(probabilities_NK, truth_N[:, None], axis=1)[:, 0]
    return -np.log(np.clip(own_N.astype(np.float64), SMALLEST_PROBABILITY, 1.0))


def brier_per_picture(truth_N: Integers, probabilities_NK: Floats) -> Doubles:
    """Return the squared distance between the probabilities and the truth as a one-hot vector. (N,), in 0..2."""
    probabilities: Doubles = probabilities_NK.astype(np.float64)
    own_N: Doubles = np.take_along_axis(probabilities, truth_N[:, None], axis=1)[:, 0]
    squares_N: Doubles = np.square(probabilities).sum(axis=1)
    return squares_N - 2 * own_N + 1


def _mean(values_N: Doubles, weights: Floats | None) -> float:
    return float(np.average(values_N, weights=weights))


def top_k(truth_N: Integers, probabilities_NK: Floats, weights: Floats | None = None, k: int = 5) -> float:
    """Share of the pictures whose true class is among the `k` most probable. In 0..1, higher is better."""
    truth, probabilities, weights = checked(truth_N, probabilities_NK, weights)
    return _mean(in_top_per_picture(truth, probabilities, k), weights)


def log_loss(truth_N: Integers, probabilities_NK: Floats, weights: Floats | None = None) -> float:
    """Mean minus logarithm of the true class's probability. In nats, 0..15.9, lower is better."""
    truth, probabilities, weights = checked(truth_N, probabilities_NK, weights)
    return _mean(log_loss_per_picture(truth, probabilities), weights)


def brier(truth_N: Integers, probabilities_NK: Floats, weights: Floats | None = None) -> float:
    """Mean squared distance of the probabilities from the truth, summed over the classes (Brier 1950).

    In 0..2, lower is better. With two classes it is twice the one-sided form that some libraries give.
    """
    truth, probabilities, weights = checked(truth_N, probabilities_NK, weights)
    return _mean(brier_per_picture(truth, probabilities), weights)


def _bins_of(probabilities_NK: Floats, bins: int) -> Doubles:
    """Return (N, bins) with a one in the bin of each picture's highest probability."""
    confidence_N: Doubles = probabilities_NK.max(axis=1).astype(np.float64)
    bin_N = np.clip(np.ceil(confidence_N * bins).astype(np.int64) - 1, 0, bins - 1)
    return np.equal.outer(bin_N, np.arange(bins)).astype(np.float64)


def reliability(
    truth_N: Integers, probabilities_NK: Floats, weights: Floats | None = None, bins: int = ECE_BINS
) -> tuple[Doubles, Doubles, Doubles]:
    """Set confidence beside accuracy, in equal bins of the highest probability: the reliability diagram.

    Returns:
        Weight, mean confidence and accuracy of each bin, each (bins,) float64. Bin i holds confidences in
        (i / bins, (i + 1) / bins]; means are NaN in an empty bin.
    """
    truth, probabilities, weights = checked(truth_N, probabilities_NK, weights)
    weight_N = np.ones(len(truth)) if weights is None else weights
    in_bin = _bins_of(probabilities, bins)
    total = weight_N @ in_bin
    confident = (weight_N * probabilities.max(axis=1)) @ in_bin
    right = (weight_N * right_per_picture(truth, probabilities)) @ in_bin
    with np.errstate(invalid="ignore", divide="ignore"):
        return total, confident / total, right / total


def ece_under(truth_N: Integers, probabilities_NK: Floats, weights: Doubles, bins: int = ECE_BINS) -> Doubles:
    """Expected calibration error under weights (..., N); returns (...)."""
    in_bin = _bins_of(probabilities_NK, bins)
    gap_N: Doubles = probabilities_NK.max(axis=1) - right_per_picture(truth_N, probabilities_NK)
    error: Doubles = np.abs(weights @ (in_bin * gap_N[:, None])).sum(axis=-1) / weights.sum(axis=-1)
    return error


def ece(truth_N: Integers, probabilities_NK: Floats, weights: Floats | None = None, bins: int = ECE_BINS) -> float:
    """Expected calibration error: mean gap between confidence and accuracy over 15 equal bins (Guo et al. 2017).

    In 0..1, lower is better. A plug-in estimate: it is biased upwards where the bins hold few pictures.
    """
    truth, probabilities, weights = checked(truth_N, probabilities_NK, weights)
    return float(ece_under(truth, probabilities, np.ones(len(truth)) if weights is None else weights, bins))


def _check_detector(probabilities_NK: Floats, name: str) -> None:
    if probabilities_NK.shape[1] != 2:
        remedy = "Choose `data.positive` to make a detector of one class, or another metric."
        found = probabilities_NK.shape[1]
        raise DataError(sentence("metrics", f"the number of classes for {name}", "2", found, remedy))


def average_precision_under(truth_N: Integers, probabilities_NK: Floats, weights: Doubles | None) -> Doubles:
    """Average precision of class 1 of two under weights (..., N); returns (...)."""
    _check_detector(probabilities_NK, "average_precision")
    return average_precision_of(truth_N == 1, probabilities_NK[:, 1], weights)


def roc_auc_under(truth_N: Integers, probabilities_NK: Floats, weights: Doubles | None) -> Doubles:
    """Area under the ROC curve of class 1 of two under weights (..., N); returns (...)."""
    _check_detector(probabilities_NK, "roc_auc")
    return roc_auc_of(truth_N == 1, probabilities_NK[:, 1], weights)


def average_precision(truth_N: Integers, probabilities_NK: Floats, weights: Floats | None = None) -> float:
    """Area under the precision-recall curve, by steps, for class 1 of two. In 0..1, higher is better; NaN without one.

    Raises:
        DataError: if there are not two classes.
    """
    return float(average_precision_under(*checked(truth_N, probabilities_NK, weights)))


def roc_auc(truth_N: Integers, probabilities_NK: Floats, weights: Floats | None = None) -> float:
    """Chance that a picture of class 1 scores above one of class 0, ties counting half. In 0..1, higher is better.

    NaN where either class has no picture.

    Raises:
        DataError: if there are not two classes.
    """
    return float(roc_auc_under(*checked(truth_N, probabilities_NK, weights)))


for _metric in (
    Metric(
        "accuracy", True, 0.0, 1.0, "fraction",
        "Share of the pictures whose most probable class is the true one.",
        "labels", accuracy, per_picture=right_per_picture, from_confusion=accuracy_from,
    ),
    Metric(
        "balanced_accuracy", True, 0.0, 1.0, "fraction",
        "Mean over the classes of the share of their pictures that was found.",
        "labels", balanced_accuracy, from_confusion=balanced_accuracy_from,
    ),
    Metric(
        "f1_macro", True, 0.0, 1.0, "fraction",
        "Mean over the classes of the harmonic mean of precision and recall.",
        "labels", f1_macro, from_confusion=f1_macro_from,
    ),
    Metric(
        "top5", True, 0.0, 1.0, "fraction",
        "Share of the pictures whose true class is among the five most probable.",
        "probabilities", top_k, per_picture=in_top_per_picture,
    ),
    Metric(
        "log_loss", False, 0.0, -float(np.log(SMALLEST_PROBABILITY)), "nats",
        "Mean surprise at the true class: minus the logarithm of its probability.",
        "probabilities", log_loss, per_picture=log_loss_per_picture,
    ),
    Metric(
        "brier", False, 0.0, 2.0, "squared probability",
        "Mean squared distance of the probabilities from the truth, summed over the classes.",
        "probabilities", brier, per_picture=brier_per_picture,
    ),
    Metric(
        "ece", False, 0.0, 1.0, "fraction",
        "Mean gap between the confidence and the accuracy, over 15 bins of confidence.",
        "probabilities", ece, under_weights=ece_under,
    ),
    Metric(
        "average_precision", True, 0.0, 1.0, "fraction",
        "Area under the precision-recall curve of the positive class.",
        "probabilities", average_precision, under_weights=average_precision_under, binary_only=True,
    ),
    Metric(
        "roc_auc", True, 0.0, 1.0, "fraction",
        "Chance that a picture of the positive class scores above one of the other.",
        "probabilities", roc_auc, under_weights=roc_auc_under, binary_only=True,
    ),
):  # fmt: skip
    METRICS.register(_metric.name)(_metric)
