"""What the choice of pictures leaves open of a measure that pictures drawn twice would distort: the jackknife.

A bootstrap draws a third of the pictures more than once. A distance of distributions grows by that, a neighbourhood
shrinks to nothing, and the percentile interval lies beside the value. Here each group of pictures is left out once.

Shapes: N pictures, G groups.
"""

from __future__ import annotations

import numpy as np

from etude.core.interval import Interval
from etude.metrics.registry import Doubles, Integers
from etude.metrics.statistics.runs import ROUNDING

GROUPS = 100
"""At most: each picture's own group where there are fewer."""


def jackknife_weights(units_N: Integers, seed: int = 0, most: int = GROUPS) -> Doubles:
    """Return weights (G, N) of the pictures, 0 or 1: each row leaves one group out, and every picture is in one.

    Args:
        units_N: number of the unit of each picture: those of one are left out together.
        seed: which units share a group, where there are more than `most`.
        most: largest G.
    """
    units_U, unit_N = np.unique(units_N, return_inverse=True)
    number = min(len(units_U), most)
    group_U = np.arange(len(units_U)) % number
    if number < len(units_U):
        np.random.default_rng(seed).shuffle(group_U)
    weights: Doubles = (group_U[unit_N] != np.arange(number)[:, None]).astype(np.float64)
    return weights


def jackknife_interval(value: float, without_G: Doubles) -> Interval | None:
    """95 % interval about a value, from the values without each group; none where they show no spread.

    It is of what as many pictures give on average: a bias that comes of their number is in it, as it is in the value.
    Source: Efron and Stein 1981, The Annals of Statistics 9(3); Student's t with G - 1 degrees of freedom.
    """
    from scipy.special import stdtrit

    error = _standard_error(without_G)
    if error == 0:
        return None
    half = float(error * stdtrit(len(without_G) - 1.0, 0.975))
    return Interval(low=value - half, high=value + half)


def jackknife_p(value: float, without_G: Doubles) -> float:
    """Two-sided p-value of 'the value, a difference, is zero' that fits the interval; 1 where there is no spread."""
    from scipy.special import stdtr

    error = _standard_error(without_G)
    return 1.0 if error == 0 else float(2 * stdtr(len(without_G) - 1.0, -abs(value) / error))


def _standard_error(without_G: Doubles) -> float:
    """Return the jackknife's standard error; 0 where there is no spread but rounding, or a value does not exist."""
    groups = len(without_G)
    if groups < 2 or not np.isfinite(without_G).all():
        return 0.0
    spread = float(without_G.std())
    return 0.0 if spread <= ROUNDING * np.abs(without_G).max() else spread * (groups - 1) ** 0.5
