"""What the measures of generated pictures say of generators that everyone knows."""

from __future__ import annotations

import numpy as np
import pytest

from etude.core.errors import DataError
from etude.metrics.generation import GENERATION_METRICS, FeatureSets


def draw(count, seed, shift=0.0):
    return np.random.default_rng(seed).normal(shift, 1, (count, 16))


def sets(generated):
    near = np.random.default_rng(8).uniform(size=len(generated))
    return FeatureSets(generated, draw(60, 1), draw(80, 2), near, np.random.default_rng(9).uniform(size=60))


def score(name, generated):
    return GENERATION_METRICS[name].function(sets(generated))


def test_more_of_the_same_is_better_than_something_else():
    same, other = draw(200, 7), draw(200, 7, shift=1.5)
    for name in ("kid", "fid", "density", "coverage"):
        metric = GENERATION_METRICS[name]
        assert (score(name, same) > score(name, other)) == metric.higher_is_better
    assert abs(score("kid", same)) < 0.1
    assert score("density", same) == pytest.approx(1, abs=0.3)


def test_kid_of_the_same_distribution_is_zero_on_average_and_fid_is_not():
    seeds = range(30)
    kids = [GENERATION_METRICS["kid"].function(FeatureSets(draw(40, s), draw(40, 99 + s), draw(9, 5))) for s in seeds]
    fids = [GENERATION_METRICS["fid"].function(FeatureSets(draw(40, s), draw(40, 99 + s), draw(9, 5))) for s in seeds]
    assert abs(np.mean(kids)) < 2 * np.std(kids) / np.sqrt(len(kids))
    assert min(fids) > 1  # the bias of few pictures


def test_a_collapsed_generator_has_no_diversity():
    assert score("diversity", np.repeat(draw(1, 3), 50, axis=0)) == 0
    assert score("diversity", draw(200, 3)) == pytest.approx(1, abs=0.1)
    assert score("coverage", np.repeat(draw(1, 3), 50, axis=0)) < 0.2


def test_near_copies_are_counted_below_the_nearness_of_1_of_20_photographs():
    near_real = np.linspace(0.5, 1.0, 59)  # the limit is the third of them
    near = np.array([0.1, near_real[2] - 1e-9, near_real[2], 0.95])
    metric = GENERATION_METRICS["near_copies"]
    told = FeatureSets(draw(4, 1), draw(59, 2), draw(9, 3), near, near_real)
    assert metric.function(told) == 0.5
    weights = np.zeros((1, 59))
    weights[0, -1:] = 59  # only the photograph that is furthest from all training pictures was drawn
    assert metric.under_weights(told, weights)[0] == 1.0
    assert np.isnan(metric.function(FeatureSets(draw(4, 1), draw(59, 2), draw(9, 3))))


@pytest.mark.parametrize("name", GENERATION_METRICS.names())
def test_equal_weights_give_the_score_itself(name):
    metric, given = GENERATION_METRICS[name], sets(draw(30, 4))
    weights = np.ones((2, 60))
    np.testing.assert_allclose(metric.under_weights(given, weights), metric.function(given), rtol=1e-9)


def test_features_that_cannot_be_compared_are_refused():
    with pytest.raises(DataError, match="real"):
        FeatureSets(draw(4, 1), draw(4, 2)[:, :3], draw(4, 3))
    with pytest.raises(DataError, match="finite"):
        FeatureSets(draw(4, 1) * np.nan, draw(4, 2), draw(4, 3))
    with pytest.raises(DataError, match="nearnesses"):
        FeatureSets(draw(4, 1), draw(4, 2), draw(4, 3), np.zeros(4), np.zeros(5))
