"""Near copies: photographs that nobody copied are not told as copies, whatever their number; copies are."""

from __future__ import annotations

import numpy as np
import pytest

from etude.metrics.generation import GENERATION_METRICS, FeatureSets
from etude.metrics.near_copies import near_limit, near_share, shares_of_photographs


def nearness(count: int, rng: np.random.Generator) -> np.ndarray:
    """Return what nearness looks like: most near 1, with a long tail towards copies."""
    return rng.beta(12, 1.5, count) ** 3


def told(folds: int, photographs: int, copied: float, repeats: int, generated: int = 400) -> tuple[float, float]:
    """Return the mean share of near copies, and how often it is more than photographs show."""
    limits = shares_of_photographs([(photographs, (generated,))] * folds)
    rng, shares = np.random.default_rng(1), []
    for _ in range(repeats):
        found = []
        for _ in range(folds):
            made = nearness(generated, rng)
            made[: round(copied * generated)] = 0.01
            found.append(near_share(made, nearness(photographs, rng)))
        shares.append(np.mean(found))
    return float(np.mean(shares)), float((np.array(shares) > limits.high).mean())


@pytest.mark.parametrize(("folds", "photographs"), [(3, 33), (1, 33), (1, 100), (1, 25)])
def test_fresh_photographs_give_5_in_100_on_average_and_are_seldom_told_as_copies(folds, photographs):
    mean, often = told(folds, photographs, 0.0, 1500)
    assert mean == pytest.approx(0.05, abs=0.004)
    assert often < 0.04  # 0.025 is meant; the interpolated quantile was passed in 30 of 100


@pytest.mark.parametrize(("folds", "copied"), [(3, 0.12), (1, 0.25)])
def test_copies_are_told_where_they_are_many(folds, copied):
    assert told(folds, 33, copied, 200)[1] > 0.95


def test_the_share_is_by_ranks_worked_by_hand():
    real = np.array([0.3, 0.5, *np.linspace(0.6, 0.9, 31)])  # rank 0.05 × 34 = 1.7
    made = np.array([0.1, 0.2, 0.4, 0.45, 0.55, 0.9, 0.9, 0.9, 0.9, 0.9])
    assert near_share(made, real) == pytest.approx(0.3 * 0.2 + 0.7 * 0.4)
    assert near_limit(real) == pytest.approx(0.3 + 0.7 * 0.2)
    assert near_share(made, real[:5]) == 0.2  # of so few the nearest is the limit
    thrice = np.concatenate([real, real, real[:1]])  # drawn more often, rank 3.4
    weights = np.full(33, 2.0)
    weights[0] = 3
    assert near_share(made, real, weights) == near_share(made, thrice)
    sets = FeatureSets(np.eye(10, 4), np.eye(33, 4), np.eye(9, 4), made, real)
    assert GENERATION_METRICS["near_copies"].function(sets) == near_share(made, real)


def test_what_photographs_show_by_the_exact_law_of_the_first_ranks():
    """Of 19 photographs the limit is the nearest: of very many pictures a share below it with chance (1 - u)^19."""
    found = shares_of_photographs([(19, (10**7,))])
    assert found.low == pytest.approx(1 - 0.975 ** (1 / 19), abs=2e-4)
    assert found.high == pytest.approx(1 - 0.025 ** (1 / 19), abs=5e-3)


def test_seeds_of_one_fold_share_its_photographs_and_other_folds_tell_more():
    one, seeds = shares_of_photographs([(33, (1000,))]), shares_of_photographs([(33, (1000, 1000, 1000))])
    folds = shares_of_photographs([(33, (1000,))] * 3)
    assert seeds.high > 0.9 * one.high > 1.2 * folds.high
