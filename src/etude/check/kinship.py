"""Findings about pictures that belong together: duplicates, twins, sequences, and what a split leaks of them.

Legend: N pictures that are looked at, C clusters of equal pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from etude.check.leaks import Kin, leaked_test, leaked_validation, reach_of, to_drop
from etude.check.quality import MOST_FILES, names_of
from etude.check.records import Finding, FoldLeaks, Severity
from etude.check.survey import Survey
from etude.check.twins import Twins, find_twins
from etude.core.counting import how_many
from etude.core.texts import number_texts
from etude.core.words import Part
from etude.data.items import UNLABELLED
from etude.data.source import Source

MOST_SETS, MOST_MEMBERS = 200, 12
"""A finding lists this many sets of pictures at most, and this many of each."""
_NO_PAIRS = np.zeros(0, np.int64)


@dataclass(frozen=True)
class Family:
    """The pictures that were looked at, with all that ties them together; positions are rows of the survey."""

    source: Source
    indices_N: npt.NDArray[np.int64]
    kin: Kin
    representative_C: npt.NDArray[np.int64]
    """One picture of each cluster."""
    twins: Twins | None
    """Twins among the clusters; none where they were not looked for."""

    def names(self, rows: npt.NDArray[np.int64] | list[int]) -> tuple[str, ...]:
        """Return the ids of pictures."""
        return names_of(self.source, self.indices_N[np.asarray(rows, np.int64)])

    @property
    def labels(self) -> npt.NDArray[np.int32]:
        """The class of each picture."""
        return self.source.items.labels[self.indices_N]


def gather_family(source: Source, indices: npt.NDArray[np.int64], seen: Survey | None, twins: Twins | None) -> Family:
    """Tie pictures together by their pixels, their twins and their groups."""
    cluster_N, representative_C = cluster(seen) if seen is not None else (np.arange(len(indices)),) * 2
    groups = source.items.groups
    group_N = None if groups is None else number_texts(groups[indices])[1]
    first, second = (_NO_PAIRS, _NO_PAIRS) if twins is None else (twins.first, twins.second)
    return Family(source, indices, Kin(cluster_N, first, second, group_N), representative_C, twins)


def cluster(seen: Survey) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the cluster of each picture, and one picture of each cluster; what cannot be read is alone."""
    digests = seen.digests_N.copy()
    broken = np.flatnonzero(~seen.readable)
    digests[broken] = 2 * np.arange(len(broken), dtype=np.uint64)  # digests of readable pictures are odd
    _, representative_C, cluster_N = np.unique(digests, return_index=True, return_inverse=True)
    return cluster_N.astype(np.int64), representative_C.astype(np.int64)


def find_near(seen: Survey, *, workers: int, progress: object = None) -> Twins:
    """Look for twins among the clusters."""
    _, representative_C = cluster(seen)
    return find_twins(seen.thumbnails_NHW[representative_C], workers=workers, progress=progress)  # type: ignore[arg-type]


def find_duplicates(family: Family) -> Iterator[Finding]:
    """Find pictures that are there twice, whatever their part, and those whose twins have another class."""
    order = np.argsort(family.kin.cluster_N, kind="stable")
    starts = np.flatnonzero(np.diff(family.kin.cluster_N[order], prepend=-1))
    exact = [rows for rows in np.split(order, starts[1:]) if len(rows) > 1]
    if exact:
        yield _of_sets(family, "duplicates", "warning", "the same pixels", exact)
    near = [family.representative_C[members] for members in components(family.kin.first_P, family.kin.second_P)]
    group_N = family.kin.group_N
    if group_N is not None:
        frames = sum(len(rows) for rows in near if len(np.unique(group_N[rows])) == 1)
        near = [rows for rows in near if len(np.unique(group_N[rows])) > 1]
        if frames:
            look = how_many(frames, "picture looks", "pictures look")
            sentence = f"{look} like another of their own sequence, as frames do."
            yield Finding(kind="frames", severity="note", sentence=sentence, count=frames)
    if near:
        yield _of_sets(family, "near-duplicates", "warning", "nearly the same look", near)
    labels = family.labels
    for kind, severity, words, sets in (
        ("conflicting-labels", "error", "the same pixels", exact),
        ("doubtful-labels", "warning", "nearly the same look", near),
    ):
        mixed = [rows for rows in sets if len(np.unique(labels[rows][labels[rows] != UNLABELLED])) > 1]
        if mixed:
            yield _of_sets(family, kind, severity, f"{words} but different classes", mixed)  # type: ignore[arg-type]


def find_leaks(
    family: Family, splits: list[npt.NDArray[np.int8]], *, groups_may_cross: bool
) -> tuple[list[Finding], list[FoldLeaks]]:
    """Find what a split leaks.

    Args:
        family: the pictures.
        splits: parts (N,) of the pictures that were looked at, one array a fold.
        groups_may_cross: whether frames of one sequence are in several parts on purpose.
    """
    reaches = [reach_of(family.kin, parts) for parts in splits]
    grave: Severity = "note" if groups_may_cross else "error"
    kinds: tuple[tuple[str, Severity, str], ...] = (
        ("exact", "error", "the same pixels"),
        ("near", "error", "nearly the same look"),
        ("group", grave, "the same sequence or group"),
    )
    findings: list[Finding] = []
    for name, severity, words in kinds:
        findings += _of_leak(family, splits, [getattr(reach, f"{name}_N") for reach in reaches], name, severity, words)
    folds = [
        _fold(family, parts, reach.exact_N | reach.near_N if groups_may_cross else reach.through_any)
        for parts, reach in zip(splits, reaches, strict=True)
    ]
    return findings, folds


def _fold(family: Family, parts: npt.NDArray[np.int8], bits_N: npt.NDArray[np.uint8]) -> FoldLeaks:
    return FoldLeaks(
        test=family.names(np.flatnonzero(leaked_test(bits_N, parts))),
        validation=family.names(np.flatnonzero(leaked_validation(bits_N, parts))),
        dropped=family.names(np.flatnonzero(to_drop(bits_N, parts))),
        n_test=int((parts == Part.TEST).sum()),
    )


def _of_leak(
    family: Family,
    splits: list[npt.NDArray[np.int8]],
    bits: list[npt.NDArray[np.uint8]],
    name: str,
    severity: Severity,
    words: str,
) -> Iterator[Finding]:
    """Tell one kind of leak, over all folds."""
    tests = [np.flatnonzero(leaked_test(reach, parts)) for reach, parts in zip(bits, splits, strict=True)]
    choices = [np.flatnonzero(leaked_validation(reach, parts)) for reach, parts in zip(bits, splits, strict=True)]
    leaked = np.unique(np.concatenate([*tests, *choices]))
    if not len(leaked):
        return
    n_test, n_choice = len(np.unique(np.concatenate(tests))), len(np.unique(np.concatenate(choices)))
    told = [f"{n_test:,} of the test part"] * bool(n_test) + [f"{n_choice:,} of the validation part"] * bool(n_choice)
    over = f" (over {len(splits)} folds)" if len(splits) > 1 else ""
    have = "has" if len(leaked) == 1 else "have"
    fold = next(place for place in range(len(splits)) if len(tests[place]) or len(choices[place]))
    shown = np.concatenate([tests[fold], choices[fold]])[:MOST_SETS]
    yield Finding(
        kind=f"leak-{name}",
        severity=severity,
        sentence=f"{' and '.join(told)}{over} {have} {words} as a picture in another part: {_effect(n_test)}.",
        count=len(leaked),
        files=family.names(leaked[:MOST_FILES]),
        sets=tuple(_relatives(family, int(row), splits[fold], name) for row in shown),
    )


def _effect(n_test: int) -> str:
    return "the test score is too good" if n_test else "choices on validation are too hopeful"


def _relatives(family: Family, row: int, parts: npt.NDArray[np.int8], name: str) -> tuple[str, ...]:
    """Return a leaked picture and some of those in other parts that it belongs with."""
    kin = family.kin
    if name == "group":
        assert kin.group_N is not None
        related = kin.group_N == kin.group_N[row]
    else:
        clusters = np.array([kin.cluster_N[row]])
        if name == "near":
            here = clusters[0]
            clusters = np.concatenate([kin.second_P[kin.first_P == here], kin.first_P[kin.second_P == here]])
        related = np.isin(kin.cluster_N, clusters)
    others = np.flatnonzero(related & (parts != parts[row]) & (parts != Part.LEFT_OUT))
    return family.names([row, *others[: MOST_MEMBERS - 1].tolist()])


def _of_sets(
    family: Family, kind: str, severity: Severity, words: str, sets: list[npt.NDArray[np.int64]]
) -> Finding:  # fmt: skip
    """Tell of sets of pictures that have something in common."""
    count = sum(len(rows) for rows in sets)
    return Finding(
        kind=kind,
        severity=severity,
        sentence=f"{how_many(count, 'picture')} in {how_many(len(sets), 'set')} have {words}.",
        count=count,
        files=family.names(np.sort(np.concatenate(sets))[:MOST_FILES]),
        sets=tuple(family.names(rows[:MOST_MEMBERS]) for rows in sorted(sets, key=len, reverse=True)[:MOST_SETS]),
    )


def components(first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
    """Return the sets that pairs tie together, each sorted, by their smallest member.

    >>> [rows.tolist() for rows in components(np.array([4, 1, 2]), np.array([5, 2, 3]))]
    [[1, 2, 3], [4, 5]]
    """
    root: dict[int, int] = {}

    def find(node: int) -> int:
        while root.setdefault(node, node) != node:
            root[node] = root[root[node]]
            node = root[node]
        return node

    for one, other in zip(first.tolist(), second.tolist(), strict=True):
        low, high = sorted((find(one), find(other)))
        root[high] = low
    members: dict[int, list[int]] = {}
    for node in sorted(root):
        members.setdefault(find(node), []).append(node)
    return [np.array(nodes, np.int64) for nodes in members.values()]
