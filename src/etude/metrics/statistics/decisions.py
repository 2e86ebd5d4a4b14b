"""From p-values to words: Holm's correction, the verdict, and what so many runs could have shown."""

from __future__ import annotations

import math
from collections.abc import Sequence

from etude.core.errors import DataError, sentence
from etude.core.study_record import VerdictWord

ALPHA = 0.05
POWER = 0.8


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Correct p-values for being several (Holm 1979): any false alarm among them stays below the level.

    Args:
        p_values: one a comparison; none where a comparison gave none, which does not count.

    Returns:
        Adjusted p-values in the same order, at most 1.

    Raises:
        DataError: if one is not in 0..1.

    >>> holm([0.01, None, 0.04])
    [0.02, None, 0.04]
    """
    known = [(p, position) for position, p in enumerate(p_values) if p is not None]
    adjusted: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, position) in enumerate(sorted(known)):
        if not 0 <= p <= 1:
            raise DataError(sentence("statistics", "p-values", "in 0..1", p))
        largest = max(largest, min(1.0, (len(known) - rank) * p))
        adjusted[position] = largest
    return adjusted


def verdict(gain: float, p_adjusted: float | None, alpha: float = ALPHA) -> VerdictWord:
    """Say what the evidence allows.

    Args:
        gain: signed so that more is better.
        p_adjusted: after correction; none where no test was possible.
        alpha: level.

    >>> verdict(0.02, 0.01), verdict(-0.02, 0.01), verdict(0.02, 0.2), verdict(0.02, None)
    ('better', 'worse', 'no difference shown', 'no difference shown')
    """
    if p_adjusted is None or p_adjusted > alpha or gain == 0:
        return "no difference shown"
    return "better" if gain > 0 else "worse"


def smallest_detectable(
    sd_of_differences: float, n: int, alpha: float = ALPHA, power: float = POWER, test_to_train: float = 0.0
) -> float | None:
    """The smallest true gain that a paired t-test would show with the given power.

    Exact, by the noncentral t distribution, for differences that vary normally with this deviation.

    Args:
        sd_of_differences: standard deviation of the paired differences.
        n: pairs.
        alpha: two-sided level; divide it by the number of comparisons that are corrected for.
        power: chance to show it.
        test_to_train: for folds, as in `t_intervals`.

    Returns:
        In the unit of the deviation; none with one pair or without spread.

    >>> round(smallest_detectable(1.0, 10), 3)
    0.996
    """
    if n < 2 or not sd_of_differences > 0:
        return None
    return sd_of_differences * math.sqrt(1 / n + test_to_train) * _noncentrality(n - 1, alpha, power)


def standard_errors(n: int, confidence: float = 0.95) -> float:
    """Return how many standard errors of a mean of n values half its t interval has; infinite of one value.

    >>> round(standard_errors(5), 3), round(standard_errors(1000), 3)
    (2.776, 1.962)
    """
    from scipy.special import stdtrit

    return float(stdtrit(n - 1.0, (1 + confidence) / 2)) if n > 1 else math.inf


def _noncentrality(degrees: int, alpha: float, power: float) -> float:
    """Solve for the noncentrality at which a two-sided t-test has the power, by bisection.

    The tail on the wrong side is left out: at any useful power it is below 1e-4.
    """
    from scipy.special import nctdtr, stdtrit

    critical = float(stdtrit(float(degrees), 1 - alpha / 2))
    low, high = 0.0, 10 * critical + 10
    for _ in range(60):
        middle = (low + high) / 2
        if 1 - nctdtr(float(degrees), middle, critical) < power:
            low = middle
        else:
            high = middle
    return (low + high) / 2
