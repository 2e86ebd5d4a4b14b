"""Which pictures are drawn anew, and what a statistic of them then says: one way for every interval over pictures.

Single pictures are drawn by the bootstrap, dependent ones as `etude.metrics.statistics.dependent` says. A measure that
pictures drawn twice would distort is taken without each group of pictures in turn (`jackknife`). Of 2 to 7 groups, such
as three cities, both are done, and the wider interval is told: blocks know nothing of how groups differ, and so few
groups left out in turn may happen to agree.

Shapes: N pictures, R replicates, G groups left out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np

from etude.core.interval import Interval
from etude.metrics.registry import Doubles, Integers
from etude.metrics.statistics.bootstrap import bootstrap_p, percentile_interval, resampling_weights
from etude.metrics.statistics.dependent import Dependence, block_length, dependence_of, dependent_weights
from etude.metrics.statistics.jackknife import jackknife_interval, jackknife_p, jackknife_weights

REPLICATES = 2_000
"""Of single pictures, for metrics that are no mean over pictures; means take the bootstrap's own number."""
REPLICATES_OF_DEPENDENT = 5_000
"""More than of single pictures: the tails that are read lie further out."""
_MOST_UNKNOWN = 0.05
"""With a larger share of replicates in which the statistic does not exist, what is left is of chosen pictures."""
_FEW_BEYOND = 10
"""With fewer replicates beyond zero their number says how many were drawn, and not how far away zero is."""

Statistic = Callable[[Doubles], Doubles]
"""Weights (r, N) of the pictures to values (r,), NaN where the statistic does not exist."""


@dataclass(frozen=True, eq=False)
class Redrawn:
    """A statistic of pictures that were drawn anew."""

    dependence: Dependence
    """How the bootstrap drew."""
    bootstrapped_R: Doubles | None = None
    """Its values by the bootstrap; none where that was not done."""
    without_G: Doubles | None = None
    """Its values without each group in turn; none where that was not done."""

    def over(self, other: Self) -> Self:
        """Return this divided by another statistic of the same draws.

        Where that is not above 0 a ratio of the bootstrap is infinite, as it has grown beyond all others: to leave such
        draws out would lower the upper end of the interval. One of the jackknife is NaN.
        """
        return replace(
            self,
            bootstrapped_R=_divide(self.bootstrapped_R, other.bootstrapped_R, math.inf),
            without_G=_divide(self.without_G, other.without_G, math.nan),
        )

    @classmethod
    def of_repeats(cls, repeats: Sequence[Self], seed: int = 0) -> Self:
        """Return the mean of something that was done several times, of which as many are drawn anew with the pictures.

        Args:
            repeats: the statistic of each, of the same draws.
            seed: the same seed draws the same repeats.
        """
        bootstrapped = [one.bootstrapped_R for one in repeats if one.bootstrapped_R is not None]
        without = [one.without_G for one in repeats if one.without_G is not None]
        bootstrapped_R = None
        if bootstrapped:
            values_RS = np.stack(bootstrapped, 1)
            drawn_RS = np.random.default_rng(seed).integers(0, len(bootstrapped), values_RS.shape)
            bootstrapped_R = np.take_along_axis(values_RS, drawn_RS, 1).mean(1)
        return cls(repeats[0].dependence, bootstrapped_R, np.mean(without, 0) if without else None)

    def interval(self, value: float, low: float = -math.inf, high: float = math.inf) -> Interval | None:
        """95 % interval of the statistic; none where nothing was drawn or what was drawn says nothing.

        Args:
            value: the statistic of the pictures as they are.
            low: no value lies below.
            high: no value lies above.
        """
        found = [one for one in (self._by_bootstrap(), self._by_jackknife(value)) if one is not None]
        if not found:
            return None
        ends = min(one.low for one in found), max(one.high for one in found)
        return Interval(low=max(ends[0], low), high=min(ends[1], high))

    def p(self, value: float) -> float | None:
        """Two-sided p-value of 'the statistic, a difference, is zero'; none where `interval` gives none."""
        found = []
        if self._by_bootstrap() is not None:
            assert self.bootstrapped_R is not None
            p = _p_beyond_zero(value, self.bootstrapped_R)
            found.append(p if self.dependence.unit == "pictures" else self.dependence.expand_p(p))
        if self._by_jackknife(value) is not None:
            assert self.without_G is not None
            found.append(jackknife_p(value, self.without_G))
        return max(found, default=None)

    def _by_bootstrap(self) -> Interval | None:
        drawn_R = self.bootstrapped_R
        if drawn_R is None or np.isnan(drawn_R).mean() > _MOST_UNKNOWN:
            return None
        single = self.dependence.unit == "pictures"
        return percentile_interval(drawn_R, 0.95 if single else 1 - 2 * self.dependence.expand_tail(0.025))

    def _by_jackknife(self, value: float) -> Interval | None:
        return None if self.without_G is None else jackknife_interval(value, self.without_G)


@dataclass(frozen=True, eq=False)
class Redrawing:
    """How the pictures of a part are drawn anew."""

    n_pictures: int
    """N."""
    resampling: Literal["bootstrap", "jackknife", "none"] = "bootstrap"
    """What the statistic allows (`etude.metrics.generation.FeatureMetric.resampling`)."""
    groups_N: Integers | None = None
    """Number of the group of each picture, those of a group in the order in which they were taken; none where no two
    pictures are of one group."""

    @property
    def dependence(self) -> Dependence:
        """What the bootstrap draws."""
        return dependence_of(np.arange(self.n_pictures) if self.groups_N is None else self.groups_N)

    @property
    def few_groups(self) -> bool:
        """Whether the pictures are of several groups, but too few to be drawn whole."""
        return self.groups_N is not None and self.dependence.unit == "blocks" and self._n_groups > 1

    def draw(self, statistic: Statistic, seed: int = 0) -> Redrawn:
        """Compute a statistic of the pictures drawn anew; the same seed draws the same pictures."""
        dependence = self.dependence
        bootstrapped_R = without_G = None
        if self.resampling == "bootstrap":
            if self.groups_N is None:
                drawn = resampling_weights(self.n_pictures, REPLICATES, seed)
            else:
                drawn = dependent_weights(self.groups_N, REPLICATES_OF_DEPENDENT, seed)
            bootstrapped_R = np.concatenate([statistic(weights_RN) for weights_RN in drawn])
        if self.resampling == "jackknife" or (self.resampling == "bootstrap" and self.few_groups):
            without_G = statistic(jackknife_weights(self._units(), seed))
        return Redrawn(dependence, bootstrapped_R, without_G)

    @property
    def _n_groups(self) -> int:
        return self.n_pictures if self.groups_N is None else len(np.unique(self.groups_N))

    def _units(self) -> Integers:
        """Return which pictures the jackknife leaves out together: of a group, or of a block where there is but one."""
        if self.groups_N is None:
            return np.arange(self.n_pictures)
        if self._n_groups > 1:
            return self.groups_N
        return np.arange(self.n_pictures) // block_length(self.n_pictures, self.n_pictures)


def _p_beyond_zero(value: float, drawn_R: Doubles) -> float:
    """Return twice the share of replicates beyond zero; where they are few, by a normal tail of their deviation.

    Of five blocks and 5,000 replicates the share alone would never give less than 0.034, however large the gain.
    """
    p = bootstrap_p(drawn_R)
    if p * (len(drawn_R) + 1) / 2 > _FEW_BEYOND:
        return p
    deviation = float(np.nanstd(drawn_R, ddof=1))
    return min(p, math.erfc(abs(value) / deviation / math.sqrt(2))) if deviation > 0 else p


def _divide(values: Doubles | None, by: Doubles | None, without: float) -> Doubles | None:
    if values is None or by is None:
        return None
    ratios = np.divide(values, by, out=np.full_like(values, without), where=by > 0)
    ratios[np.isnan(values) | np.isnan(by)] = np.nan
    return ratios
