"""Maps of the data: PCA and t-SNE of pixels and of learned features, and what the eye sees there as a number.

Shapes: N pictures, D numbers of a picture, R of its reduced form, 2 axes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from etude.core.errors import MissingPartError
from etude.core.extras import install
from etude.explain.records import ClassSeparation
from etude.metrics.statistics import dependence_of, wilson

Numbers = npt.NDArray[np.float32]
_REDUCED = 50  # axes that are kept before t-SNE: what is left out is mostly noise
_CHUNK = 1024
_LEAST = 4  # pictures that have neighbours to be laid near to


@dataclass(frozen=True)
class Reduced:
    """A space brought to its first principal axes."""

    mean_D: Numbers
    axes_RD: Numbers
    explained_R: Numbers
    """Share of the variance that each axis carries."""

    def apply(self, values_ND: Numbers) -> Numbers:
        """Return the places of pictures along the axes, (N, R)."""
        return np.asarray((values_ND - self.mean_D) @ self.axes_RD.T, np.float32)


def reduce_space(values_ND: Numbers, axes: int = _REDUCED) -> Reduced:
    """Find the principal axes of a space, the sign of each such that its largest part is positive."""
    mean_D = values_ND.mean(0)
    centred = (values_ND - mean_D).astype(np.float64)
    n, d = centred.shape
    if d <= n:
        variances, vectors = np.linalg.eigh(centred.T @ centred)
        axes_RD, squares = vectors.T[::-1], variances[::-1]
    else:
        variances, vectors = np.linalg.eigh(centred @ centred.T)
        axes_RD = (centred.T @ vectors).T[::-1]
        axes_RD /= np.maximum(np.linalg.norm(axes_RD, axis=1, keepdims=True), 1e-12)
        squares = variances[::-1]
    kept = min(axes, n, d)
    axes_RD = axes_RD[:kept]
    signs = np.sign(axes_RD[np.arange(kept), np.abs(axes_RD).argmax(1)])
    total = max(float(np.clip(squares, 0, None).sum()), 1e-12)
    explained = np.clip(squares[:kept], 0, None) / total
    return Reduced(
        mean_D.astype(np.float32), (axes_RD * signs[:, None]).astype(np.float32), explained.astype(np.float32)
    )  # fmt: skip


def first_two(reduced_NR: Numbers) -> Numbers:
    """Return the first two axes (N, 2); where there is but one, a second that says nothing."""
    return np.pad(reduced_NR[:, :2], ((0, 0), (0, max(0, 2 - reduced_NR.shape[1]))))


def draw_tsne(reduced_NR: Numbers, *, seed: int = 0, threads: int = 1) -> Numbers:
    """Lay pictures flat by t-SNE (van der Maaten and Hinton 2008), (N, 2); the same seed gives the same map.

    Raises:
        MissingPartError: if openTSNE is not installed.
    """
    if len(reduced_NR) < _LEAST or not np.ptp(reduced_NR, axis=0).any():
        return np.zeros((len(reduced_NR), 2), np.float32)  # nothing to tell apart: t-SNE would divide by nothing
    tsne = _tsne(len(reduced_NR), seed, threads)
    return np.asarray(tsne.fit(reduced_NR.astype(np.float64)), np.float32)


def place_on_tsne(map_N2: Numbers, reduced_NR: Numbers, new_MR: Numbers, *, threads: int = 1) -> Numbers:
    """Place new pictures on a map that is drawn, which stays as it is; (M, 2).

    Args:
        map_N2: the map.
        reduced_NR: the pictures that it was drawn of, reduced.
        new_MR: the new ones, reduced in the same way.
        threads: threads to use.

    Raises:
        MissingPartError: if openTSNE is not installed.
    """
    _need()
    from openTSNE import TSNEEmbedding, affinity

    near = affinity.PerplexityBasedNN(
        reduced_NR.astype(np.float64), perplexity=_perplexity(len(reduced_NR)), random_state=0, n_jobs=threads
    )
    drawn = TSNEEmbedding(map_N2.astype(np.float64), near, random_state=0, n_jobs=threads)
    return np.asarray(drawn.transform(new_MR.astype(np.float64), perplexity=5), np.float32)


def _tsne(n: int, seed: int, threads: int) -> Any:  # noqa: ANN401 - openTSNE has no types
    _need()
    from openTSNE import TSNE

    return TSNE(perplexity=_perplexity(n), random_state=seed, n_jobs=threads, initialization="pca")


def _perplexity(n: int) -> float:
    """Return how many neighbours each picture is laid near to: 30, fewer where there are few pictures."""
    return float(max(2, min(30, (n - 1) // 3)))


def _need() -> None:
    from importlib.util import find_spec

    if find_spec("openTSNE") is None:
        raise MissingPartError(f"explain: maps need openTSNE. {install('explain')}")


@dataclass(frozen=True)
class Kin:
    """Which pictures are no evidence for each other: of one patient, or neighbours of a film."""

    groups_N: npt.NDArray[np.int64]
    """Number of the group of each picture."""
    ranks_N: npt.NDArray[np.int64]
    """Place of each picture in its group."""
    apart: int | None
    """Pictures of one group that lie at least so far apart are no kin; none: all of a group are."""

    @classmethod
    def of(cls, groups_N: npt.NDArray[np.int64]) -> Self | None:
        """Find it as `dependence_of` resamples; none where no two pictures are of one group.

        Args:
            groups_N: number of the group of each picture; those of a group stand in the order in which they were taken.
        """
        found = dependence_of(groups_N)
        if found.unit == "pictures":
            return None
        ranks_N = np.empty(len(groups_N), np.int64)
        for number in np.unique(groups_N):
            own = np.flatnonzero(groups_N == number)
            ranks_N[own] = np.arange(len(own))
        return cls(groups_N, ranks_N, found.length)

    def of_pictures(self, places_C: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Say which pictures are kin of some, themselves among them: (C, N)."""
        alike_CN: npt.NDArray[np.bool_] = self.groups_N[places_C, None] == self.groups_N[None, :]
        if self.apart is not None:
            alike_CN &= np.abs(self.ranks_N[places_C, None] - self.ranks_N[None, :]) < self.apart
        return alike_CN

    def count(self, chosen_N: npt.NDArray[np.bool_]) -> int:
        """Count the groups, or blocks of neighbours, that some pictures are of."""
        blocks_N = self.ranks_N // self.apart if self.apart is not None else np.zeros_like(self.ranks_N)
        return len(np.unique(np.stack([self.groups_N, blocks_N], 1)[chosen_N], axis=0))


def nearest_others(values_ND: Numbers, kin: Kin | None = None) -> npt.NDArray[np.int64]:
    """Return, for each picture, the place of its nearest other picture (Euclidean) that is no kin of it, (N,).

    A picture that has none, as where all others are its kin, has -1.
    """
    squares_N = (values_ND.astype(np.float64) ** 2).sum(1)
    nearest = np.empty(len(values_ND), np.int64)
    for start in range(0, len(values_ND), _CHUNK):
        chunk = values_ND[start : start + _CHUNK]
        distances = squares_N[None, :] - 2 * (chunk.astype(np.float64) @ values_ND.T.astype(np.float64))
        places_C = np.arange(start, start + len(chunk))
        distances[np.arange(len(chunk)), places_C] = np.inf
        if kin is not None:
            distances[kin.of_pictures(places_C)] = np.inf
        nearest[places_C] = np.where(np.isfinite(distances).any(1), distances.argmin(1), -1)
    return nearest


def separate_classes(
    values_ND: Numbers, labels_N: npt.NDArray[np.int64], classes: tuple[str, ...], kin: Kin | None = None
) -> tuple[ClassSeparation, ...]:
    """Return how well each class stands apart: the share of its pictures whose nearest other one is of it too.

    The interval is Wilson's, over the pictures of the class as they are neighbours: one of the bootstrap would have no
    width where all are alike, however few they are. Kin are no neighbours, as the next frame of a film says nothing of
    a class, and Wilson's interval is over as many as there are groups or blocks of them. Pictures without any neighbour
    are left out, and classes that have only such ones.
    """
    nearest_N = nearest_others(values_ND, kin)
    has_other_N = nearest_N >= 0
    is_alike_N = labels_N[nearest_N] == labels_N
    found = []
    for label, name in enumerate(classes):
        is_own_N = (labels_N == label) & has_other_N
        own = is_alike_N[is_own_N].astype(np.float64)
        if len(own):
            share = float(own.mean())
            n_independent = len(own) if kin is None else kin.count(is_own_N)
            found.append(ClassSeparation(name=name, n=len(own), share=share, interval=wilson(share, n_independent)))
    return tuple(found)
