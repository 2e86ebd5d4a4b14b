"""Predictions to scores."""

from dataclasses import replace

import numpy as np
import pytest

from etude.core.errors import DataError, MistakeError
from etude.core.words import Part
from etude.evaluate.predictions import Predictions
from etude.evaluate.scores import default_metrics, score
from etude.metrics import METRICS


def drawn(n=80, k=3):
    rng = np.random.default_rng(0)
    ids = np.array([str(i) for i in range(n)])
    return Predictions(ids, Part.TEST, rng.integers(0, k, n), rng.dirichlet(np.ones(k), n))


@pytest.mark.parametrize("k", [2, 3, 10])
def test_scores_are_those_of_the_metrics_in_the_order_asked(k):
    predictions = drawn(k=k)
    names = tuple(reversed(default_metrics(k)))
    found = score(predictions, names)
    assert tuple(found) == names
    for name in names:
        assert found[name] == pytest.approx(METRICS[name].function(predictions.truth, predictions.probabilities))


def test_every_metric_belongs_to_some_number_of_classes():
    assert set(default_metrics(2)) | set(default_metrics(10)) == set(METRICS)


def test_a_threshold_moves_labels_and_nothing_else():
    predictions = drawn(k=2)
    at_half = score(predictions, METRICS.names())
    at_nothing = score(replace(predictions, threshold=0.0), METRICS.names())
    moved = {name for name in at_half if at_half[name] != at_nothing[name]}
    assert moved == {"accuracy", "balanced_accuracy", "f1_macro"}
    assert at_nothing["balanced_accuracy"] == 0.5


def test_an_empty_part_and_an_unknown_metric_are_named():
    empty = Predictions(np.array([], dtype=str), Part.VALIDATION, np.zeros(0, int), np.zeros((0, 3)))
    with pytest.raises(DataError, match="validation part"):
        score(empty, ["accuracy"])
    with pytest.raises(MistakeError, match="Did you mean 'accuracy'"):
        score(drawn(), ["acuracy"])
