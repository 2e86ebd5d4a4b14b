"""Predictions to scores, whatever the task.

Shapes: N pictures, R weightings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

from etude.core.errors import MistakeError
from etude.core.registry import unknown
from etude.core.words import Part
from etude.metrics import METRICS, SEGMENTATION_METRICS, ConfusionMetric, Metric
from etude.metrics.generation import GENERATION_METRICS, FeatureMetric


class Answers(Protocol):
    """What a model answered to the pictures of a part, ready to be scored: classes or masks."""

    @property
    def ids(self) -> npt.NDArray[np.str_]:
        """(N,) item ids, each once."""
        ...

    @property
    def part(self) -> Part:
        """The part that the pictures are in."""
        ...

    def __len__(self) -> int:
        """N."""
        ...

    def score(self, metric: str) -> float:
        """Return one score."""
        ...

    def values_of_pictures(self, metric: str) -> npt.NDArray[np.float64] | None:
        """Return the (N,) values of which the metric is the mean; none where it is no mean over pictures."""
        ...

    def under_weights(self, metric: str, weights_RN: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the score (R,) under each row of weights."""
        ...


def score(answers: Answers, metrics: Sequence[str]) -> dict[str, float]:
    """Compute several metrics of one model on one part.

    Returns:
        The scores by name, in the order asked.

    Raises:
        MistakeError: if a metric is unknown.
        DataError: if there is no picture, or a metric of two classes is asked for more.
    """
    return {name: answers.score(name) for name in metrics}


def metric_of(name: str) -> Metric | ConfusionMetric | FeatureMetric:
    """Return the metric of that name, of whichever task.

    Raises:
        MistakeError: if there is none; the text names the nearest.
    """
    if name in SEGMENTATION_METRICS:
        return SEGMENTATION_METRICS[name]
    if name in METRICS:
        return METRICS[name]
    if name in GENERATION_METRICS:
        return GENERATION_METRICS[name]
    raise MistakeError(unknown("metric", name, (*METRICS, *SEGMENTATION_METRICS, *GENERATION_METRICS)))


def default_metrics(n_classes: int) -> tuple[str, ...]:
    """Return the metrics that every run of a classification records: all that its number of classes allows.

    >>> default_metrics(10)
    ('accuracy', 'balanced_accuracy', 'f1_macro', 'top5', 'log_loss', 'brier', 'ece')
    """
    return tuple(
        name
        for name in METRICS
        if not (METRICS[name].binary_only and n_classes != 2) and not (name == "top5" and n_classes <= 5)
    )
