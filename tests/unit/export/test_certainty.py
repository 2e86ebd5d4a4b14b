"""How sure is sure: a graph with 8 bits gets a temperature of its own, within the range of one choice."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from etude.core.bundle_record import DataSummary, Origin
from etude.export.certainty import further_temperature, moved_threshold, tempered
from etude.export.request import Request
from etude.metrics.calibration import COLDEST, HOTTEST, with_temperature
from etude.metrics.classification import predicted_labels
from etude.pictures.prepare_config import Prepare

RNG = np.random.default_rng(0)
LOGITS_NK = RNG.normal(0, 2, (4000, 2))
PROBABILITIES_NK = with_temperature(np.exp(LOGITS_NK) / np.exp(LOGITS_NK).sum(1, keepdims=True), 1.0)
TRUTH_N = (RNG.random(4000) < PROBABILITIES_NK[:, 1]).astype(np.int64)
"""What these probabilities say is as often so."""


def test_answers_that_are_too_sure_are_made_as_sure_as_they_are_right() -> None:
    too_sure_NK = with_temperature(PROBABILITIES_NK, 1 / 1.6).astype(np.float32)
    assert further_temperature(TRUTH_N, too_sure_NK, 1.0) == pytest.approx(1.6, rel=0.06)
    assert further_temperature(TRUTH_N, PROBABILITIES_NK.astype(np.float32), 1.0) == pytest.approx(1.0, rel=0.06)


@pytest.mark.parametrize("temperature", [COLDEST, 0.3, 1.0, 4.0, HOTTEST])
def test_both_temperatures_together_stay_in_the_range_of_one(temperature: float) -> None:
    right_NK = np.where(np.arange(2) == TRUTH_N[:, None], 0.6, 0.4).astype(np.float32)
    coldest = further_temperature(TRUTH_N, right_NK, temperature) * temperature
    assert coldest == pytest.approx(max(COLDEST, COLDEST * temperature))
    wrong_NK = np.ascontiguousarray(right_NK[:, ::-1])
    hottest = further_temperature(TRUTH_N, wrong_NK, temperature) * temperature
    assert hottest == pytest.approx(min(HOTTEST, HOTTEST * temperature))


@pytest.mark.parametrize("threshold", [0.02, 0.3, 0.5, 0.97])
def test_a_detector_decides_after_a_further_temperature_as_before_it(threshold: float) -> None:
    request = Request(
        model=cast("Any", None), task="classification", name="", classes=("no", "yes"), prepare=Prepare(),
        source=cast("Any", None), parts_N=np.zeros(0, np.int8), metric="accuracy", scores=(),
        origin=Origin(study="", candidate="", run="", network="", trained_at=""),
        data=DataSummary(source="", fingerprint=""), weights=Path("-"), temperature=1.5, threshold=threshold,
    )  # fmt: skip
    further = tempered(request, 2.5)
    assert further.temperature == pytest.approx(3.75)
    assert further.threshold == moved_threshold(threshold, 2.5)
    before = predicted_labels(PROBABILITIES_NK, request.threshold)
    after = predicted_labels(with_temperature(PROBABILITIES_NK, 2.5), further.threshold)
    assert np.array_equal(before, after)
    assert 0 < before.sum() < len(before)
