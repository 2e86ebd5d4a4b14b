"""How near generated pictures come to real ones, from features of both; and whether they are copies.

Every function is of features, never of pictures (copies are told by pixels, in `etude.metrics.copies`): it says nothing
without the name of the network that gave them, and values over features of two networks are not comparable.

Shapes: N real pictures, M generated ones, T training pictures, D features, R weightings of the real pictures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

import numpy as np

from etude.core.errors import DataError, sentence
from etude.core.registry import Registry
from etude.metrics.near_copies import NEAR_SHARE, near_share, near_shares
from etude.metrics.registry import Doubles, Floats

NEAR_COPIES: Final = "near_copies"
CLOSEST_COPIES: Final = "closest_copies"
COPY_LIMITS: Final = {NEAR_COPIES: NEAR_SHARE, CLOSEST_COPIES: 0.0}
"""The measures that are read against what photographs show: what share of photographs is as near."""
NEIGHBOURS: Final = 5
"""Of density and coverage, as in their paper."""
_LOOKED_AT: Final = 64
"""Nearest pictures among which the last of these is looked for first."""


@dataclass(frozen=True, eq=False)
class FeatureSets:
    """Features of generated pictures beside those of real ones that were held out and of those that were trained on.

    Raises:
        DataError: if the sets have different numbers of features, a set has fewer than two pictures, or a value is not
            finite.
    """

    generated_MD: Floats
    """(M, D)."""
    real_ND: Floats
    """(N, D), of real pictures that were not trained on."""
    training_TD: Floats
    """(T, D), of the training pictures."""
    generated_nearness_M: Floats | None = None
    """(M,), how near generated pictures are to training ones (`metrics.copies`); none where that is not looked at."""
    real_nearness_N: Floats | None = None
    """(N,), the same of the held-out real pictures."""

    def __post_init__(self) -> None:
        for name in ("generated_MD", "real_ND", "training_TD"):
            features = np.asarray(getattr(self, name), np.float64)
            object.__setattr__(self, name, features)
            if features.ndim != 2 or len(features) < 2 or features.shape[1] != self.generated_MD.shape[1]:
                rule = f"(2 or more, {self.generated_MD.shape[-1]})"
                raise DataError(sentence("metrics", f"the shape of the {name[:-3]} features", rule, features.shape))
            if not np.isfinite(features).all():
                remedy = "The generator gave NaN or infinity: its training diverged."
                raise DataError(sentence("metrics", f"the {name[:-3]} features", "finite", float("nan"), remedy))
        pairs = ((self.generated_nearness_M, self.generated_MD), (self.real_nearness_N, self.real_ND))
        for nearness, judged in pairs:
            if nearness is not None and len(nearness) != len(judged):
                rule = f"one for each picture, {len(judged)}"
                raise DataError(sentence("metrics", "the number of nearnesses", rule, len(nearness)))


@dataclass(frozen=True)
class FeatureMetric:
    """One measure of generated pictures."""

    name: str
    """Name in study files and records."""
    higher_is_better: bool
    """Direction."""
    low: float
    """Smallest value possible."""
    high: float
    """Largest value possible."""
    unit: str
    """Unit of the value."""
    words: str
    """One sentence that says what it measures."""
    function: Callable[[FeatureSets], float]
    """The features to the score."""
    under_weights: Callable[[FeatureSets, Doubles], Doubles]
    """The features and many weights (R, N) of the real pictures to scores (R,): the real pictures resampled."""
    resampling: Literal["bootstrap", "jackknife", "none"] = "bootstrap"
    """What gives an interval over the real pictures: pictures drawn again and again, where a picture that is drawn
    twice distorts nothing; else groups left out; none where the measure is a matter of a few extreme pictures."""


GENERATION_METRICS: Registry[FeatureMetric] = Registry("generation metric")


def kid(generated_MD: Floats, real_ND: Floats) -> float:
    """Kernel Inception distance: unbiased squared MMD with the kernel (x·y / D + 1)³.

    Unbiased also with a hundred pictures, which the FID is not. In -∞..∞, about 0 for two draws of the same pictures;
    lower is better. Source: Bińkowski et al. 2018, arXiv 1801.01401, section 4; over all pictures rather than subsets.

    >>> kid(np.eye(3), np.eye(3) + 1) > kid(np.eye(3), np.eye(3) + 0.1)
    True
    """
    return float(kid_under(generated_MD, real_ND, np.ones((1, len(real_ND))))[0])


def kid_under(generated_MD: Floats, real_ND: Floats, weights_RN: Doubles, weights_RM: Doubles | None = None) -> Doubles:
    """Return the KID (R,) under weights of the real pictures, and of the generated ones where they are given.

    A picture that is drawn twice makes no pair with itself: such pairs would add the diagonal that the unbiased
    estimate leaves out.
    """
    ones_RM = np.ones((1, len(generated_MD)))
    generated, real = np.asarray(generated_MD, np.float64), np.asarray(real_ND, np.float64)
    weights_RM = ones_RM if weights_RM is None else weights_RM
    within_generated = _mean_of_pairs(_kernel(generated, generated), weights_RM)
    within_real = _mean_of_pairs(_kernel(real, real), weights_RN)
    across_RN = weights_RM @ _kernel(generated, real) / weights_RM.sum(1, keepdims=True)
    across = (across_RN * weights_RN).sum(1) / weights_RN.sum(1)
    found: Doubles = within_generated + within_real - 2 * across
    return found


def _kernel(a_ND: Doubles, b_MD: Doubles) -> Doubles:
    kernel: Doubles = (a_ND @ b_MD.T / a_ND.shape[1] + 1) ** 3
    return kernel


def _mean_of_pairs(kernel_NN: Doubles, weights_RN: Doubles) -> Doubles:
    """Mean of the kernel over pairs of two different pictures, (R,)."""
    total_R = np.einsum("rn,rn->r", weights_RN @ kernel_NN, weights_RN) - weights_RN**2 @ np.diagonal(kernel_NN)
    pairs_R = weights_RN.sum(1) ** 2 - (weights_RN**2).sum(1)
    mean_R: Doubles = total_R / pairs_R
    return mean_R


def fid(generated_MD: Floats, real_ND: Floats, weights_N: Doubles | None = None) -> float:
    """Fréchet distance of two normal distributions fitted to the features, in the features' squared unit.

    In 0..∞, lower is better; biased upwards with few pictures, so only values of equal counts compare. With `weights_N`
    (N,) the real pictures count so many times each. Source: Heusel et al. 2017, arXiv 1706.08500, equation 6.

    The trace of the root of the product of both covariances is the nuclear norm of the product of the centred features:
    exact, and quick where there are fewer pictures than features.
    """
    generated_MD, real_ND = np.asarray(generated_MD, np.float64), np.asarray(real_ND, np.float64)
    weights = np.ones(len(real_ND)) if weights_N is None else weights_N
    mean_generated, mean_real = generated_MD.mean(0), np.average(real_ND, axis=0, weights=weights)
    centred_generated = (generated_MD - mean_generated) / np.sqrt(len(generated_MD) - 1)
    centred_real = (real_ND - mean_real) * np.sqrt(weights / (weights.sum() - 1))[:, None]
    root = np.linalg.svd(centred_real @ centred_generated.T, compute_uv=False).sum()
    traces = (centred_generated**2).sum() + (centred_real**2).sum()
    return float(((mean_generated - mean_real) ** 2).sum() + traces - 2 * root)


def density(generated_MD: Floats, real_ND: Floats, neighbours: int = NEIGHBOURS) -> float:
    """Mean number of real neighbourhoods that a generated picture lies in, over `neighbours`.

    In 0..∞, near 1 for real pictures, higher is better: whether what is generated lies where real pictures are dense.
    A neighbourhood of a real picture reaches to its k-th nearest other one. Source: Naeem et al. 2020,
    arXiv 2002.09797, equation 5.
    """
    return float(density_under(generated_MD, real_ND, np.ones((1, len(real_ND))), neighbours)[0])


def density_under(
    generated_MD: Floats, real_ND: Floats, weights_RN: Doubles, neighbours: int = NEIGHBOURS
) -> Doubles:  # fmt: skip
    """Return the density (R,) under weights of the real pictures."""
    between_MN = distances(generated_MD, real_ND)
    found = [
        (between_MN < radii_N).mean(0) @ weights_N / neighbours
        for weights_N, radii_N in zip(weights_RN, _radii(real_ND, weights_RN, neighbours), strict=True)
    ]
    return np.array(found)


def coverage(generated_MD: Floats, real_ND: Floats, neighbours: int = NEIGHBOURS) -> float:
    """Share of the real pictures in whose neighbourhood a generated one lies: in 0..1, higher is better.

    It grows with the number of generated pictures: of many times as many nearly any generator covers all. So they are
    taken as many at a time as there are real ones, and the mean is told (`covered_by_fresh` says what other real
    pictures would get). Source: Naeem et al. 2020, equation 6.
    """
    return float(coverage_under(generated_MD, real_ND, np.ones((1, len(real_ND))), neighbours)[0])


def coverage_under(
    generated_MD: Floats, real_ND: Floats, weights_RN: Doubles, neighbours: int = NEIGHBOURS
) -> Doubles:  # fmt: skip
    """Return the coverage (R,) under weights of the real pictures."""
    n_sets = max(1, len(generated_MD) // len(real_ND))
    size = min(len(generated_MD), len(real_ND))
    nearest_SN = distances(generated_MD[: n_sets * size], real_ND).reshape(n_sets, size, -1).min(1)
    covered_RN = np.stack([(nearest_SN < radii_N).mean(0) for radii_N in _radii(real_ND, weights_RN, neighbours)])
    found: Doubles = (covered_RN * weights_RN).sum(1) / weights_RN.sum(1)
    return found


def covered_by_fresh(n: int, neighbours: int = NEIGHBOURS) -> float:
    """Return the share of n real pictures that as many others of the same kind cover on average.

    One is not covered where its k nearest of the 2n - 1 others are all real ones (Naeem et al. 2020, section 3.3).

    >>> round(covered_by_fresh(33), 3), round(covered_by_fresh(10_000), 3)
    (0.976, 0.969)
    """
    return 1 - math.comb(2 * n - 1 - neighbours, n) / math.comb(2 * n - 1, n) if n > neighbours else 1.0


def _radii(real_ND: Floats, weights_RN: Doubles, neighbours: int) -> Iterator[Doubles]:
    """Give, under each row of weights, the distance (N,) of each real picture to its k-th nearest other one.

    A picture that was drawn twice is a neighbour of itself, at no distance, as it is where the set is written out.
    """
    within_NN = distances(real_ND, real_ND)
    order_NN = np.argsort(within_NN, axis=1, kind="stable")
    sorted_NN = np.take_along_axis(within_NN, order_NN, axis=1)
    for weights_N in weights_RN:
        rank = min(neighbours, int(weights_N.sum()) - 1)
        for looked_at in (_LOOKED_AT, len(order_NN)):  # far from the nearest there is seldom anything to count
            reached_NK = np.cumsum(weights_N[order_NN[:, :looked_at]], axis=1) > rank
            if reached_NK[:, -1].all():
                break
        yield sorted_NN[np.arange(len(sorted_NN)), reached_NK.argmax(1)]


def diversity(features_MD: Floats) -> float:
    """Mean distance of two different pictures, in the features' unit: in 0..∞, 0 where all are the same."""
    return float(_diversity_under(features_MD, np.ones((1, len(features_MD))))[0])


def _diversity_under(features_MD: Floats, weights_RM: Doubles) -> Doubles:
    """Return the mean distance of two different pictures (R,) under weights."""
    return _mean_of_pairs(distances(features_MD, features_MD), weights_RM)


def near_copies(sets: FeatureSets, limit: float = NEAR_SHARE) -> float:
    """Share of the generated pictures that are nearer to a training picture than 19 of 20 held-out real ones are.

    In 0..1; lower is better. Fresh photographs give 0.05 on average (`metrics.near_copies`). What near means:
    `etude.metrics.copies.nearness`. NaN where the sets do not tell it.

    Args:
        sets: with both kinds of nearness.
        limit: another share of photographs that are as near; 0: nearer than every one.
    """
    of_generated, of_real = sets.generated_nearness_M, sets.real_nearness_N
    return np.nan if of_generated is None or of_real is None else near_share(of_generated, of_real, limit=limit)


def distances(a_ND: Floats, b_MD: Floats) -> Doubles:
    """Return the Euclidean distances (N, M) between all pictures of two sets; exactly 0 between a set's own twins."""
    a, b = np.asarray(a_ND, np.float64), np.asarray(b_MD, np.float64)
    centre = b.mean(0)  # far from the origin the squares would lose the digits that tell neighbours apart
    a, b = a - centre, b - centre
    squares = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    squares[squares < 1e-12 * max(1e-300, float(squares.max(initial=0.0)))] = 0.0
    found: Doubles = np.sqrt(squares)
    return found


def _near_copies_under(sets: FeatureSets, weights_RN: Doubles, limit: float = NEAR_SHARE) -> Doubles:
    of_generated, of_real = sets.generated_nearness_M, sets.real_nearness_N
    if of_generated is None or of_real is None:
        return np.full(len(weights_RN), np.nan)
    return near_shares(of_generated, of_real, weights_RN, limit)


def _register(
    name: str,
    function: Callable[[FeatureSets], float],
    under_weights: Callable[[FeatureSets, Doubles], Doubles],
    *,
    higher: bool,
    low: float,
    high: float,
    unit: str,
    words: str,
    resampling: Literal["bootstrap", "jackknife", "none"] = "bootstrap",
) -> None:
    GENERATION_METRICS.register(name)(
        FeatureMetric(name, higher, low, high, unit, words, function, under_weights, resampling)
    )  # fmt: skip


_register(
    "kid",
    lambda sets: kid(sets.generated_MD, sets.real_ND),
    lambda sets, weights_RN: kid_under(sets.generated_MD, sets.real_ND, weights_RN),
    higher=False, low=-np.inf, high=np.inf, unit="squared MMD",
    words="Kernel distance of the features of generated pictures and held-out real ones; unbiased with few pictures.",
)  # fmt: skip
_register(
    "fid",
    lambda sets: fid(sets.generated_MD, sets.real_ND),
    lambda sets, weights_RN: np.array([fid(sets.generated_MD, sets.real_ND, weights_N) for weights_N in weights_RN]),
    higher=False, low=0.0, high=np.inf, unit="squared features", resampling="jackknife",
    words="Fréchet distance of the features of generated pictures and held-out real ones; biased with few pictures.",
)  # fmt: skip
_register(
    "density",
    lambda sets: density(sets.generated_MD, sets.real_ND),
    lambda sets, weights_RN: density_under(sets.generated_MD, sets.real_ND, weights_RN),
    higher=True, low=0.0, high=np.inf, unit="ratio", resampling="jackknife",
    words="Whether generated pictures lie where real ones are dense; near 1 for real pictures.",
)  # fmt: skip
_register(
    "coverage",
    lambda sets: coverage(sets.generated_MD, sets.real_ND),
    lambda sets, weights_RN: coverage_under(sets.generated_MD, sets.real_ND, weights_RN),
    higher=True, low=0.0, high=1.0, unit="fraction", resampling="jackknife",
    words="Share of the held-out real pictures that have a generated one in their neighbourhood.",
)  # fmt: skip
_register(
    "diversity",
    lambda sets: diversity(sets.generated_MD) / diversity(sets.real_ND),
    lambda sets, weights_RN: diversity(sets.generated_MD) / _diversity_under(sets.real_ND, weights_RN),
    higher=True, low=0.0, high=np.inf, unit="ratio",
    words="Mean distance of two generated pictures over that of two held-out real ones; 0 where all are the same.",
)  # fmt: skip
_register(
    NEAR_COPIES,
    near_copies,
    _near_copies_under,
    higher=False, low=0.0, high=1.0, unit="fraction", resampling="none",
    words="Share of the generated pictures nearer to a training picture than 19 of 20 held-out real ones are.",
)  # fmt: skip
_register(
    CLOSEST_COPIES,
    partial(near_copies, limit=COPY_LIMITS[CLOSEST_COPIES]),
    partial(_near_copies_under, limit=COPY_LIMITS[CLOSEST_COPIES]),
    higher=False, low=0.0, high=1.0, unit="fraction", resampling="none",
    words="Share of the generated pictures nearer to a training picture than every held-out real one is.",
)  # fmt: skip
