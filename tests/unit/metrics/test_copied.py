"""Whose photographs generated pictures lie near: copies are told from what is near to any photograph."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from etude.core.generation_record import NearPhotographs
from etude.metrics.copied import chance_over, whose_are_near
from etude.metrics.copies import nearness

SIDE = 32


def smooth(count: int, seed: int, width: float) -> np.ndarray:
    """Pictures of smooth noise, uint8."""
    rng = np.random.default_rng(seed)
    found = np.stack([gaussian_filter(rng.standard_normal((SIDE, SIDE, 3)), (width, width, 0)) for _ in range(count)])
    found -= found.mean((1, 2, 3), keepdims=True)
    found /= found.std((1, 2, 3), keepdims=True)
    return np.clip(128 + 50 * found, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def photographs() -> np.ndarray:
    return smooth(90, 0, 3.0)


TRAINED = np.arange(90) < 60


def test_copies_lie_near_what_was_learnt_from(photographs):
    rng = np.random.default_rng(1)
    noisy = photographs[rng.integers(0, 60, 200)] + rng.normal(0, 12, (200, SIDE, SIDE, 3))
    found = whose_are_near(np.clip(noisy, 0, 255).astype(np.uint8), photographs, TRAINED)
    assert found.near > 0.95
    assert found.trained > 0.95 > found.chance.high
    assert found.chance.low < 60 / 90 < found.chance.high
    assert found.outright_trained > 0.95
    assert found.outright_held_out == 0
    assert found.counts_P.sum() == round(200 * found.near)


def test_copies_of_photographs_that_it_never_saw_are_within_chance(photographs):
    """What cannot be: were both parts copied alike, nothing was learnt by heart."""
    rng = np.random.default_rng(1)
    noisy = photographs[rng.integers(0, 90, 300)] + rng.normal(0, 12, (300, SIDE, SIDE, 3))
    found = whose_are_near(np.clip(noisy, 0, 255).astype(np.uint8), photographs, TRAINED)
    assert found.near > 0.95
    assert found.chance.low <= found.trained <= found.chance.high


def test_copies_of_five_photographs_are_outright_where_no_shuffle_can_tell(photographs):
    """Of five photographs a shuffle finds all trained on in 1 of 8 cases."""
    rng = np.random.default_rng(1)
    noisy = photographs[rng.integers(0, 5, 100)] + rng.normal(0, 12, (100, SIDE, SIDE, 3))
    found = whose_are_near(np.clip(noisy, 0, 255).astype(np.uint8), photographs, TRAINED)
    assert found.trained == found.chance.high == 1
    assert np.flatnonzero(found.counts_P).tolist() == [0, 1, 2, 3, 4]
    assert found.outright_trained > 0.95


def test_plain_shapes_are_not_taken_for_copies(photographs):
    shown = 0
    for seed in range(20):
        is_trained = np.random.default_rng(seed).permutation(90) < 60
        found = whose_are_near(smooth(100, 7, 8.0), photographs, is_trained)
        assert found.outright_trained == found.outright_held_out == 0
        shown += found.trained is not None and found.trained > found.chance.high
    assert shown <= 2, "once in 40 times"


def test_nothing_near_says_nothing(photographs):
    found = whose_are_near(np.full((4, SIDE, SIDE, 3), 128, np.uint8), photographs, TRAINED)
    assert found.trained is None or 0 <= found.trained <= 1
    checks = np.indices((SIDE, SIDE)).sum(0)[None, :, :, None] // 4 % 2 * np.full((3, 1, 1, 3), 255)
    assert whose_are_near(checks.astype(np.uint8), photographs, TRAINED).near <= 1


def test_groups_stay_together_in_a_shuffle(photographs):
    """Of three groups one was held out: a share can only be 0, or that of one or both of the others."""
    groups = [f"film {n // 30}" for n in range(90)]
    rng = np.random.default_rng(1)
    noisy = photographs[rng.integers(0, 60, 200)] + rng.normal(0, 12, (200, SIDE, SIDE, 3))
    found = whose_are_near(np.clip(noisy, 0, 255).astype(np.uint8), photographs, TRAINED, groups)
    assert found.trained > 0.95
    assert found.chance.high == pytest.approx(found.trained), "as one of three deals gives"


def test_a_photograph_is_not_compared_with_itself(photographs):
    ratios, at = nearness(photographs, photographs, np.arange(90))
    assert (at != np.arange(90)).all()
    assert ratios.min() > 0.1


def near(trained, held_out, counts, groups=None) -> NearPhotographs:
    ids = [f"p{number}" for number in range(90)]
    return NearPhotographs(
        trained=[ids[at] for at in trained],
        held_out=[ids[at] for at in held_out],
        counts={ids[at]: count for at, count in counts.items()},
        groups=groups or {},
    )


COUNTS = {number: 1 + number % 5 for number in range(0, 90, 3)}
PARTS = [range(0, 30), range(30, 60), range(60, 90)]
SPLITS = [([at for at in range(90) if at not in part], part) for part in PARTS]
FOLDS = [near(*split, COUNTS) for split in SPLITS]


def deal_by_hand(runs: list[NearPhotographs], draws: int = 4000) -> np.ndarray:
    """Exchange the photographs of all runs by one permutation, and give the mean share of training ones."""
    rng, ids, found = np.random.default_rng(3), [f"p{number}" for number in range(90)], []
    for _ in range(draws):
        taken = dict(zip(ids, rng.permutation(ids).tolist(), strict=True))
        shares = [
            sum(count for item, count in run.counts.items() if taken[item] in run.trained) / sum(run.counts.values())
            for run in runs
        ]
        found.append(np.mean(shares))
    return np.array(found)


def test_one_run_has_the_chance_of_its_own_shuffle(photographs):
    rng = np.random.default_rng(1)
    noisy = photographs[rng.integers(0, 90, 60)] + rng.normal(0, 12, (60, SIDE, SIDE, 3))
    found = whose_are_near(np.clip(noisy, 0, 255).astype(np.uint8), photographs, TRAINED)
    counts = {at: int(count) for at, count in enumerate(found.counts_P) if count}
    told = chance_over([near(range(60), range(60, 90), counts)])
    assert (told.low, told.high) == pytest.approx((found.chance.low, found.chance.high), abs=0.02)


def test_runs_of_one_split_are_dealt_together_and_tell_no_more_than_one():
    one, thrice = chance_over(FOLDS[:1]), chance_over(FOLDS[:1] * 3)
    assert (one.low, one.high) == pytest.approx((thrice.low, thrice.high), abs=0.01)


def test_folds_are_dealt_by_one_permutation_of_the_photographs():
    """The mean of the ends of each fold's own interval is wider than the interval of the mean."""
    told, one = chance_over(FOLDS), chance_over(FOLDS[:1])
    assert told.high == pytest.approx(2 / 3), (
        "where every fold is as near to the same photographs, nothing is left open"
    )
    runs = [
        near(*split, {(at + fold) % 90: count for at, count in COUNTS.items()}) for fold, split in enumerate(SPLITS)
    ]
    told = chance_over(runs)
    low, high = np.quantile(deal_by_hand(runs), (0.025, 0.975))
    assert (told.low, told.high) == pytest.approx((low, high), abs=0.015)
    assert told.high < one.high - 0.02


def test_photographs_of_other_runs_alone_take_no_place_in_a_run():
    """A run whose photographs the other one does not have is dealt as if it were alone."""
    apart = [near(range(0, 20), range(20, 30), {0: 2, 1: 1, 25: 1}), near(range(40, 60), range(60, 90), {41: 5, 80: 1})]
    one, other = (chance_over([run]) for run in apart)
    both = chance_over(apart)
    assert one.high == 1
    assert both.low >= min(one.low, other.low)
    assert both.high <= (one.high + other.high) / 2


def test_groups_of_several_runs_stay_together():
    groups = {f"p{number}": f"film {number // 30}" for number in range(90)}
    runs = [run.model_copy(update={"groups": groups, "counts": {"p0": 3, "p40": 1}}) for run in FOLDS]
    assert chance_over(runs[:1]).high == 1, "both films are learnt from in one of three deals"
    assert chance_over(runs).high == pytest.approx(2 / 3)


def test_of_very_many_photographs_each_is_drawn_by_itself(monkeypatch):
    runs = [FOLDS[0], near(range(60), range(60, 90), dict.fromkeys(range(1, 80, 4), 2))]
    exact = chance_over(runs)
    monkeypatch.setattr("etude.metrics.copied._MOST_SHUFFLED", 10)
    drawn = chance_over(runs)
    assert (drawn.low, drawn.high) == pytest.approx((exact.low, exact.high), abs=0.05)
