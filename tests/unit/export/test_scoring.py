"""The scores of a bundle: only those that exist, and with the study's way of drawing pictures."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from etude.core.bundle_record import Score
from etude.core.words import Part
from etude.evaluate.predictions import Predictions
from etude.export.asking import Asked
from etude.export.request import Request
from etude.export.scoring import bundle_scores

IDS = np.array([f"clip{number // 10}/{number:03}" for number in range(80)])


def make_request(labels: np.ndarray, metrics: tuple[str, ...], groups: dict[str, str] | None = None) -> Any:
    items = SimpleNamespace(ids=IDS, labels=labels)
    request = SimpleNamespace(
        scores=tuple(Score(part="validation", metric=name, value=0.5) for name in metrics),
        source=SimpleNamespace(items=items), threshold=None, groups=groups,
        recorded=lambda part: Predictions(IDS, Part.TEST, labels, np.full((80, 2), 0.5, np.float32)),
    )  # fmt: skip
    request.interval_of = lambda answers, metric: Request.interval_of(cast("Any", request), answers, metric)
    return request


def score(request: Any, probabilities: np.ndarray) -> dict[str, Score]:
    asked = Asked(probabilities.astype(np.float32))
    return {found.metric: found for found in bundle_scores(request, np.arange(80), asked, None)}


def test_a_score_that_does_not_exist_is_left_out() -> None:
    labels = np.zeros(80, np.int64)  # of the second class there is none: no precision and no area
    probabilities = np.tile([0.7, 0.3], (80, 1))
    found = score(make_request(labels, ("accuracy", "average_precision")), probabilities)
    assert set(found) == {"accuracy"}
    assert found["accuracy"].value == 1.0


def test_pictures_of_one_group_are_drawn_together_here_too() -> None:
    labels = np.zeros(80, np.int64)
    right = np.repeat(np.arange(8) % 2 == 0, 10)  # whole clips are right or wrong
    probabilities = np.where(right[:, None], [0.9, 0.1], [0.1, 0.9])
    groups = {item: item.partition("/")[0] for item in IDS.tolist()}
    alone = score(make_request(labels, ("accuracy",)), probabilities)["accuracy"].interval
    together = score(make_request(labels, ("accuracy",), groups), probabilities)["accuracy"].interval
    assert alone is not None
    assert together is not None
    assert together.high - together.low > 2 * (alone.high - alone.low)
    assert alone.high - alone.low == pytest.approx(2 * 1.96 * np.sqrt(0.25 / 80), rel=0.15)
