"""What the drawing of seeds and folds leaves open: t-intervals and paired t-tests.

Shapes: S studies, n runs or pairs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from etude.core.errors import DataError, sentence
from etude.core.interval import Interval
from etude.metrics.registry import Doubles

ROUNDING = 1e-12
"""Spread below this share of the values is rounding, not spread."""


@dataclass(frozen=True)
class PairedTest:
    """One paired comparison over runs."""

    gain: float
    """Mean of a minus b."""
    low: float | None
    """Lower end of the interval of the gain; none where no spread can be seen."""
    high: float | None
    """Upper end."""
    p: float | None
    """Two-sided p-value of no difference; none where no spread can be seen."""
    n_pairs: int
    """Pairs."""
    sd: float | None
    """Standard deviation of the differences (n - 1); none with one pair."""


def finite_values(values: npt.ArrayLike, name: str) -> Doubles:
    """Return numbers as float64 (n,).

    Raises:
        DataError: if there is none, or one is NaN or infinite.
    """
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != 1 or array.size == 0:
        raise DataError(sentence("statistics", f"the shape of {name}", "(n,) with n at least 1", array.shape))
    if not np.isfinite(array).all():
        where = int(np.flatnonzero(~np.isfinite(array))[0])
        remedy = f"Number {where} is not: leave that run out, or find out why its score does not exist."
        raise DataError(sentence("statistics", name, "finite", float(array[where]), remedy))
    return array


def _moments(values_Sn: npt.ArrayLike, test_to_train: float) -> tuple[Doubles, Doubles, int]:
    """Mean and standard error over the last axis, and n; an error of zero where the spread is only rounding."""
    values: Doubles = np.asarray(values_Sn, dtype=np.float64)
    n = values.shape[-1]
    mean_S = values.mean(axis=-1)
    sd_S = values.std(axis=-1, ddof=1)
    sd_S = np.where(sd_S <= ROUNDING * np.abs(values).max(axis=-1), 0.0, sd_S)
    return mean_S, sd_S * np.sqrt(1 / n + test_to_train), n


def t_intervals(
    values_Sn: npt.ArrayLike, confidence: float = 0.95, test_to_train: float = 0.0
) -> tuple[Doubles, Doubles]:
    """Student's interval of the mean, for many studies at once.

    Args:
        values_Sn: n at least 2 along the last axis.
        confidence: share of the studies whose interval holds the true mean.
        test_to_train: for folds, the size of the test part over that of the training part: runs that share training
            pictures agree more than independent ones, and the interval widens (Nadeau & Bengio 2003). 0 for seeds.

    Returns:
        Lower and upper ends, each (S,).
    """
    from scipy.special import stdtrit

    mean_S, error_S, n = _moments(values_Sn, test_to_train)
    half_S = error_S * stdtrit(n - 1.0, (1 + confidence) / 2)
    return mean_S - half_S, mean_S + half_S


def t_p_values(differences_Sn: npt.ArrayLike, test_to_train: float = 0.0) -> Doubles:
    """Two-sided p-values of 'the mean is zero', for many studies at once. Arguments as for `t_intervals`.

    Returns:
        (S,). 1 where all differences are zero; NaN where they are identical and not zero: without
        spread there is nothing to hold the gain against.
    """
    from scipy.special import stdtr

    mean_S, error_S, n = _moments(differences_Sn, test_to_train)
    with np.errstate(divide="ignore", invalid="ignore"):
        p_S: Doubles = np.asarray(2 * stdtr(n - 1.0, -np.abs(mean_S) / error_S), dtype=np.float64)
    without_spread_S = np.where(mean_S == 0, 1.0, np.nan)
    return np.where(error_S > 0, p_S, without_spread_S)


def t_interval(scores: Sequence[float], confidence: float = 0.95, test_to_train: float = 0.0) -> Interval | None:
    """Interval of the mean score over runs.

    Args:
        scores: one a run.
        confidence: as for `t_intervals`.
        test_to_train: as for `t_intervals`; 0 for seeds.

    Returns:
        The interval; none with one run. Runs that all gave the same give an interval without width.

    Raises:
        DataError: if there is no score, or one is not finite.

    >>> interval = t_interval([0.80, 0.82, 0.84])
    >>> round(interval.low, 4), round(interval.high, 4)
    (0.7703, 0.8697)
    """
    values = finite_values(scores, "scores")
    if len(values) == 1:
        return None
    low, high = t_intervals(values, confidence, test_to_train)
    return Interval(low=float(low), high=float(high))


def paired_t(a: Sequence[float], b: Sequence[float], confidence: float = 0.95) -> PairedTest:
    """Paired t-test over seeds: the same seed gave a and b.

    Args:
        a: scores of one model, one a seed.
        b: scores of the other, in the same order of seeds.
        confidence: of the interval of the gain.

    Returns:
        Gain of a over b. With one pair, or with identical differences that are not zero, there is no
        interval and no p-value: nothing in the runs says how much they vary.

    Raises:
        DataError: if there is no pair, the numbers differ, or a score is not finite.
    """
    return _paired(a, b, confidence, test_to_train=0.0)


def corrected_resampled_t(
    a: Sequence[float], b: Sequence[float], n_train: float, n_test: float, confidence: float = 0.95
) -> PairedTest:
    """Paired t-test over folds or random splits, corrected for the training pictures that they share.

    The variance of the mean is s² (1/n + n_test/n_train) in place of s²/n (Nadeau & Bengio 2003, 'Inference for
    the generalization error', equation 9; for repeated folds Bouckaert & Frank 2004).

    Args:
        a: scores of one model, one a fold.
        b: scores of the other, on the same folds.
        n_train: pictures in the training part of a fold.
        n_test: pictures in its test part.
        confidence: of the interval of the gain.

    Returns:
        As for `paired_t`.

    Raises:
        DataError: as for `paired_t`, or if a part has no picture.
    """
    if n_train <= 0 or n_test <= 0:
        raise DataError(sentence("statistics", "n_train and n_test", "positive", (n_train, n_test)))
    return _paired(a, b, confidence, test_to_train=n_test / n_train)


def _paired(a: Sequence[float], b: Sequence[float], confidence: float, test_to_train: float) -> PairedTest:
    first, second = finite_values(a, "scores"), finite_values(b, "scores")
    differences = differences_of(first, second)
    n, gain = len(differences), float(differences.mean())
    if n == 1:
        return PairedTest(gain, None, None, None, 1, None)
    sd = float(differences.std(ddof=1))
    p = float(t_p_values(differences, test_to_train))
    if np.isnan(p):
        return PairedTest(gain, None, None, None, n, sd)
    low, high = t_intervals(differences, confidence, test_to_train)
    return PairedTest(gain, float(low), float(high), p, n, sd)


def differences_of(a: Doubles, b: Doubles) -> Doubles:
    """Return a - b, exactly zero where they differ by rounding only, and identical where all do.

    Raises:
        DataError: if the numbers of scores differ.
    """
    if len(a) != len(b):
        remedy = "Pair runs of the same seed and fold."
        raise DataError(sentence("statistics", "paired scores", "as many on both sides", (len(a), len(b)), remedy))
    differences: Doubles = a - b
    scale = float(max(np.abs(a).max(), np.abs(b).max()))
    differences[np.abs(differences) <= ROUNDING * scale] = 0.0
    if np.ptp(differences) <= ROUNDING * scale:
        differences[:] = differences[0]
    return differences
