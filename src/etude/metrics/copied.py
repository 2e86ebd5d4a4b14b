"""Whose photographs generated pictures lie near: those that were learnt from, or any.

A generator that copies gives pictures near to its training photographs. One that draws blurred shapes gives pictures
near to any photograph that is as plain, training or held out: by their number alone they look like copies. Whether the
nearest photograph was a training one tells them apart, and is judged by shuffling which photographs were. Where the
near pictures lie on a handful of photographs a shuffle often finds all of these trained on, and decides nothing: then
there is only how near they are.

Shapes: M generated pictures, P photographs, training ones and held-out ones together, G groups of them, S shuffles.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from etude.core.generation_record import NearPhotographs
from etude.core.interval import Interval
from etude.metrics.copies import Pixels, nearness
from etude.metrics.near_copies import near_limit
from etude.metrics.registry import Doubles

_LOOKED_AT: Final = 300
"""Photographs by which it is told what is near: as many are enough, and each is compared with all."""
_SHUFFLES: Final = 20_000
_MOST_SHUFFLED: Final = 500
"""Groups of photographs that are dealt out in each shuffle; more are each drawn by themselves, which differs little."""
_AT_A_TIME: Final = 500_000
"""Places that are dealt at a time, which bounds memory."""
_OUTRIGHT: Final = 2 / 3
"""Share of the least nearness among photographs below which a picture is one of them outright. Of plain shapes and of
blurred mixtures of photographs up to a quarter lie nearer than that least, and of six sets of a hundred animals at most
2 in 100 below two thirds of it; copies with noise lie below a tenth."""
_HELD_OUT, _TRAINED, _ABSENT = 0, 1, 2


@dataclass(frozen=True)
class Whose:
    """Of which photographs the generated pictures lie near."""

    near: float
    """Share of the generated pictures that lie as near to any photograph as 1 of 20 photographs does to another."""
    trained: float | None
    """Share of those whose nearest photograph was learnt from; none where none is near."""
    chance: Interval | None
    """Between what ends that lies in 95 of 100 shuffles of which photographs were learnt from."""
    counts_P: npt.NDArray[np.int64]
    """How many of those lie nearest to each photograph."""
    outright_trained: float
    """Share of the generated pictures that lie at most two thirds as far from a photograph that was learnt from as
    any two photographs do from each other."""
    outright_held_out: float
    """The same of a photograph that was held out."""


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
    is_near_M, is_outright_M = near_M < near_limit(real_N), near_M < _OUTRIGHT * real_N.min()
    of_trained_M = is_trained_P[at_M]
    counts_P = np.bincount(at_M[is_near_M], minlength=len(photographs_PHWC))
    trained = chance = None
    if counts_P.any():
        trained = float(of_trained_M[is_near_M].mean())
        groups = (
            np.arange(len(counts_P)) if groups_P is None else np.unique(np.asarray(groups_P), return_inverse=True)[1]
        )
        one = _Dealt(
            np.bincount(groups, weights=counts_P).astype(np.float64),
            np.bincount(groups).astype(np.float64),
            np.sort(is_trained_P),
        )
        chance = _ends(_shuffled([one], rng))
    return Whose(
        near=float(is_near_M.mean()),
        trained=trained,
        chance=chance,
        counts_P=counts_P,
        outright_trained=float((is_outright_M & of_trained_M).mean()),
        outright_held_out=float((is_outright_M & ~of_trained_M).mean()),
    )


def chance_over(runs: Sequence[NearPhotographs], seed: int = 0) -> Interval:
    """Return between what ends the mean of the runs' shares lies in 95 of 100 shuffles, each dealt once for all runs.

    Runs share photographs: seeds of one fold the very parts, folds the photographs, of which each holds out others. A
    photograph takes the place of another in all runs at once, and is then trained on in those in which that one was.

    Args:
        runs: one or more, each with a picture near to a photograph or more.
        seed: of the draws.
    """
    roles = {item: [_ABSENT] * len(runs) for run in runs for item in (*run.held_out, *run.trained)}
    for place, run in enumerate(runs):
        for role, items in ((_HELD_OUT, run.held_out), (_TRAINED, run.trained)):
            for item in items:
                roles[item][place] = role
    group_of = {item: group for run in runs for item, group in run.groups.items()}
    numbers = {name: number for number, name in enumerate(dict.fromkeys(group_of.get(item, item) for item in roles))}
    # In one order for all runs, those together that are held out together: what is dealt to a place has its roles.
    line = sorted(roles.values())
    dealt = []
    for place, run in enumerate(runs):
        sizes_G, counts_G = np.zeros(len(numbers)), np.zeros(len(numbers))
        for item in (*run.held_out, *run.trained):
            at = numbers[group_of.get(item, item)]
            sizes_G[at] += 1
            counts_G[at] += run.counts.get(item, 0)
        own = [known[place] for known in line if known[place] != _ABSENT]
        dealt.append(_Dealt(counts_G, sizes_G, np.array(own) == _TRAINED))
    return _ends(_shuffled(dealt, np.random.default_rng(seed)))


@dataclass(frozen=True, eq=False)
class _Dealt:
    """What is shuffled of one run."""

    counts_G: Doubles
    """Near pictures of each group of photographs."""
    sizes_G: Doubles
    """Its photographs."""
    is_trained_P: npt.NDArray[np.bool_]
    """Of each place that photographs are dealt to, whether it is of the training part."""


def _ends(shares_S: Doubles) -> Interval:
    low, high = np.quantile(shares_S, (0.025, 0.975), method="inverted_cdf")
    return Interval(low=float(low), high=float(high))


def _shuffled(runs: Sequence[_Dealt], rng: np.random.Generator) -> Doubles:
    """Return the mean over the runs of the share of what is near that lies near a training photograph (S,)."""
    groups = len(runs[0].sizes_G)
    is_many = groups > _MOST_SHUFFLED
    matter_G = np.flatnonzero(np.sum([run.counts_G for run in runs], axis=0)) if is_many else np.arange(groups)
    at_a_time = max(1, _AT_A_TIME // len(matter_G))
    found = []
    for start in range(0, _SHUFFLES, at_a_time):
        count = min(at_a_time, _SHUFFLES - start)
        if is_many:
            drawn_SG = rng.random((count, len(matter_G)))
            shares = [_share(run, run.counts_G[matter_G], drawn_SG * len(run.is_trained_P)) for run in runs]
        else:
            order_SG = rng.permuted(np.tile(matter_G, (count, 1)), axis=1)
            shares = [_share(run, run.counts_G[order_SG], _middles(run.sizes_G[order_SG])) for run in runs]
        found.append(np.mean(shares, axis=0))
    return np.concatenate(found)


def _middles(sizes_SG: Doubles) -> Doubles:
    """Return where the middle of each group falls, as they lie one behind the other: there it is dealt."""
    middles: Doubles = sizes_SG.cumsum(axis=1) - sizes_SG / 2
    return middles


def _share(run: _Dealt, counts_SG: Doubles, places_SG: Doubles) -> Doubles:
    """Return the share (S,) of a run's near pictures whose photographs are dealt to places of the training part."""
    at_SG = np.minimum(places_SG.astype(np.int64), len(run.is_trained_P) - 1)
    shares: Doubles = (counts_SG * run.is_trained_P[at_SG]).sum(axis=1) / run.counts_G.sum()
    return shares
