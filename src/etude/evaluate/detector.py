"""What is chosen on validation once a classifier is trained: its temperature, and a detector's threshold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from etude.core.errors import MistakeError, sentence
from etude.core.records import Config
from etude.evaluate.predictions import Predictions
from etude.metrics.calibration import fit_temperature, with_temperature
from etude.metrics.thresholds import threshold_for_cost, threshold_for_f1, threshold_for_recall


class ErrorCosts(Config):
    """What each kind of error costs, in any unit."""

    false_positive: Annotated[float, Field(gt=0)] = 1.0
    """Cost of a picture that is wrongly found."""
    false_negative: Annotated[float, Field(gt=0)] = 1.0
    """Cost of a picture that is missed."""


class ThresholdConfig(Config):
    """How a detector's threshold is chosen on validation: by one of these; `threshold: f1` alone is accepted too."""

    recall: Annotated[float, Field(gt=0, le=1)] | None = None
    """The strictest threshold that finds at least this share of the positives."""
    cost: ErrorCosts | None = None
    """The threshold at which errors cost least."""
    f1: bool = False
    """The threshold with the largest F1 of the positive class."""

    @model_validator(mode="after")
    def _one_rule(self) -> ThresholdConfig:
        if (self.recall is not None) + (self.cost is not None) + self.f1 != 1:
            raise ValueError("must be one of {recall: 0.95}, {cost: {false_positive: 1, false_negative: 5}} and f1.")
        return self


def _read_threshold(given: Any) -> Any:  # noqa: ANN401 - raw input
    return {"f1": True} if given == "f1" else given


Threshold = Annotated[ThresholdConfig, BeforeValidator(_read_threshold, json_schema_input_type=ThresholdConfig | str)]


@dataclass(frozen=True)
class Adjustment:
    """What was chosen on validation; none where nothing was asked for."""

    temperature: float | None = None
    threshold: float | None = None

    def apply(self, answers: Predictions) -> Predictions:
        """Return the answers at this temperature, with this threshold."""
        if self == Adjustment():
            return answers
        probabilities_NK = answers.probabilities
        if self.temperature is not None and len(answers):
            probabilities_NK = with_temperature(probabilities_NK, self.temperature).astype("float32")
        return replace(answers, probabilities=probabilities_NK, threshold=self.threshold)


def choose_adjustment(validation: Predictions, rule: ThresholdConfig | None, *, calibrate: bool) -> Adjustment:
    """Choose temperature and threshold on the validation part, the threshold at that temperature.

    Raises:
        MistakeError: if there are no validation pictures, or a threshold is asked for more than two classes.
        DataError: if no validation picture is positive.
    """
    if rule is None and not calibrate:
        return Adjustment()
    check_adjustable(validation.n_classes, len(validation), rule)
    temperature = fit_temperature(validation.truth, validation.probabilities) if calibrate else None
    if rule is None:
        return Adjustment(temperature)
    score_N = Adjustment(temperature).apply(validation).probabilities[:, 1]
    positive_N = validation.truth == 1
    if rule.recall is not None:
        return Adjustment(temperature, threshold_for_recall(positive_N, score_N, rule.recall))
    if rule.cost is not None:
        costs = rule.cost.model_dump()
        return Adjustment(temperature, threshold_for_cost(positive_N, score_N, **costs))
    return Adjustment(temperature, threshold_for_f1(positive_N, score_N))


def check_adjustable(n_classes: int, n_validation: int, rule: ThresholdConfig | None) -> None:
    """Check, before anything is trained, that there will be something to choose on.

    Raises:
        MistakeError: if there are no validation pictures, or a threshold is asked for more than two classes.
    """
    if rule is not None and n_classes != 2:
        remedy = "Give data.positive to make a detector of one class, or leave protocol.threshold out."
        raise MistakeError(sentence("protocol", "the number of classes for a threshold", "2", n_classes, remedy)).at(
            "protocol", "threshold"
        )
    if n_validation == 0:
        remedy = "Temperature and threshold are chosen there: set data.split.validation to 0.1, say."
        raise MistakeError(sentence("protocol", "the validation part", "of at least 1 picture", 0, remedy)).at(
            "data", "split", "validation"
        )
