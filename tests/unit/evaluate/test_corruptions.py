"""Corruptions: the same each time, of the same shape, and stronger with the severity."""

from __future__ import annotations

import numpy as np
import pytest

from etude.core.errors import MistakeError
from etude.evaluate.corruptions import CORRUPTIONS, SEVERITIES, corrupt


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    """Three smooth pictures with an edge."""
    rows, columns = np.mgrid[0:40, 0:56] / 40
    drawn = [np.stack([rows * 150 + 40, columns * 120 + 30, (rows > 0.5) * 200.0 + 20], 2) for _ in range(3)]
    return np.array(drawn).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", list(CORRUPTIONS))
def test_the_stronger_the_farther_from_the_picture(pictures, name):
    before = pictures.copy()
    found = [corrupt(pictures, name, severity) for severity in SEVERITIES]
    distances = [np.abs(worse.astype(float) - pictures).mean() for worse in found]
    assert all(worse.shape == pictures.shape and worse.dtype == np.uint8 for worse in found)
    assert distances[0] > 0
    assert distances == sorted(distances)
    assert (pictures == before).all()
    np.testing.assert_array_equal(found[2], corrupt(pictures, name, 3))


def test_each_picture_has_noise_of_its_own(pictures):
    worse = corrupt(pictures, "noise", 3).astype(int) - pictures
    assert (worse[0] != worse[1]).mean() > 0.5


def test_an_unknown_name_is_a_sentence(pictures):
    with pytest.raises(MistakeError, match=r"corruption: unknown name 'nois'\. Did you mean 'noise'"):
        corrupt(pictures, "nois", 1)
