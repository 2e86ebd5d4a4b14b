"""Exact McNemar: two models on the same pictures, by what only one of them got right. Shapes: S studies, N pictures."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from etude.core.errors import DataError, sentence
from etude.metrics.registry import Doubles


def mcnemar_p_values(only_a_S: npt.ArrayLike, only_b_S: npt.ArrayLike) -> Doubles:
    """Exact two-sided p-values of McNemar's test, for many studies at once.

    Args:
        only_a_S: pictures that a alone got right.
        only_b_S: pictures that b alone got right.

    Returns:
        (S,): twice the binomial tail at one half, at most 1 (McNemar 1947, in its exact form).
    """
    from scipy.special import bdtr

    a, b = np.asarray(only_a_S, dtype=np.int64), np.asarray(only_b_S, dtype=np.int64)
    p_S: Doubles = np.minimum(1.0, 2 * bdtr(np.minimum(a, b).astype(np.float64), a + b, 0.5))
    return p_S


def mcnemar_exact(a_right_N: npt.ArrayLike, b_right_N: npt.ArrayLike) -> float:
    """Exact McNemar test: do two models differ in what they get right on the same pictures?

    Args:
        a_right_N: whether model a got each picture right.
        b_right_N: whether model b did.

    Returns:
        Two-sided p-value; 1 where they are right on the very same pictures.

    Raises:
        DataError: if the numbers differ, or there is no picture.

    >>> mcnemar_exact([True] * 8 + [False] * 2, [False] * 8 + [False, True])
    0.0390625
    """
    a, b = np.asarray(a_right_N).astype(bool), np.asarray(b_right_N).astype(bool)
    if a.shape != b.shape or a.ndim != 1 or a.size == 0:
        raise DataError(sentence("statistics", "paired pictures", "as many on both sides", (a.shape, b.shape)))
    return float(mcnemar_p_values(int((a & ~b).sum()), int((b & ~a).sum())))
