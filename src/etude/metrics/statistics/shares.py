"""What the choice of pictures leaves open of a share of them, also where it is none or all."""

from __future__ import annotations

import math

from etude.core.interval import Interval

_Z = 1.959963984540054


def wilson(share: float, n: int) -> Interval:
    """Return the 95 % interval of a share of n pictures (Wilson 1927).

    Of a mean of values from 0 to 1 it is on the safe side: a share spreads most.

    >>> interval = wilson(0.5, 100)
    >>> round(interval.low, 4), round(interval.high, 4)
    (0.4038, 0.5962)
    """
    middle = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * math.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2))
    # Of none or all the end is the share itself, but for rounding.
    return Interval(low=min(share, max(0.0, middle - half)), high=max(share, min(1.0, middle + half)))
