"""Looking while seeds come in, without paying for it in false alarms.

A t-test that is made again after each seed, stopping when it likes what it sees, is wrong far more often than it
says. Here the level is spread over all looks that could be made, from the first number of seeds to the most: at n
seeds the ordinary p-value is held against a level in proportion to n, and the factor is the one at which
'no difference' is rejected at any of the looks by 5 % of the studies in which there is none (group-sequential
testing with repeated intervals, Jennison & Turnbull 1989). The joint distribution of a study's t statistics depends on
neither mean nor deviation, so the factor is found by simulating it once. Because the statement holds at all looks
together, a study may stop for whatever reason: narrow enough, told apart, out of time, out of patience.

Shapes: S studies, L looks, n seeds.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from etude.core.errors import MistakeError, sentence
from etude.metrics.registry import Doubles
from etude.metrics.statistics.decisions import ALPHA, holm, verdict
from etude.metrics.statistics.runs import PairedTest, differences_of, finite_values, t_intervals, t_p_values

_SIMULATED_STUDIES = 100_000


@functools.lru_cache(maxsize=16)
def _least_ratios(first: int, most: int) -> Doubles:
    """Simulate studies without a difference; return the least ratio of p to n over each one's looks, sorted. (S,)."""
    from scipy.special import stdtr

    rng = np.random.default_rng(20_260_101)
    sum_S, squares_S = np.zeros(_SIMULATED_STUDIES), np.zeros(_SIMULATED_STUDIES)
    least_S = np.full(_SIMULATED_STUDIES, np.inf)
    for n in range(1, most + 1):
        difference_S = rng.standard_normal(_SIMULATED_STUDIES)
        sum_S += difference_S
        squares_S += difference_S**2
        if n >= first:
            variance_S = (squares_S - sum_S**2 / n) / (n - 1)
            p_S = 2 * stdtr(n - 1.0, -np.abs(sum_S) / np.sqrt(n * variance_S))
            np.minimum(least_S, p_S / n, out=least_S)
    least_S.sort()
    return least_S


def adjust_for_looks(p_S: Doubles | float, n: int, first: int, most: int) -> Doubles:
    """Turn ordinary p-values at n seeds into ones that allow for a look at every number of seeds from first to most.

    Args:
        p_S: two-sided p-values of the paired t-test.
        n: seeds so far.
        first: seeds at the first look.
        most: seeds at the last look that could be made.

    Returns:
        (S,): the share of studies without a difference that come to such a ratio of p to n at any look. Far
        in the tail, where simulated studies are few, at most the sum over the looks (Bonferroni).
    """
    ratio_S: Doubles = np.asarray(p_S, dtype=np.float64) / n
    least = _least_ratios(first, most)
    simulated_S = (np.searchsorted(least, ratio_S, side="right") + 1) / (len(least) + 1)
    bound_S = ratio_S * sum(range(first, most + 1))
    return np.where(np.isnan(ratio_S), np.nan, np.minimum(np.minimum(simulated_S, bound_S), 1.0))


def level_at(n: int, first: int, most: int, alpha: float = ALPHA) -> float:
    """Return the level at which the ordinary p-value of n seeds is held, so that all looks together err by alpha."""
    least = _least_ratios(first, most)
    return n * float(least[max(int(alpha * (len(least) + 1)) - 2, 0)])


def sequential_t(a: Sequence[float], b: Sequence[float], first: int, most: int, alpha: float = ALPHA) -> PairedTest:
    """Paired t-test over seeds that may have been looked at after every seed.

    Args:
        a: scores of one model, one a seed.
        b: scores of the other, in the same order of seeds.
        first: seeds at the first look, at least 2.
        most: the most seeds that could be added; what was planned, not what was reached.
        alpha: one minus the confidence of the interval.

    Returns:
        Gain of a over b. Its interval and p-value hold at all looks together. No interval and
        no p-value before the first look, nor where identical differences show no spread.

    Raises:
        DataError: if the numbers differ, there is no pair, or a score is not finite.
        MistakeError: if there are more pairs than `most`, or first and most are no plan.
    """
    _check_plan(first, most)
    values_a, values_b = finite_values(a, "scores"), finite_values(b, "scores")
    differences = differences_of(values_a, values_b)
    n, gain = len(differences), float(differences.mean())
    if n > most:
        remedy = "Name the most seeds before looking; then stay within it."
        raise MistakeError(sentence("statistics", "the number of seeds", f"at most {most}", n, remedy))
    sd = float(differences.std(ddof=1)) if n > 1 else None
    p = float(t_p_values(differences)) if n >= first else np.nan
    if np.isnan(p):
        return PairedTest(gain, None, None, None, n, sd)
    low, high = t_intervals(differences, 1 - level_at(n, first, most, alpha))
    return PairedTest(gain, float(low), float(high), float(adjust_for_looks(p, n, first, most)), n, sd)


def _check_plan(first: int, most: int) -> None:
    if not 2 <= first <= most:
        remedy = "Two seeds are the fewest that show a spread."
        raise MistakeError(sentence("statistics", "first and most", "2 ≤ first ≤ most", (first, most), remedy))


@dataclass(frozen=True)
class Look:
    """What a look at the seeds so far says."""

    stop: bool
    """Whether no further seed is needed or allowed."""
    reason: Literal["told apart or narrow enough", "no seed left", "go on"]
    """Why it stops, or that it does not."""
    tests: dict[str, PairedTest]
    """The test of each comparison, valid whether the study stops here or not."""
    p_adjusted: dict[str, float | None]
    """The p-values after Holm's correction over the comparisons."""


@dataclass(frozen=True)
class AutoSeeds:
    """The rule of `seeds: auto`: add seeds until every comparison is told apart or narrow, or none is left.

    The error is kept at alpha over all looks and comparisons together; a budget in time may cut it short at any seed.
    """

    first: int = 3
    """Seeds before the first look, at least 2."""
    most: int = 20
    """The most seeds, fixed before the first look: the level is spread over all of them."""
    half_width: float | None = None
    """Half the width that is narrow enough, in the metric's unit; none: on until a verdict or the last seed."""
    alpha: float = ALPHA
    """Level."""

    def __post_init__(self) -> None:
        _check_plan(self.first, self.most)

    def level_at(self, n: int) -> float:
        """Return the level at which the ordinary p-value of n seeds is held."""
        return level_at(n, self.first, self.most, self.alpha)

    def look(self, pairs: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> Look:
        """Look at the comparisons after the seeds so far.

        Args:
            pairs: for each comparison the scores of the candidate and of the baseline, in the same order of seeds.
        """
        tests = {name: sequential_t(a, b, self.first, self.most, self.alpha) for name, (a, b) in pairs.items()}
        adjusted = dict(zip(tests, holm([test.p for test in tests.values()]), strict=True))
        if all(self._told(test, adjusted[name]) for name, test in tests.items()):
            return Look(True, "told apart or narrow enough", tests, adjusted)
        if max(test.n_pairs for test in tests.values()) >= self.most:
            return Look(True, "no seed left", tests, adjusted)
        return Look(False, "go on", tests, adjusted)

    def _told(self, test: PairedTest, p_adjusted: float | None) -> bool:
        if test.n_pairs < self.first:
            return False
        if test.low is None or test.high is None:  # identical differences: more of the same show nothing new
            return True
        narrow = self.half_width is not None and (test.high - test.low) / 2 <= self.half_width
        return narrow or verdict(test.gain, p_adjusted, self.alpha) != "no difference shown"
