"""Pixels to confusion matrices to scores."""

import numpy as np
import pytest

from etude.core.errors import DataError
from etude.metrics import SEGMENTATION_METRICS
from etude.metrics.boundaries import boundary_counts
from etude.metrics.segmentation import pixel_confusion


def test_void_is_left_out():
    truth = np.array([[0, 1, 255], [1, 255, 2]], dtype=np.uint8)
    predicted = np.array([[0, 1, 2], [0, 0, 2]])
    assert pixel_confusion(truth, predicted, 3).tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 1]]


def test_void_may_be_another_id():
    assert pixel_confusion(np.array([0, 2]), np.array([0, 1]), 2, void=2).tolist() == [[1, 0], [0, 0]]


def test_all_void_counts_nothing_and_scores_nan():
    matrix = pixel_confusion(np.full((4, 4), 255), np.zeros((4, 4), int), 3)
    assert matrix.sum() == 0
    metrics = [SEGMENTATION_METRICS[name] for name in SEGMENTATION_METRICS]
    from_counts = [metric.from_confusion for metric in metrics if metric.from_confusion]
    assert len(from_counts) >= 3
    assert all(np.isnan(function(matrix)) for function in from_counts)


def test_the_data_set_is_counted_before_it_is_divided():
    truth = np.array([[0, 0, 0, 1], [0, 0, 0, 0]])
    predicted = np.array([[0, 0, 0, 0], [0, 0, 0, 1]])
    whole = pixel_confusion(truth, predicted, 2)
    parts = sum(pixel_confusion(t, p, 2) for t, p in zip(truth, predicted, strict=True))
    assert (whole == parts).all()
    assert SEGMENTATION_METRICS["miou"].from_confusion(whole) == pytest.approx((6 / 8 + 0) / 2)


def test_a_class_that_is_absent_and_never_predicted_is_left_out():
    matrix = pixel_confusion(np.array([0, 0, 1]), np.array([0, 0, 1]), 5)
    assert SEGMENTATION_METRICS["miou"].from_confusion(matrix) == 1.0
    assert SEGMENTATION_METRICS["dice"].from_confusion(matrix) == 1.0


@pytest.mark.parametrize(
    ("truth", "predicted", "rule"),
    [
        ([0, 7], [0, 0], "true mask ids must be below 3 or 255"),
        ([0, 0], [0, 5], "predicted mask ids must be below 3"),
        ([0, 300], [0, 0], "true mask ids must be from 0 to 255"),
        ([0, -1], [0, 0], "true mask ids must be from 0 to 255. Got -1"),
        ([0], [0, 0], "shape"),
    ],
)
def test_ids_that_are_no_class_are_named(truth, predicted, rule):
    with pytest.raises(DataError, match=rule):
        pixel_confusion(np.array(truth), np.array(predicted), 3)


def test_contours_of_a_picture_narrower_than_the_tolerance_are_counted():
    truth = np.zeros((2, 900), np.uint8)
    truth[:, 450:] = 1
    counts = boundary_counts(truth, np.roll(truth, 3, axis=1), 2)  # 7 px are tolerated
    assert counts[:, 0].tolist() == counts[:, 1].tolist() == [2, 2]
    assert boundary_counts(truth.T.copy(), np.roll(truth, 3, axis=1).T.copy(), 2)[:, 1].tolist() == [2, 2]
