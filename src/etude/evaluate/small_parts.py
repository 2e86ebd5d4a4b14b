"""What a small test part leaves unseen."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from etude.metrics.statistics import ALPHA

FEW_PICTURES: Final = 200
"""A test part below this is told to be small: not even a gain of six pictures for none lost is below 3 points."""


@dataclass(frozen=True)
class LeastSeen:
    """The smallest difference between two runs that a test part can show."""

    pictures: int
    """Pictures that one alone gets right, while the other alone gets none right."""
    share: float
    """The same over all pictures: a difference in accuracy, 0 to 1."""


def least_seen(n_pictures: int, n_comparisons: int = 1, alpha: float = ALPHA) -> LeastSeen | None:
    """Return the smallest difference in accuracy that the exact McNemar test of two runs could show at all.

    Args:
        n_pictures: size of the test part.
        n_comparisons: comparisons that are corrected for; this one is the first that Holm looks at.
        alpha: level.

    Returns:
        The difference; none where even all pictures would not do.

    >>> least_seen(100)
    LeastSeen(pictures=6, share=0.06)
    """
    needed = math.ceil(math.log2(2 * n_comparisons / alpha))  # the p-value of k to none is 2 / 2**k
    return LeastSeen(needed, needed / n_pictures) if needed <= n_pictures else None
