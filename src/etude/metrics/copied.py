"""Whose photographs generated pictures lie near: those that were learnt from, or any.

A generator that copies gives pictures near to its training photographs. One that draws blurred shapes gives pictures
near to any photograph that is as plain, training or held out: by their number alone they look like copies. Whether the
nearest photograph was a training one tells them apart, and is judged by shuffling which photographs were.

Shapes: M generated pictures, P photographs, training ones and held-out ones together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from etude.core.interval import Interval
from etude.metrics.copies import Pixels, nearness
from etude.metrics.near_copies import near_limit
from etude.metrics.registry import Doubles

_LOOKED_AT: Final = 300
"""Photographs by which it is told what is near: as many are enough, and each is compared with all."""
_SHUFFLES: Final = 20_000
_MOST_SHUFFLED: Final = 2_000
"""Groups of photographs that are dealt out in each shuffle; more are each drawn by themselves, which differs little."""


@dataclass(frozen=True)
class Whose:
    """Of which photographs the generated pictures lie near."""

    near: float
    """Share of the generated pictures that lie as near to any photograph as 1 of 20 photographs does to another."""
    trained: float | None
    """Share of those whose nearest photograph was learnt from; none where none is near."""
    chance: Interval | None
    """Between what ends that lies in 95 of 100 shuffles of which photographs were learnt from."""


def whose_are_near(
    pictures_MHWC: Pixels,
    photographs_PHWC: Pixels,
    is_trained_P: npt.NDArray[np.bool_],
    groups_P: Sequence[str] | None = None,
    seed: int = 0,
) -> Whose:
    """Say near to whose photographs the generated pictures lie, and what chance would give.

    Were nothing copied, each photograph could as well have been held out: the share is then that of a shuffle, whatever
    the generator draws. The test is exact where photographs are exchangeable; its idea is that of Meehan et al. 2020,
    arXiv 2004.05675, who ask whether generated pictures lie nearer to training pictures than fresh ones do.

    Args:
        pictures_MHWC: square RGB pictures, uint8.
        photographs_PHWC: as many pixels each.
        is_trained_P: which photographs were learnt from.
        groups_P: photographs of one group stay together in a shuffle; each is its own where none are given.
        seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    looked_at = np.sort(rng.permutation(len(photographs_PHWC))[:_LOOKED_AT])
    real_N, _ = nearness(photographs_PHWC[looked_at], photographs_PHWC, looked_at)
    near_M, at_M = nearness(pictures_MHWC, photographs_PHWC)
    is_near_M = near_M < near_limit(real_N)
    share = float(is_near_M.mean())
    counts_P = np.bincount(at_M[is_near_M], minlength=len(photographs_PHWC)).astype(np.float64)
    if not counts_P.any():
        return Whose(share, None, None)
    trained = float(counts_P[is_trained_P].sum() / counts_P.sum())
    groups = np.arange(len(counts_P)) if groups_P is None else np.unique(np.asarray(groups_P), return_inverse=True)[1]
    low, high = np.quantile(_shuffled(counts_P, is_trained_P, groups, rng), (0.025, 0.975), method="inverted_cdf")
    return Whose(share, trained, Interval(low=float(low), high=float(high)))


def _shuffled(
    counts_P: Doubles, is_trained_P: npt.NDArray[np.bool_], groups_P: npt.NDArray[np.int64], rng: np.random.Generator
) -> Doubles:
    """Return the share of what is near that lies near a training photograph, shuffle by shuffle."""
    sizes_G = np.bincount(groups_P).astype(np.float64)
    counts_G = np.bincount(groups_P, weights=counts_P)
    held_out = float((~is_trained_P).sum())
    is_many = len(sizes_G) > _MOST_SHUFFLED
    matter = np.flatnonzero(counts_G) if is_many else np.arange(len(sizes_G))
    found = np.empty(_SHUFFLES)
    for place in range(_SHUFFLES):
        if is_many:
            is_held_out = rng.random(len(matter)) < held_out / len(counts_P)
        else:
            order = rng.permutation(len(matter))
            is_held_out = np.zeros(len(matter), np.bool_)
            before = np.cumsum(sizes_G[order]) - sizes_G[order] / 2  # a group is dealt where its middle falls
            is_held_out[order[before < held_out]] = True
        found[place] = counts_G[matter][~is_held_out].sum()
    shares: Doubles = found / counts_P.sum()
    return shares
