"""How pictures that are not independent are resampled."""

import numpy as np
import pytest

from etude.metrics.statistics import Dependence, dependence_of, dependent_weights, resampling_weights
from etude.metrics.statistics.redrawing import Redrawing


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


def drawn_gains(gain, seed=0, n=101):
    """Draw the gains of the frames of one film, whose neighbours correlate by 0.9, about a mean."""
    rng = np.random.default_rng(seed)
    noise = np.empty(n)
    noise[0] = rng.normal()
    for place in range(1, n):
        noise[place] = 0.9 * noise[place - 1] + np.sqrt(1 - 0.81) * rng.normal()
    values_N = gain + noise - noise.mean()
    drawn = Redrawing(n, groups_N=np.zeros(n, np.int64)).draw(lambda weights_RN: weights_RN @ values_N / n)
    return drawn, float(values_N.mean())


def test_a_large_gain_over_few_blocks_has_a_small_p_value():
    """Of five blocks and 5,000 replicates p was never below 0.034: of two comparisons none could be shown."""
    p_values = [drawn.p(value) for drawn, value in (drawn_gains(gain) for gain in (1, 2, 4, 8))]
    assert p_values == sorted(p_values, reverse=True)
    assert p_values[-1] < 0.002


@pytest.mark.parametrize("gain", [0.3, 0.6, 0.9, 1.2, 1.5, 2, 3])
def test_the_p_value_is_below_a_twentieth_where_the_interval_leaves_zero_out(gain):
    for seed in range(5):
        drawn, value = drawn_gains(gain, seed)
        interval = drawn.interval(value)
        assert (drawn.p(value) < 0.05) == (interval.low > 0) or abs(interval.low) < 0.05


def test_without_spread_a_gain_has_the_p_value_of_its_replicates():
    drawn = Redrawing(20).draw(lambda weights_RN: np.full(len(weights_RN), 0.5))
    assert drawn.p(0.5) == pytest.approx(2 / (len(drawn.bootstrapped_R) + 1))
