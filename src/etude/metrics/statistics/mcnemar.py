"""Exact McNemar: two models on the same pictures, by what only one of them got right. Shapes: S studies, N pictures."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from etude.core.errors import DataError, sentence
from etude.core.interval import Interval
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
    only_a, only_b, _ = _count(a_right_N, b_right_N)
    return float(mcnemar_p_values(only_a, only_b))


def mcnemar_interval(a_right_N: npt.ArrayLike, b_right_N: npt.ArrayLike, confidence: float = 0.95) -> Interval:
    """Gains in accuracy that the exact McNemar test leaves open, given on how many pictures the models differ.

    Of these pictures a share goes to a: its exact interval (Clopper & Pearson 1934) is turned into a gain. It leaves
    zero out exactly where `mcnemar_exact` is at most 1 - confidence. That other pictures would have had more or fewer
    on which the models differ is not in it: it stands beside the bootstrap's interval, not in its place.

    Args:
        a_right_N: whether model a got each picture right.
        b_right_N: whether model b did.
        confidence: as for `t_intervals`.

    Returns:
        Interval of the share that a gets right minus that of b, -1 to 1; without width where they never differ.

    Raises:
        DataError: as for `mcnemar_exact`.

    >>> interval = mcnemar_interval([True] * 8 + [False] * 2, [False] * 9 + [True])
    >>> round(interval.low, 4), round(interval.high, 4)
    (0.0315, 0.8949)
    """
    from scipy.special import betaincinv

    only_a, only_b, n_pictures = _count(a_right_N, b_right_N)
    n_differ, tail = only_a + only_b, (1 - confidence) / 2
    low = float(betaincinv(only_a, only_b + 1, tail)) if only_a else 0.0
    high = float(betaincinv(only_a + 1, only_b, 1 - tail)) if only_b else 1.0
    return Interval(low=(2 * low - 1) * n_differ / n_pictures, high=(2 * high - 1) * n_differ / n_pictures)


def _count(a_right_N: npt.ArrayLike, b_right_N: npt.ArrayLike) -> tuple[int, int, int]:
    """Count the pictures that a alone got right, those that b alone did, and all."""
    a, b = np.asarray(a_right_N).astype(bool), np.asarray(b_right_N).astype(bool)
    if a.shape != b.shape or a.ndim != 1 or a.size == 0:
        raise DataError(sentence("statistics", "paired pictures", "as many on both sides", (a.shape, b.shape)))
    return int((a & ~b).sum()), int((b & ~a).sum()), len(a)
