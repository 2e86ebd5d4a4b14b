"""Whose photographs generated pictures lie near: copies are told from what is near to any photograph."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from etude.metrics.copied import whose_are_near
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


def test_copies_of_photographs_that_it_never_saw_are_within_chance(photographs):
    """What cannot be: were both parts copied alike, nothing was learnt by heart."""
    rng = np.random.default_rng(1)
    noisy = photographs[rng.integers(0, 90, 300)] + rng.normal(0, 12, (300, SIDE, SIDE, 3))
    found = whose_are_near(np.clip(noisy, 0, 255).astype(np.uint8), photographs, TRAINED)
    assert found.near > 0.95
    assert found.chance.low <= found.trained <= found.chance.high


def test_plain_shapes_are_not_taken_for_copies(photographs):
    shown = 0
    for seed in range(20):
        is_trained = np.random.default_rng(seed).permutation(90) < 60
        found = whose_are_near(smooth(100, 7, 8.0), photographs, is_trained)
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
