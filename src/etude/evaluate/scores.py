"""Predictions to scores."""

from __future__ import annotations

from collections.abc import Sequence

from etude.core.errors import DataError, sentence
from etude.evaluate.predictions import Predictions
from etude.metrics import METRICS
from etude.metrics.classification import predicted_labels
from etude.metrics.confusion import confusion_matrix


def score(predictions: Predictions, metrics: Sequence[str], *, threshold: float | None = None) -> dict[str, float]:
    """Compute several metrics of one model on one part.

    Args:
        predictions: of at least one picture.
        metrics: names in `etude.metrics.METRICS`.
        threshold: for two classes, the probability of class 1 from which it is predicted, chosen on validation;
            none means the most probable class. It moves the metrics of labels only.

    Returns:
        The scores by name, in the order asked.

    Raises:
        MistakeError: if a metric is unknown.
        DataError: if there is no picture, or a metric of two classes is asked for more.
    """
    if len(predictions) == 0:
        remedy = "Give this part more pictures: data.split says how many."
        raise DataError(sentence("evaluate", f"the {predictions.part.label} part", "of at least 1 picture", 0, remedy))
    chosen = [METRICS[name] for name in metrics]
    labels_N = predicted_labels(predictions.probabilities, threshold)
    confusion_KK = confusion_matrix(predictions.truth, labels_N, predictions.n_classes)
    return {
        metric.name: float(metric.from_confusion(confusion_KK))
        if metric.from_confusion
        else metric.function(predictions.truth, predictions.probabilities)
        for metric in chosen
    }


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
