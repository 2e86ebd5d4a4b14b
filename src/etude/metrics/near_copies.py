"""How many generated pictures are near copies, beside what photographs that nobody copied would show.

All is by ranks: whatever way nearness is distributed, fresh photographs come to the same shares. Two limits are looked
at. The nearness of 1 photograph in 20 sees a generator all of whose pictures keep somewhat too near. That of the
nearest photograph sees one that copies a few outright while its others are further away than photographs are, as those
of young generators mostly are.

Shapes: N held-out photographs, M generated pictures, S draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from etude.core.interval import Interval
from etude.metrics.registry import Doubles, Floats

NEAR_SHARE: Final = 0.05
"""Share of photographs that are near copies of training pictures, by which 'near' is defined."""
_DRAWS: Final = 20_000


def near_share(
    generated_M: Floats, real_N: Floats, weights_N: Floats | None = None, limit: float = NEAR_SHARE
) -> float:
    """Return the share of the generated pictures that are nearer to a training picture than 19 of 20 photographs.

    In 0..1; of fresh photographs it is 0.05 on average. Of N photographs in the order of their nearness, a fresh one is
    nearer than the j-th with chance j / (N + 1): the shares below the two photographs about the rank 0.05 (N + 1) are
    averaged. With fewer than 19 photographs the limit is the nearest, and the average 1 / (N + 1).

    Args:
        generated_M: nearness of the generated pictures (`metrics.copies`).
        real_N: the same of the photographs.
        weights_N: how often each photograph counts; once where none are given.
        limit: share of the photographs that are as near; 0: none is, and fresh ones show 1 / (N + 1) on average.
    """
    counts_N = np.ones(len(real_N), np.int64) if weights_N is None else weights_N.astype(np.int64)
    ordered = np.sort(np.repeat(real_N, counts_N))
    rank, further = _ranks(len(ordered), limit)
    below = [(generated_M < ordered[at - 1]).mean() for at in (rank, min(rank + 1, len(ordered)))]
    return float((1 - further) * below[0] + further * below[1])


def near_limit(real_N: Floats) -> float:
    """Return the nearness under which 1 of 20 photographs lie: that at the rank 0.05 (N + 1)."""
    return float(np.quantile(real_N, NEAR_SHARE, method="weibull"))


def shares_of_photographs(
    counts: Sequence[tuple[int, Sequence[int]]], seed: int = 0, limit: float = NEAR_SHARE
) -> Interval:
    """Return between what ends the mean near share of several runs lies in 95 of 100 draws, where nothing is copied.

    Each run's pictures are then as if they were fresh photographs: their nearness comes from where that of the held-out
    ones does, and their ranks among these hang on numbers alone. More than the upper end happens once in 40 times. This
    is the precedence test, of Nelson 1963, Technometrics 5(4).

    Args:
        counts: for each part that was held out, its number of photographs, and the number of generated pictures of each
            run that is set beside it.
        seed: of the draws.
        limit: as for `near_share`.
    """
    rng = np.random.default_rng(seed)
    sum_S, runs = np.zeros(_DRAWS), 0
    for photographs, generated in counts:
        rank, further = _ranks(photographs, limit)
        last = min(rank + 1, photographs)
        # Uniform order statistics: of ranks, no distribution is more general.
        upper_S = rng.beta(last, photographs + 1 - last, _DRAWS)
        lower_S = upper_S * rng.beta(rank, 1, _DRAWS) if rank < last else upper_S
        for pictures in generated:
            below_S = rng.binomial(pictures, lower_S)
            between_S = rng.binomial(pictures - below_S, np.where(upper_S < 1, (upper_S - lower_S) / (1 - lower_S), 0))
            sum_S += (below_S + further * between_S) / pictures
            runs += 1
    low, high = np.quantile(sum_S / runs, (0.025, 0.975), method="inverted_cdf")
    return Interval(low=float(low), high=float(high))


def near_shares(generated_M: Floats, real_N: Floats, weights_RN: Doubles, limit: float = NEAR_SHARE) -> Doubles:
    """Return the near share (R,) under each row of weights of the photographs."""
    return np.array([near_share(generated_M, real_N, weights_N, limit) for weights_N in weights_RN])


def _ranks(photographs: int, limit: float) -> tuple[int, float]:
    """Return the rank of the limit, from 1, and how far from there to the next it is."""
    exact = limit * (photographs + 1)
    return (1, 0.0) if exact < 1 else (int(exact), exact - int(exact))
