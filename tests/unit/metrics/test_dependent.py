"""How pictures that are not independent are resampled."""

import numpy as np
import pytest

from etude.metrics.statistics import Dependence, dependence_of, dependent_weights, resampling_weights


def weights_of(groups, replicates=3000):
    return np.concatenate(list(dependent_weights(np.array(groups), replicates, seed=0)))


def test_pictures_that_are_all_of_other_groups_are_drawn_as_they_were():
    groups = np.arange(40)
    assert dependence_of(groups).unit == "pictures"
    assert np.array_equal(weights_of(groups, 50), np.concatenate(list(resampling_weights(40, 50, seed=0))))


def test_eight_groups_are_drawn_whole():
    groups = np.repeat(np.arange(8), [1, 2, 3, 4, 5, 6, 7, 8])
    assert dependence_of(groups) == Dependence("groups", 8)
    weights = weights_of(groups)
    for number in range(8):
        own = weights[:, groups == number]
        assert (own == own[:, :1]).all()
    assert weights.mean(0) == pytest.approx(np.ones(36), abs=0.1)


def test_of_few_groups_blocks_of_neighbours_are_drawn_and_every_picture_equally_often():
    groups = np.repeat([0, 1], 50)
    found = dependence_of(groups)
    assert (found.unit, found.length, found.n) == ("blocks", 17, 5)
    weights = weights_of(groups)
    assert (weights.sum(1) == 100).all()
    assert weights.mean(0) == pytest.approx(np.ones(100), abs=0.12)
    together = np.corrcoef(weights[:, 20], weights[:, 21])[0, 1]
    apart = np.corrcoef(weights[:, 20], weights[:, 20 + 17])[0, 1]
    assert together > 0.8
    assert abs(apart) < 0.3  # so few blocks crowd each other out
    over_the_border = np.corrcoef(weights[:, 49], weights[:, 50])[0, 1]
    assert abs(over_the_border) < 0.3


def test_pictures_of_a_group_that_is_shorter_than_a_block_come_as_often_as_others():
    groups = np.array([0] * 60 + [1] * 2)
    weights = weights_of(groups, 20_000)
    assert weights[:, 60:].mean() == pytest.approx(1, abs=0.1)
    assert weights[:, :60].mean() == pytest.approx(1, abs=0.05)


def test_the_same_seed_draws_the_same():
    assert np.array_equal(weights_of([0] * 30, 20), weights_of([0] * 30, 20))


def test_the_p_value_fits_the_interval():
    found = Dependence("groups", 9)
    assert found.expand_p(2 * found.expand_tail(0.025)) == pytest.approx(0.05)
    assert found.expand_tail(0.025) < 0.025
