"""A value that others published, in a study file: `report.published`."""

from __future__ import annotations

import math
from typing import Any

from pydantic import ValidationInfo, field_validator

from etude.core.published import PublishedValue
from etude.core.registry import nearest
from etude.evaluate.scores import metric_of
from etude.metrics import METRICS, SEGMENTATION_METRICS
from etude.metrics.generation import GENERATION_METRICS

_METRICS = (*METRICS, *SEGMENTATION_METRICS, *GENERATION_METRICS)


class PublishedConfig(PublishedValue):
    """A value that others published, to stand beside the leaderboard; it is neither trained, compared nor hashed."""

    @field_validator("metric")
    @classmethod
    def _known_or_in_words(cls, metric: Any) -> Any:  # noqa: ANN401 - a Translated
        """Refuse one word that was meant to be a metric of ours: its value would be shown in the wrong unit."""
        if not isinstance(metric, str) or metric in _METRICS or " " in metric.strip():
            return metric
        close = nearest(metric.casefold(), _METRICS)
        if close:
            hint = " or ".join(repr(name) for name in close)
            raise ValueError(
                f"unknown metric {metric!r}. Did you mean {hint}? One that Étude does not measure is named in several "
                f"words, and shown as they are."
            )
        return metric

    @field_validator("value", "spread")
    @classmethod
    def _in_bounds(cls, given: Any, info: ValidationInfo) -> Any:  # noqa: ANN401 - a number, a range or none
        """Refuse what the metric cannot be, such as 66.9 for a share: it would be shown as 6690 %."""
        name = info.data.get("metric")
        if given is None or not isinstance(name, str) or name not in _METRICS:
            return given
        metric = metric_of(name)
        low, high = (0.0, metric.high - metric.low) if info.field_name == "spread" else (metric.low, metric.high)
        numbers = given if isinstance(given, tuple) else (given,)
        wrong = [number for number in numbers if not low <= number <= high]
        if wrong:
            rule = f"from {low:g} to {high:g}" if math.isfinite(high) else f"at least {low:g}"
            in_percent = metric.unit == "fraction" and 1 < wrong[0] <= 100
            remedy = f" Give {wrong[0]:g} % as {wrong[0] / 100:g}." if in_percent else ""
            raise ValueError(f"must be {rule}, as {name} is. Got {wrong[0]:g}.{remedy}")
        return given
