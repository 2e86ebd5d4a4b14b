"""What a metric is, and the two registries: of classification and of segmentation.

Shapes: N pictures, K classes, `...` any leading axes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from etude.core.errors import DataError, sentence
from etude.core.registry import Registry

Floats = npt.NDArray[np.floating]
Doubles = npt.NDArray[np.float64]
Integers = npt.NDArray[np.integer]


class ScoreFunction(Protocol):
    """Truth and probabilities to one number."""

    def __call__(self, truth_N: Integers, probabilities_NK: Floats, weights: Floats | None = None) -> float:
        """Return the score; `weights` (N,) count each picture that many times."""
        ...


@dataclass(frozen=True)
class Metric:
    """One metric of classification: its meaning, and the ways of computing it.

    Beside `function` it has at least one way that is fast when pictures are resampled many times: as a mean of
    values of pictures, from confusion matrices, or directly under many weights.
    """

    name: str
    """Name in study files and records."""
    higher_is_better: bool
    """Direction."""
    low: float
    """Smallest value possible."""
    high: float
    """Largest value possible."""
    unit: str
    """Unit of the value: 'fraction', 'nats', 'squared probability'."""
    words: str
    """One sentence that says what it measures."""
    needs: Literal["labels", "probabilities"]
    """Whether the predicted labels are enough, or the probabilities are needed."""
    function: ScoreFunction
    """Truth (N,), probabilities (N, K) and weights (N,) or none, to the score."""
    per_picture: Callable[[Integers, Floats], Doubles] | None = None
    """Truth (N,) and probabilities (N, K) to values (N,) of which the score is the mean."""
    from_confusion: Callable[[npt.ArrayLike], Doubles] | None = None
    """Confusion matrices (..., K, K) to scores (...)."""
    under_weights: Callable[[Integers, Floats, Doubles], Doubles] | None = None
    """Truth (N,), probabilities (N, K) and many weights (R, N) to scores (R,), where it is neither of the two."""
    binary_only: bool = False
    """Whether it exists for two classes only; class 1 is the positive one."""


@dataclass(frozen=True)
class ConfusionMetric:
    """One metric of segmentation, from what is counted over the pixels, or the contours, of a whole data set."""

    name: str
    """Name in study files and records."""
    higher_is_better: bool
    """Direction."""
    low: float
    """Smallest value possible."""
    high: float
    """Largest value possible."""
    unit: str
    """Unit of the value."""
    words: str
    """One sentence that says what it measures."""
    from_confusion: Callable[[npt.ArrayLike], Doubles] | None = None
    """Confusion matrices (..., K, K) to scores (...)."""
    from_boundaries: Callable[[npt.ArrayLike], Doubles] | None = None
    """Counts of contour pixels (..., K, 4) to scores (...), where it is one of contours."""


METRICS: Registry[Metric] = Registry("metric")
SEGMENTATION_METRICS: Registry[ConfusionMetric] = Registry("segmentation metric")


def checked(
    truth_N: npt.ArrayLike, probabilities_NK: npt.ArrayLike, weights: npt.ArrayLike | None
) -> tuple[Integers, Floats, Doubles | None]:
    """Return the three as arrays that fit each other.

    Raises:
        DataError: if shapes disagree, there is no picture, a class is out of range, or a value is not finite.
    """
    truth, probabilities = np.asarray(truth_N), np.asarray(probabilities_NK)
    if probabilities.ndim != 2 or truth.shape != probabilities.shape[:1]:
        rule = f"(N, K) for the {truth.shape} labels"
        raise DataError(sentence("metrics", "the shape of the probabilities", rule, probabilities.shape))
    check_labels(truth, probabilities.shape[1])
    if not np.isfinite(probabilities).all():
        remedy = "The model gave NaN or infinity: its training diverged, or it was exported wrongly."
        raise DataError(sentence("metrics", "probabilities", "finite", float("nan"), remedy))
    return truth, probabilities, checked_weights(weights, len(truth))


def check_labels(labels_N: Integers, n_classes: int) -> None:
    """Check that labels are class ids.

    Raises:
        DataError: if there are none, if they are not integers, or if one is out of range.
    """
    if labels_N.size == 0:
        raise DataError(sentence("metrics", "the number of pictures", "at least 1", 0, "This part is empty."))
    if not np.issubdtype(labels_N.dtype, np.integer):
        raise DataError(sentence("metrics", "labels", "integers", str(labels_N.dtype)))
    low, high = int(labels_N.min()), int(labels_N.max())
    if low < 0 or high >= n_classes:
        remedy = "Score labelled pictures only, with the classes that the model was made for."
        raise DataError(sentence("metrics", "labels", f"from 0 to {n_classes - 1}", low if low < 0 else high, remedy))


def checked_weights(weights: npt.ArrayLike | None, n_pictures: int) -> Doubles | None:
    """Return weights as float64 (N,).

    Raises:
        DataError: if they are not one finite, non-negative number a picture with a positive sum.
    """
    if weights is None:
        return None
    array = np.asarray(weights, dtype=np.float64)
    if array.shape != (n_pictures,):
        raise DataError(sentence("metrics", "the shape of the weights", f"({n_pictures},)", array.shape))
    if not np.isfinite(array).all() or (array < 0).any() or array.sum() <= 0:
        raise DataError(sentence("metrics", "weights", "finite, not negative and not all zero", float(array.sum())))
    return array
