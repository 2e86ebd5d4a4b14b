"""What the measures of generated pictures say of generators that everyone knows."""

from __future__ import annotations

import numpy as np
import pytest

from etude.core.errors import DataError
from etude.metrics.generation import GENERATION_METRICS, FeatureSets, distances, nearness


def draw(count, seed, shift=0.0):
    return np.random.default_rng(seed).normal(shift, 1, (count, 16))


def sets(generated):
    return FeatureSets(generated, draw(60, 1), draw(80, 2))


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


def test_a_collapsed_generator_has_no_diversity_and_a_copying_one_is_found_out():
    assert score("diversity", np.repeat(draw(1, 3), 50, axis=0)) == 0
    assert score("diversity", draw(200, 3)) == pytest.approx(1, abs=0.1)
    copies = draw(80, 2) + 0.01
    assert score("near_copies", copies) == 1.0
    assert score("near_copies", draw(400, 11)) < 0.15
    assert score("coverage", np.repeat(draw(1, 3), 50, axis=0)) < 0.2


def test_a_mirrored_copy_is_a_copy_and_what_is_only_less_various_is_none():
    real, training, mirrored = draw(400, 1), draw(80, 2), draw(80, 6)
    near = GENERATION_METRICS["near_copies"].function
    copies = mirrored + 0.01
    assert near(FeatureSets(copies, real, training, mirrored)) == 1.0
    assert near(FeatureSets(copies, real, training)) < 0.2
    dull = 0.6 * draw(400, 12)  # all distances to training pictures are shorter: the nearest one's no more than others'
    assert (distances(dull, training).min(1) < np.quantile(distances(real, training).min(1), 0.05)).mean() > 0.3
    assert near(FeatureSets(dull, real, training, mirrored)) < 0.1


def test_nearness_is_the_ratio_of_carlini_and_others():
    found, training, mirrored = draw(5, 3), draw(30, 2), draw(30, 6)
    ratios, at = nearness(found, training, mirrored)
    for row, picture in enumerate(found):
        lengths = np.minimum(np.linalg.norm(training - picture, axis=1), np.linalg.norm(mirrored - picture, axis=1))
        assert at[row] == lengths.argmin()
        lengths.sort()
        assert ratios[row] == pytest.approx(lengths[0] / lengths[1:10].mean())
    alike = np.zeros((12, 4))
    assert nearness(alike, alike)[0].max() == 0  # all the same: copies, and no division by nothing


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
    with pytest.raises(DataError, match="mirrored"):
        FeatureSets(draw(4, 1), draw(4, 2), draw(4, 3), draw(5, 3))
