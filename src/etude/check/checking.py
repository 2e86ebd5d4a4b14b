"""The data check: what is wrong with the pictures of a source, and with a split of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from etude.check.alike import embed_items, find_alike
from etude.check.kinship import Family, find_duplicates, find_leaks, find_near, gather_family
from etude.check.quality import count_sizes, find_balance, find_faults, find_looks, find_traits
from etude.check.records import CheckRecord, Finding, FoldLeaks
from etude.check.survey import Survey, survey
from etude.check.twins import MOST_PAIRS, Twins
from etude.core.counting import how_many
from etude.core.machine import usable_threads
from etude.core.records import Config, fingerprint
from etude.core.words import Part
from etude.data.source import Source
from etude.models.embedding import Embedder, find_embedder

Progress = Callable[[str, int, int], None]
VERSION: Final = 3
"""Raise it when a test is added or changed: what was found before is then found anew."""
_ORDER: Final = {"error": 0, "warning": 1, "note": 2}


class CheckLimits(Config):
    """How large a source may be for the tests that take long."""

    open: int = 200_000
    """Pictures up to which each is opened and looked at."""
    near: int = 100_000
    """Pictures up to which each is compared with every other; the time grows with the square."""
    alike: int = 60_000
    """Pictures up to which a pretrained network looks at each, where its weights are at hand."""


def check_key(fingerprint_of_data: str, digests: Sequence[str], limits: CheckLimits) -> str:
    """Return the hash of all that the findings depend on: the pictures, the split, the limits, the weights at hand."""
    embedder = find_embedder()
    return fingerprint(
        {
            "data": fingerprint_of_data,
            "split": list(digests),
            "limits": limits.model_dump(),
            "version": VERSION,
            "embedder": "" if embedder is None else embedder.name,
        }
    )


def check_source(
    source: Source,
    splits: Sequence[npt.NDArray[np.int8]] | None = None,
    *,
    key: str = "",
    limits: CheckLimits | None = None,
    groups_may_cross: bool = False,
    workers: int | None = None,
    progress: Progress | None = None,
    labels: bool = False,
    answers: Path | None = None,
) -> CheckRecord:
    """Look at every picture that a split uses, compare them all, and look for what crosses its parts.

    Args:
        source: the pictures.
        splits: parts (one int8 array a fold) over all items; by default the source's official parts, if it has any.
        key: hash that the record carries (see `check_key`).
        limits: how large the source may be for the slow tests.
        groups_may_cross: whether frames of one sequence are in several parts on purpose (blocks of time).
        workers: threads; by default as many as cores.
        progress: called with (what, done, all).
        labels: whether to look for wrong labels too.
        answers: the file of out-of-fold answers by which labels are looked at; by default a quick linear model's.

    Returns:
        The record; nothing is written.

    Raises:
        DataError: if labels are to be looked at, and there are too few pictures of a class or answers of others.
    """
    limits, workers = limits or CheckLimits(), workers or usable_threads()
    if splits is None:
        splits = _official(source)
    used = np.arange(len(source.items))
    if len(splits):
        used = np.flatnonzero(np.any([parts != Part.LEFT_OUT for parts in splits], axis=0))
    skipped: list[str] = []
    seen = _survey(source, used, limits, workers, progress, skipped)
    twins = None if seen is None else _twins(source, seen, limits, workers, progress, skipped)
    family = gather_family(source, used, seen, twins)
    findings: list[Finding] = [*find_balance(_counts(source, used))]
    folds: list[FoldLeaks] = []
    if seen is not None:
        findings += [*find_faults(source, seen), *find_traits(source, seen), *find_looks(source, seen)]
        findings += find_duplicates(family)
        findings += _alike(family, seen, [parts[used] for parts in splits], limits, workers, progress, skipped)
    if len(splits):
        leaks, folds = find_leaks(family, [parts[used] for parts in splits], groups_may_cross=groups_may_cross)
        findings += leaks
    if labels or answers is not None:
        findings += _labels(source, used if seen is None else used[seen.readable], answers, workers, progress, skipped)
    return CheckRecord(
        source=source.name,
        key=key,
        n_items=len(source.items),
        n_checked=len(used),
        counts=_counts(source, used),
        pixels=(pixels := _pixels(source, seen)),
        class_weights=_class_weights(pixels),
        sizes={} if seen is None else count_sizes(seen),
        findings=tuple(sorted(findings, key=lambda finding: _ORDER[finding.severity])),
        leaks=tuple(folds),
        skipped=tuple(skipped),
    )


def _pixels(source: Source, seen: Survey | None) -> dict[str, int]:
    """Sum up the pixels of each class; nothing without masks."""
    if seen is None or seen.pixels_NK is None:
        return {}
    return dict(zip(source.classes, seen.pixels_NK.sum(0).tolist(), strict=True))


def _class_weights(pixels: dict[str, int]) -> dict[str, dict[str, float]]:
    if not pixels:
        return {}
    from etude.tasks.segmentation import tell_weights

    return tell_weights(pixels)


def _survey(
    source: Source,
    used: npt.NDArray[np.int64],
    limits: CheckLimits,
    workers: int,
    progress: Progress | None,
    skipped: list[str],
) -> Survey | None:
    """Look at the pictures, unless there are too many."""
    if len(used) > limits.open:
        skipped.append(
            f"The pictures were not opened, as there are {len(used):,} (limit {limits.open:,}): faults and duplicates "
            f"are not known. `etude data check --limit {len(used)}` looks at all."
        )
        return None
    tell = None if progress is None else lambda done, total: progress("pictures read for the check", done, total)
    return survey(source, used, workers=workers, progress=tell)


def _twins(
    source: Source, seen: Survey, limits: CheckLimits, workers: int, progress: Progress | None, skipped: list[str]
) -> Twins | None:  # fmt: skip
    """Look for twins, unless there are too many pictures, or each is drawn for itself."""
    if getattr(source, "is_drawn", False):
        skipped.append("Near duplicates were not looked for: each picture is drawn for itself, so likeness is chance.")
        return None
    if len(seen) > limits.near:
        skipped.append(
            f"Near duplicates were not looked for among {how_many(len(seen), 'picture')} (limit {limits.near:,}); "
            f"equal ones "
            f"were. `etude data check --limit {len(seen)}` compares all, in a time that grows with the square."
        )
        return None
    tell = None if progress is None else lambda done, total: progress("blocks of pairs compared", done, total)
    twins = find_near(seen, workers=workers, progress=tell)
    if not twins.is_complete:
        skipped.append(f"The search for near duplicates ended after {MOST_PAIRS:,} pairs: nearly all are alike.")
    return twins


def _alike(
    family: Family,
    seen: Survey,
    splits: list[npt.NDArray[np.int8]],
    limits: CheckLimits,
    workers: int,
    progress: Progress | None,
    skipped: list[str],
) -> list[Finding]:
    """Look for pictures that show the same without being copies, where a pretrained network is at hand."""
    rows = np.flatnonzero(seen.readable)
    if getattr(family.source, "is_drawn", False) or len(rows) < 2:
        return []
    embedder: Embedder | None = find_embedder()
    if embedder is None:
        skipped.append(
            "No pretrained network was at hand, so pictures that show the same without being copies were not looked "
            "for. ETUDE_WEIGHTS may name a folder with mobilenetv2_100.safetensors, for one."
        )
        return []
    if len(rows) > limits.alike:
        skipped.append(
            f"{embedder.name} did not look at {how_many(len(rows), 'picture')} for others that show the same (limit "
            f"{limits.alike:,}). `etude data check --limit {len(rows)}` has it look at all."
        )
        return []
    tell = None if progress is None else lambda done, total: progress("pictures seen by a network", done, total)
    features = embed_items(family.source, seen.indices_N[rows], embedder, workers=workers, progress=tell)
    return list(find_alike(family, rows, features, embedder.name, splits))


def _labels(
    source: Source,
    indices: npt.NDArray[np.int64],
    answers: Path | None,
    workers: int,
    progress: Progress | None,
    skipped: list[str],
) -> list[Finding]:
    """Look for wrong labels."""
    from etude.check.doubtful import suspect_labels

    if source.kind == "segmentation" or len(source.classes) < 2:
        skipped.append("Labels were not looked at: there is no class for each picture.")
        return []
    tell = None if progress is None else lambda done, total: progress("pictures seen for their labels", done, total)
    found = suspect_labels(
        source, indices, answers=answers, embedder=find_embedder(), workers=workers, progress=tell
    )  # fmt: skip
    return [] if found is None else [found]


def _official(source: Source) -> list[npt.NDArray[np.int8]]:
    """Return the source's parts; where it has no test part, its validation part is the test part, as in a study."""
    official = source.items.official
    if official is None:
        return []
    if (official == Part.TEST).any():
        return [official]
    return [np.where(official == Part.VALIDATION, np.int8(Part.TEST), official)]


def _counts(source: Source, used: npt.NDArray[np.int64]) -> dict[str, int]:
    """Count the pictures by class; nothing where there are no labels."""
    labels = source.items.labels[used]
    labels = labels[labels >= 0]
    if not len(labels):
        return {}
    counts = np.bincount(labels, minlength=len(source.classes))
    return {name: int(count) for name, count in zip(source.classes, counts, strict=True)}
