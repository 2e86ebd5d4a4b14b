"""Classes put together into the categories of Cityscapes (Cordts et al. 2016, table 1), for a second, coarser score."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from etude.metrics.confusion import iou_per_class

CATEGORY_OF: Final = {
    "road": "flat", "sidewalk": "flat", "pavement": "flat",
    "building": "construction", "wall": "construction", "fence": "construction",
    "pole": "object", "traffic light": "object", "traffic sign": "object", "sign": "object",
    "vegetation": "nature", "terrain": "nature", "tree": "nature",
    "sky": "sky",
    "person": "human", "rider": "human", "pedestrian": "human", "cyclist": "human",
    "car": "vehicle", "truck": "vehicle", "bus": "vehicle", "train": "vehicle", "motorcycle": "vehicle",
    "bicycle": "vehicle",
}  # fmt: skip
"""The category of each class of Cityscapes, CamVid and the embedded streets. A cyclist is a rider: a human."""


def class_ious(confusion_KK: npt.NDArray[np.int64], classes: Sequence[str]) -> dict[str, float | None]:
    """Return the IoU of each class; none for one that was neither there nor predicted."""
    ious_K = iou_per_class(confusion_KK)
    return {name: None if np.isnan(iou) else float(iou) for name, iou in zip(classes, ious_K, strict=True)}


def category_ious(confusion_KK: npt.NDArray[np.int64], classes: Sequence[str]) -> dict[str, float | None]:
    """Return the IoU of each category: its classes put together first, so that a wall taken for a fence is right.

    Returns:
        Nothing where a class has no known category, or the classes are the categories.
    """
    if any(name not in CATEGORY_OF for name in classes):
        return {}
    names = list(dict.fromkeys(CATEGORY_OF[name] for name in classes))
    joins_CK = np.array([[CATEGORY_OF[name] == category for name in classes] for category in names], np.int64)
    return class_ious(joins_CK @ confusion_KK @ joins_CK.T, names)
