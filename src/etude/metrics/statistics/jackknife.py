"""What the choice of pictures leaves open of a measure that pictures drawn twice would distort: the jackknife.

A bootstrap draws a third of the pictures more than once. A distance of distributions grows by that, a neighbourhood
shrinks to nothing, and the percentile interval lies beside the value. Here each group of pictures is left out once.

Shapes: N pictures, G groups.
"""

from __future__ import annotations

import numpy as np

from etude.core.interval import Interval
from etude.metrics.registry import Doubles
from etude.metrics.statistics.runs import t_interval

GROUPS = 100
"""At most: each picture's own group where there are fewer."""


def jackknife_weights(n_pictures: int, seed: int = 0, groups: int = GROUPS) -> Doubles:
    """Return weights (G, N) of the pictures, 0 or 1: each row leaves one group out, and every picture is in one."""
    number = min(n_pictures, groups)
    group_N = np.arange(n_pictures) % number
    if number < n_pictures:
        np.random.default_rng(seed).shuffle(group_N)
    weights: Doubles = (group_N != np.arange(number)[:, None]).astype(np.float64)
    return weights


def jackknife_interval(value: float, without_G: Doubles) -> Interval | None:
    """95 % interval about a value, from the values without each group; none where they show no spread.

    It is of what as many pictures give on average: a bias that comes of their number is in it, as it is in the value.
    Source: Efron and Stein 1981, The Annals of Statistics 9(3); Student's t with G - 1 degrees of freedom.
    """
    groups = len(without_G)
    if groups < 2 or not np.isfinite(without_G).all():
        return None
    found = t_interval((groups * value - (groups - 1) * without_G).tolist())
    if found is None or found.high <= found.low:
        return None
    half = (found.high - found.low) / 2
    return Interval(low=value - half, high=value + half)
