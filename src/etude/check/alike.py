"""Pictures that a pretrained network can hardly tell apart: bursts, turned copies, one thing from about one place.

The perceptual hash finds copies (see `twins`); this looks further, where weights are at hand, and is less certain: what
it finds is to be looked at, and stops no study.

Legend: N pictures, D features, P pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from etude.check.kinship import MOST_MEMBERS, MOST_SETS, Family, components
from etude.check.quality import MOST_FILES
from etude.check.records import Finding
from etude.core.counting import how_many
from etude.core.words import Part
from etude.data.prepared import prepare_items
from etude.data.source import Source
from etude.models.embedding import Embedder

ALIKE_ABOVE: Final = 0.9
"""Cosine of the features from which a pair is told. Among 1,500 pictures of 200 classes no two were so close by chance
(mobilenetv2_100 at 96 px); of 300 copies turned by 8 degrees, which the hash does not find, 15 % are."""
EMBED_PX: Final = 96
_BLOCK: Final = 2048

Features = npt.NDArray[np.float32]


def embed_items(
    source: Source,
    indices: npt.NDArray[np.int64],
    embedder: Embedder,
    *,
    size_px: int = EMBED_PX,
    workers: int = 1,
    progress: Callable[[int, int], None] | None = None,
) -> Features:
    """Return the features of readable pictures, float32 (N, D), each at length 1."""
    prepared = prepare_items(
        source, indices, embedder.prepare(size_px), workers=workers, keep=False, pictures_only=True
    )
    return embedder.embed(prepared.pictures_NHWC, progress)


def find_pairs(features_ND: Features, above: float = ALIKE_ABOVE) -> tuple[npt.NDArray[np.int64], ...]:
    """Return the positions (first, second), each (P,), first < second, of all pairs whose cosine passes; exact.

    >>> find_pairs(np.array([[1, 0], [0, 1], [1, 0]], np.float32))
    (array([0]), array([2]))
    """
    firsts, seconds = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for row in range(0, len(features_ND), _BLOCK):
        here = features_ND[row : row + _BLOCK]
        for column in range(row, len(features_ND), _BLOCK):
            first, second = np.nonzero(here @ features_ND[column : column + _BLOCK].T > above)
            apart = first + row < second + column
            firsts.append(first[apart] + row)
            seconds.append(second[apart] + column)
    return np.concatenate(firsts), np.concatenate(seconds)


def find_alike(
    family: Family,
    rows: npt.NDArray[np.int64],
    features_ND: Features,
    name: str,
    splits: list[npt.NDArray[np.int8]],
) -> Iterator[Finding]:
    """Tell the pairs that neither pixels, nor twins, nor a sequence tie together already.

    Args:
        family: the pictures that were looked at.
        rows: the rows of `family` that the features are of.
        features_ND: their features.
        name: the network's name, for the sentence.
        splits: parts of the pictures that were looked at, one array a fold.
    """
    first, second = (rows[found] for found in find_pairs(features_ND))
    known = _are_kin(family, first, second)
    first, second = first[~known], second[~known]
    sets = components(first, second)
    if not sets:
        return
    count = sum(len(members) for members in sets)
    crossing = [members for members in sets if any(_crosses(parts[members]) for parts in splits)]
    across = (
        f" {how_many(sum(map(len, crossing)), 'picture')} of them lie in sets that several parts hold."
        if crossing
        else ""
    )
    shown = sorted(crossing, key=len, reverse=True) + sorted(sets, key=len, reverse=True)
    once = {tuple(members.tolist()): members for members in shown}
    yield Finding(
        kind="alike",
        severity="warning" if crossing else "note",
        sentence=f"{how_many(count, 'picture')} in {how_many(len(sets), 'set')} show so much the same that "
        f"{name} can hardly tell them apart, though they are no copies: look at them.{across}",
        count=count,
        files=family.names(np.sort(np.concatenate(sets))[:MOST_FILES]),
        sets=tuple(family.names(members[:MOST_MEMBERS]) for members in list(once.values())[:MOST_SETS]),
    )


def _are_kin(
    family: Family, first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:  # fmt: skip
    """Say which pairs are known to belong together."""
    kin = family.kin
    known = kin.cluster_N[first] == kin.cluster_N[second]
    if kin.group_N is not None:
        known |= kin.group_N[first] == kin.group_N[second]
    low = np.minimum(kin.cluster_N[first], kin.cluster_N[second])
    high = np.maximum(kin.cluster_N[first], kin.cluster_N[second])
    n_clusters = len(family.representative_C)
    twins = np.minimum(kin.first_P, kin.second_P) * n_clusters + np.maximum(kin.first_P, kin.second_P)
    known |= np.isin(low * n_clusters + high, twins)
    return np.asarray(known)


def _crosses(parts: npt.NDArray[np.int8]) -> bool:
    return len(np.unique(parts[parts != Part.LEFT_OUT])) > 1
