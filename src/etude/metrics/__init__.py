"""Floor 2: pure functions: scores and statistics. No torch."""

from etude.metrics import classification as _classification
from etude.metrics import segmentation as _segmentation
from etude.metrics.registry import METRICS, SEGMENTATION_METRICS, ConfusionMetric, Metric

__all__ = ["METRICS", "SEGMENTATION_METRICS", "ConfusionMetric", "Metric"]

del _classification, _segmentation
