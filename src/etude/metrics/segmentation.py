"""Scores of segmentation, from the confusion matrix of the pixels of a whole data set.

Shapes: B pictures, H × W pixels, K classes. A mean of the pictures' own scores would weigh a picture with three
pixels of a class as much as one full of it; the field counts all pixels first, and so do we.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from etude.core.errors import DataError, sentence
from etude.metrics.boundaries import boundary_f1_from
from etude.metrics.confusion import accuracy_from, f1_macro_from, miou_from
from etude.metrics.registry import SEGMENTATION_METRICS, ConfusionMetric, Integers

VOID = 255


def pixel_confusion(
    truth_BHW: Integers, predicted_BHW: Integers, n_classes: int, void: int = VOID
) -> npt.NDArray[np.int64]:
    """Count pixels by true class (row) and predicted class (column); pixels that are void in the truth are left out.

    Args:
        truth_BHW: class ids in [0, K) or `void`, any shape.
        predicted_BHW: class ids in [0, K), same shape.
        n_classes: K, at most 255.
        void: id, in 0..255, of the pixels that belong to no class.

    Returns:
        (K, K) int64. The sum of these over the pictures is the matrix of the data set.

    Raises:
        DataError: if the shapes differ, or an id is neither a class nor void.

    >>> pixel_confusion(np.array([[0, 1], [1, 255]]), np.array([[0, 1], [0, 1]]), 2)
    array([[1, 0],
           [1, 1]])
    """
    if np.shape(truth_BHW) != np.shape(predicted_BHW):
        rule = f"{np.shape(truth_BHW)}, as the truth's"
        raise DataError(sentence("metrics", "the shape of the predicted mask", rule, np.shape(predicted_BHW)))
    truth, predicted = _bytes(truth_BHW, "true"), _bytes(predicted_BHW, "predicted")
    # A row and a column for every byte: one bincount counts the classes and finds void and strays as well.
    pairs = truth.astype(np.uint16)
    pairs <<= 8
    pairs |= predicted
    counted = np.bincount(pairs, minlength=256 * 256).reshape(256, 256)
    counted[void] = 0
    if counted[n_classes:].any():
        stray = int(np.flatnonzero(counted.any(axis=1))[-1])
        remedy = f"Give pixels without a class the id {void}."
        raise DataError(sentence("metrics", "true mask ids", f"below {n_classes} or {void}", stray, remedy))
    if counted[:, n_classes:].any():
        stray = int(np.flatnonzero(counted.any(axis=0))[-1])
        raise DataError(sentence("metrics", "predicted mask ids", f"below {n_classes}", stray))
    return counted[:n_classes, :n_classes].astype(np.int64)


def _bytes(mask_BHW: Integers, which: str) -> npt.NDArray[np.uint8]:
    """Return a mask flat and as bytes, refusing ids that are none."""
    mask = np.ravel(mask_BHW)
    if mask.dtype != np.uint8 and mask.size and not (mask.min() >= 0 and mask.max() <= 255):
        stray = int(mask.min() if mask.min() < 0 else mask.max())
        raise DataError(sentence("metrics", f"{which} mask ids", "from 0 to 255", stray))
    return mask.astype(np.uint8, copy=False)


for _metric in (
    ConfusionMetric(
        "miou", True, 0.0, 1.0, "fraction",
        "Mean over the classes of intersection over union, from all pixels of the part.", miou_from,
    ),
    ConfusionMetric(
        "dice", True, 0.0, 1.0, "fraction",
        "Mean over the classes of the Dice coefficient, from all pixels of the part.", f1_macro_from,
    ),
    ConfusionMetric(
        "pixel_accuracy", True, 0.0, 1.0, "fraction",
        "Share of the pixels that were given their class.", accuracy_from,
    ),
    ConfusionMetric(
        "boundary_f1", True, 0.0, 1.0, "fraction",
        "Mean over the classes of the F1 of their contours, within 0.75 % of the diagonal, in whole px.",
        from_boundaries=boundary_f1_from,
    ),
):  # fmt: skip
    SEGMENTATION_METRICS.register(_metric.name)(_metric)
