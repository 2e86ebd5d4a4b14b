"""Temperature and thresholds: against brute force, scipy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize_scalar
from scipy.special import softmax
from sklearn.metrics import f1_score, log_loss, recall_score

from etude.core.errors import DataError
from etude.metrics.calibration import fit_temperature, with_temperature
from etude.metrics.classification import predicted_labels
from etude.metrics.thresholds import threshold_for_cost, threshold_for_f1, threshold_for_recall
from etude.runtime.answers import ClassAnswer


def drawn(seed: int, count: int = 200) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    positive = rng.random(count) < 0.3
    return positive, np.round(1 / (1 + np.exp(-rng.normal(2.0 * positive - 1, 1.2))), 2)


@pytest.mark.parametrize("true_temperature", [0.3, 1.0, 4.0])
def test_the_temperature_is_scipys(true_temperature):
    rng = np.random.default_rng(3)
    logits = rng.normal(0, 2, (3000, 4))
    truth = np.array([rng.choice(4, p=row) for row in softmax(logits, axis=1)])
    probabilities = softmax(logits * true_temperature, axis=1)

    def loss(log_t: float) -> float:
        return log_loss(truth, softmax(np.log(probabilities) / np.exp(log_t), axis=1))

    best = np.exp(minimize_scalar(loss, bounds=(-3, 3), method="bounded", options={"xatol": 1e-8}).x)
    found = fit_temperature(truth, probabilities)
    assert found == pytest.approx(best, rel=1e-3)
    assert found == pytest.approx(true_temperature, rel=0.1)
    np.testing.assert_allclose(
        with_temperature(probabilities, found), softmax(np.log(probabilities) / found, axis=1), atol=1e-12
    )


def test_a_perfect_and_a_hopeless_model_have_temperatures_at_the_ends():
    sure = np.array([[0.9, 0.1], [0.1, 0.9]])
    assert log_loss([0, 1], with_temperature(sure, fit_temperature(np.array([0, 1]), sure))) < 1e-9
    assert fit_temperature(np.array([1, 0]), sure) == pytest.approx(20, rel=0.01)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("recall", [0.5, 0.9, 0.95, 1.0])
def test_the_recall_is_reached_and_nothing_stricter_reaches_it(seed, recall):
    positive, score = drawn(seed)
    threshold = threshold_for_recall(positive, score, recall)
    assert recall_score(positive, score >= threshold) >= recall
    stricter = np.unique(score)[np.unique(score) > threshold][1:]
    assert all(recall_score(positive, score >= value) < recall for value in stricter)


@pytest.mark.parametrize("seed", range(5))
def test_no_threshold_costs_less_or_has_a_larger_f1(seed):
    positive, score = drawn(seed)
    candidates = [*np.unique(score), 2.0]

    def cost(threshold: float) -> float:
        found = score >= threshold
        return 1.0 * (found & ~positive).sum() + 5.0 * (~found & positive).sum()

    cheapest = threshold_for_cost(positive, score, false_positive=1.0, false_negative=5.0)
    assert cost(cheapest) == min(map(cost, candidates))
    best = threshold_for_f1(positive, score)
    assert f1_score(positive, score >= best) == max(f1_score(positive, score >= value) for value in candidates)


def test_where_false_alarms_are_dear_nothing_is_found():
    threshold = threshold_for_cost(
        np.array([True, False]), np.array([0.2, 1.0]), false_positive=9.0, false_negative=1.0
    )
    assert threshold > 1.0


def test_without_a_positive_nothing_can_be_chosen():
    with pytest.raises(DataError, match="positives in the validation part must be at least 1"):
        threshold_for_f1(np.array([False]), np.array([0.5]))


def test_what_a_threshold_decides_is_what_it_was_chosen_for():
    """Chosen in float64 to find none, it must not be rounded to the float32 scores that it lies above."""
    positive = np.array([0, 0, 0, 1, 0, 1], bool)
    score = np.array([1, 1, 1, 1, 0.4, 0.3], np.float32)
    threshold = threshold_for_cost(positive, score, false_positive=100.0, false_negative=1.0)
    assert predicted_labels(np.stack([1 - score, score], 1), threshold).sum() == 0
    answer = ClassAnswer(("no", "yes"), np.array([0, 1], np.float32), threshold=threshold)
    assert answer.label == "no"
