"""Scores of classification: by hand, at the edges, and under weights."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etude.core.errors import DataError, MistakeError
from etude.metrics import METRICS, SEGMENTATION_METRICS
from etude.metrics import classification as scores
from etude.metrics.confusion import (
    confusion_matrix,
    f1_per_class,
    iou_per_class,
    precision_per_class,
    recall_per_class,
)


def drawn(n=200, k=4, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(0, k, n), rng.dirichlet(np.ones(k), n).astype(np.float32)


def test_confusion_matrix_has_truth_in_rows():
    matrix = confusion_matrix(np.array([2, 2, 0]), np.array([1, 2, 0]), 3)
    assert matrix.tolist() == [[1, 0, 0], [0, 0, 0], [0, 1, 1]]


@pytest.mark.parametrize(("truth", "predicted"), [([0, 3], [0, 0]), ([0, -1], [0, 0]), ([0, 0], [0, 3]), ([], [])])
def test_confusion_matrix_refuses_labels_that_are_no_class(truth, predicted):
    with pytest.raises(DataError):
        confusion_matrix(np.array(truth, dtype=int), np.array(predicted, dtype=int), 3)


def test_absent_classes_are_left_out_of_means():
    # Class 2 is neither there nor predicted; class 1 is predicted and not there.
    matrix = np.array([[3, 1, 0], [0, 0, 0], [0, 0, 0]])
    np.testing.assert_allclose(recall_per_class(matrix), [0.75, np.nan, np.nan])
    np.testing.assert_allclose(precision_per_class(matrix), [1.0, 0.0, np.nan])
    np.testing.assert_allclose(f1_per_class(matrix), [6 / 7, 0.0, np.nan])
    np.testing.assert_allclose(iou_per_class(matrix), [0.75, 0.0, np.nan])
    assert METRICS["balanced_accuracy"].from_confusion(matrix) == 0.75
    assert METRICS["f1_macro"].from_confusion(matrix) == pytest.approx(3 / 7)


def test_a_class_that_is_never_predicted_has_precision_zero():
    np.testing.assert_allclose(precision_per_class([[2, 0], [1, 0]]), [2 / 3, 0.0])


def test_confusion_scores_take_leading_axes():
    matrices = np.random.default_rng(0).integers(0, 9, (2, 3, 4, 4))
    for metric in [*map(METRICS.__getitem__, METRICS), *map(SEGMENTATION_METRICS.__getitem__, SEGMENTATION_METRICS)]:
        if metric.from_confusion:
            together = metric.from_confusion(matrices)
            alone = [[float(metric.from_confusion(m)) for m in row] for row in matrices]
            np.testing.assert_allclose(together, alone)


@pytest.mark.parametrize("name", METRICS.names())
def test_whole_weights_are_repeated_pictures(name):
    k = 2 if METRICS[name].binary_only else 7
    truth, probabilities = drawn(k=k)
    times = np.random.default_rng(1).integers(0, 4, len(truth))
    repeated = np.repeat(np.arange(len(truth)), times)
    function = METRICS[name].function
    assert function(truth, probabilities, times) == pytest.approx(function(truth[repeated], probabilities[repeated]))


@pytest.mark.parametrize("name", METRICS.names())
def test_a_perfect_model_reaches_the_good_end(name):
    metric = METRICS[name]
    truth = np.arange(60) % (2 if metric.binary_only else 6)
    probabilities = np.eye(truth.max() + 1)[truth]
    best = metric.high if metric.higher_is_better else metric.low
    assert metric.function(truth, probabilities) == pytest.approx(best, abs=1e-12)


@pytest.mark.parametrize("name", METRICS.names())
def test_the_ways_of_one_metric_agree_and_stay_in_range(name):
    metric = METRICS[name]
    truth, probabilities = drawn(k=2 if metric.binary_only else 7)
    value = metric.function(truth, probabilities)
    assert metric.low <= value <= metric.high
    if metric.per_picture:
        assert metric.per_picture(truth, probabilities).mean() == pytest.approx(value)
    if metric.from_confusion:
        matrix = confusion_matrix(truth, probabilities.argmax(1), probabilities.shape[1])
        assert float(metric.from_confusion(matrix)) == pytest.approx(value)


@pytest.mark.parametrize("name", METRICS.names())
def test_bad_input_is_refused_in_a_sentence(name):
    function = METRICS[name].function
    good = np.array([[0.5, 0.5], [0.2, 0.8]])
    for truth, probabilities, weights in [
        ([0, 1], [[np.nan, 1.0], [0.5, 0.5]], None),
        ([0, 2], good, None),
        ([0, -1], good, None),
        ([0], good, None),
        ([0.0, 1.0], good, None),
        ([0, 1], good, [1.0, np.nan]),
        ([0, 1], good, [0.0, 0.0]),
        ([0, 1], good, [1.0]),
    ]:
        with pytest.raises(DataError, match="must be"):
            function(np.array(truth), np.array(probabilities), None if weights is None else np.array(weights))


def test_top5_of_a_constant_model_is_not_right_by_ties():
    truth, constant = np.arange(10), np.full((10, 10), 0.1)
    assert scores.top_k(truth, constant) == 0.5
    assert scores.accuracy(truth, constant) == 0.1


def test_log_loss_of_a_sure_mistake_is_finite():
    assert scores.log_loss(np.array([0]), np.array([[0.0, 1.0]])) == pytest.approx(METRICS["log_loss"].high)


def test_ece_is_the_gap_of_confidence():
    # Ten pictures at confidence 0.8 of which six are right: a gap of 0.2.
    truth = np.array([0] * 6 + [1] * 4)
    assert scores.ece(truth, np.tile([0.8, 0.2], (10, 1))) == pytest.approx(0.2)


def test_reliability_puts_bin_edges_below():
    total, _, _ = scores.reliability(np.array([0, 0]), np.array([[1.0, 0.0], [0.6, 0.4]]), bins=10)
    assert np.flatnonzero(total).tolist() == [5, 9]


def test_threshold_moves_the_labels_of_a_detector():
    probabilities = np.array([[0.7, 0.3], [0.4, 0.6]])
    assert scores.predicted_labels(probabilities).tolist() == [0, 1]
    assert scores.predicted_labels(probabilities, threshold=0.3).tolist() == [1, 1]
    with pytest.raises(DataError, match="threshold"):
        scores.predicted_labels(np.ones((1, 3)) / 3, threshold=0.5)


def test_detector_scores_without_a_positive_are_nan():
    truth, probabilities = np.zeros(3, dtype=int), np.array([[0.7, 0.3], [0.4, 0.6], [0.5, 0.5]])
    assert np.isnan(scores.roc_auc(truth, probabilities))
    assert np.isnan(scores.average_precision(truth, probabilities))


@pytest.mark.parametrize("name", ["average_precision", "roc_auc"])
def test_detector_scores_refuse_more_classes(name):
    with pytest.raises(DataError, match=r"data\.positive"):
        METRICS[name].function(*drawn())


def test_an_unknown_metric_names_the_nearest():
    with pytest.raises(MistakeError, match="accuracy"):
        METRICS["acuracy"]


@settings(max_examples=50, deadline=None)
@given(st.integers(2, 6), st.integers(1, 40), st.integers(0, 10_000))
def test_renaming_the_classes_changes_no_score(k, n, seed):
    truth, probabilities = drawn(n, k, seed)
    order = np.random.default_rng(seed).permutation(k)
    for name in ("accuracy", "balanced_accuracy", "f1_macro", "log_loss", "brier", "ece"):
        function = METRICS[name].function
        assert function(truth, probabilities) == pytest.approx(
            function(np.argsort(order)[truth], probabilities[:, order])
        )
