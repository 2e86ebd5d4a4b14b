"""Texts are numbered as numpy numbers them, and without its quicksort of strings."""

from __future__ import annotations

import numpy as np
import pytest

from etude.core.texts import count_distinct, number_texts


def two_runs(dtype: object) -> np.ndarray:
    """Two ascending runs, as the ids of two folds: numpy 2.4 ends the process on them."""
    return np.array([f"train/{i:05d}" for first in (0, 1) for i in range(first, 600, 2)], dtype=dtype)


@pytest.mark.parametrize("dtype", [np.dtypes.StringDType(), np.dtype("U11")])
def test_they_are_numbered_in_their_order(dtype):
    texts = np.concatenate([two_runs(dtype), two_runs(dtype)[:7]])
    names, numbers = number_texts(texts)
    assert names.tolist() == sorted(set(texts.tolist()))
    assert names.dtype == texts.dtype
    assert names[numbers].tolist() == texts.tolist()
    expected, inverse = np.unique(texts.astype("U11"), return_inverse=True)
    assert (names.tolist(), numbers.tolist()) == (expected.tolist(), inverse.tolist())


def test_none_is_left_out_of_the_count():
    assert count_distinct(np.array(["a", "b", "a"], dtype=np.dtypes.StringDType())) == 2
    assert count_distinct(np.array([], dtype=np.dtypes.StringDType())) == 0
