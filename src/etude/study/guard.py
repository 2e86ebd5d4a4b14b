"""The data check before a study: made once for a split, and what `data.on_leak` says is done about it."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from etude.check import CheckLimits, CheckRecord, check_key, check_source
from etude.check.page import write_page
from etude.core.counting import how_many
from etude.core.errors import DataError, LeakError, MistakeError, StorageError, sentence
from etude.core.machine import cache_folder
from etude.core.watch import Watcher
from etude.core.words import Part
from etude.data.items import Items
from etude.data.source import Source
from etude.data.split import split_digest
from etude.metrics import METRICS
from etude.study.folder import StudyFolder
from etude.study.resolve import resolve_candidates

if TYPE_CHECKING:
    from etude.study.workspace import Workspace

LIMITS: Final = CheckLimits(open=100_000, near=60_000, alike=10_000)
"""What is looked at before every study; `etude data check` goes further."""
_FEWEST_HELD_OUT: Final = 10
"""Below, no measure of generated pictures says anything: 1 of 20 photographs is not even one of them."""
_FEWEST_LEARNT: Final = 10
"""Below, a generator has nothing to learn but these very photographs."""
Parts = npt.NDArray[np.int8]


def check_splits(
    source: Source,
    fingerprint: str,
    splits: Sequence[Parts],
    folder: StudyFolder,
    watch: Watcher,
    *,
    groups_may_cross: bool,
) -> CheckRecord:
    """Check the pictures of a study and their split, or read what an earlier check of the very same found.

    `check.json` and `check.html` are written into the study's folder; the record is kept in the user's cache as well,
    for other studies of the same pictures and split.
    """
    path = folder.root / "check.json"
    key = check_key(fingerprint, [split_digest(source.items, parts) for parts in splits], LIMITS)
    known = _load(path, key)
    if known is not None:
        return known
    kept = cache_folder() / "checks" / f"{key}.json"
    known = _load(kept, key)
    if known is not None:
        known = known.model_copy(update={"source": source.name})
        write_page(path.with_suffix(".html"), known, source, splits)
        known.save(path)
        return known

    def progress(what: str, done: int, total: int) -> None:
        if what.startswith("pictures"):
            watch.counted(what, done, total)

    record = check_source(
        source, splits, key=key, limits=LIMITS, groups_may_cross=groups_may_cross, progress=progress
    )  # fmt: skip
    write_page(path.with_suffix(".html"), record, source, splits)
    record.save(path)
    with contextlib.suppress(StorageError):  # a cache that cannot be written costs the next study the time of a check
        record.save(kept)
    return record


def guard(workspace: Workspace) -> None:
    """Check the data of a study before anything is trained.

    Raises:
        LeakError: if the split leaks and `data.on_leak` is stop.
        DataError: if without what leaks too little is left for a generator to learn from.
    """
    record, data = workspace.check, workspace.study.data
    grave = sum(finding.severity == "error" for finding in record.findings)
    if record.findings:
        told = how_many(len(record.findings), "finding")
        workspace.watch.said(f"Data check: {told}, {grave} grave; see {workspace.folder.root / 'check.html'}")
    for told in _unseen(record):
        workspace.watch.said(told)
    if not record.leaks_any:
        return
    if data.on_leak == "stop":
        raise LeakError(_tell_leak(record, workspace))
    n_dropped = max(len(fold.dropped) for fold in record.leaks)
    if data.on_leak == "drop":
        workspace.watch.said(
            f"{how_many(n_dropped, 'picture that leaks is', 'pictures that leak are')} left out of training or "
            f"validation (on_leak: drop)"
        )
        _check_learnt(workspace, workspace.splits)


def check_scores(workspace: Workspace) -> None:
    """Refuse metrics of two classes where they would not exist: that shows after hours of training otherwise.

    Raises:
        MistakeError: if such a metric is asked for and there are not two classes.
        DataError: if a part that the ranking metric scores has pictures of one class only, or a generator would have
            too few photographs to learn from or to be compared with.
    """
    study, source = workspace.study, workspace.source
    if study.task == "generation":
        _check_held_out(workspace)
    _check_learnt(workspace, workspace.drawn_splits)
    if study.task != "classification":
        return
    for field, names in (("metric", (study.protocol.metric,)), ("also", study.protocol.also)):
        for name in names:
            if METRICS[name].binary_only and len(source.classes) != 2:
                remedy = "Give another metric, or data.positive: one class against the rest."
                found = f"{len(source.classes)} classes"
                raise MistakeError(sentence("protocol", f"{field} {name}", "of two classes", found, remedy)).at(
                    "protocol", field
                )
    metric = study.protocol.metric
    if not METRICS[metric].binary_only:
        return
    for fold, parts in enumerate(workspace.drawn_splits):
        for part in (Part.VALIDATION, Part.TEST):
            labels = np.unique(source.items.labels[parts == part])
            if len(labels) == 1:
                where = f"the {part.label} part" + (f" of fold {fold}" if len(workspace.drawn_splits) > 1 else "")
                found = f"pictures of {source.classes[labels[0]]} alone"
                remedy = "Give another data.split.seed or kind, more pictures to that part, or another metric."
                raise DataError(
                    sentence("split", where, f"of pictures of both classes for {metric}", found, remedy)
                ).at("data", "split")


def _check_held_out(workspace: Workspace) -> None:
    """Refuse test parts of fewer photographs than generated pictures can be compared with.

    Raises:
        DataError: if a fold has one.
    """
    for fold, parts in enumerate(workspace.drawn_splits):
        count = int((parts == Part.TEST).sum())
        if count < _FEWEST_HELD_OUT:
            where = f"the test part{_of_fold(fold, workspace)}"
            rule = f"of {_FEWEST_HELD_OUT} photographs or more, with which generated ones are compared"
            remedy = "Give data.split a larger test share, or fewer folds."
            raise DataError(sentence("split", where, rule, count, remedy)).at("data", "split")


def _check_learnt(workspace: Workspace, drawn: Sequence[Parts]) -> None:
    """Refuse training parts of fewer photographs than a generator can learn from, one's own or an extra's.

    Args:
        workspace: the opened data of the study.
        drawn: the parts of each fold, for candidates with no number of training pictures of their own.

    Raises:
        MistakeError: if a class that is to be generated does not exist.
        DataError: if a fold has one.
    """
    study, source = workspace.study, workspace.source
    for name, candidate in resolve_candidates(study).items():
        generated = candidate.generated
        if study.task != "generation" and generated is None:
            continue
        cut = candidate.train_items not in (None, study.data.split.train_items)
        splits = workspace.splits_with(candidate.train_items) if cut else drawn
        for fold, parts in enumerate(splits):
            labels_T, where = source.items.labels[parts == Part.TRAIN], f"the training part{_of_fold(fold, workspace)}"
            counts = {where: len(labels_T)}
            if generated is not None:
                wanted = generated.labels(source.classes, study.data.positive)
                counts = {f"{source.classes[label]} in {where}": int((labels_T == label).sum()) for label in wanted}
            for owner, count in counts.items():
                if count < _FEWEST_LEARNT:
                    rule = f"of {_FEWEST_LEARNT} photographs or more, from which a generator of {name} learns"
                    remedy = "Give it more photographs, or data.split a larger training part"
                    remedy += "." if generated is None else ", or leave the class out of data.generated.of."
                    raise DataError(sentence("split", owner, rule, count, remedy)).at("data", "split")


def _of_fold(fold: int, workspace: Workspace) -> str:
    """Name a fold behind its part; empty where there is one alone."""
    return f" of fold {fold}" if len(workspace.drawn_splits) > 1 else ""


def without_leaks(items: Items, splits: Sequence[Parts], record: CheckRecord) -> list[Parts]:
    """Return the splits without the training pictures that validation or test holds a twin of.

    Raises:
        DataError: if no training picture of a class is left.
    """
    kept = []
    for parts, fold in zip(splits, record.leaks, strict=True):
        dropped = np.isin(items.ids, items.ids[:0] if not fold.dropped else np.array(fold.dropped, items.ids.dtype))
        left = np.where(dropped, np.int8(Part.LEFT_OUT), parts)
        gone = np.setdiff1d(items.labels[parts == Part.TRAIN], items.labels[left == Part.TRAIN])
        if len(gone):
            leak = how_many(int(dropped.sum()), "picture leaks", "pictures leak")
            found = f"{leak}, all of a class of the training part among them"
            rule = "a split that keeps training pictures of every class once what leaks is dropped"
            raise DataError(sentence("data", "on_leak: drop", rule, found, "Split by group, or set on_leak: allow."))
        kept.append(left)
    return kept


def _unseen(record: CheckRecord) -> list[str]:
    """Return what was not looked at as there are too many pictures: it may leak without anybody knowing."""
    told = {
        "The pictures were not opened": "There are too many pictures for the data check before a study: none was "
        "opened, so faults, duplicates and leaks are not known. `etude data check` with --limit looks at all.",
        "Near duplicates were not looked for among": "There are too many pictures to be compared with each other "
        "before a study: near duplicates were not looked for, equal pictures were. `etude data check` with --limit "
        "compares all.",
    }
    return [note for begin, note in told.items() if any(one.startswith(begin) for one in record.skipped)]


def leak_notes(workspace: Workspace) -> list[str]:
    """Say what a reader of the scores must know of leaks: what was dropped, what stayed in, what nobody looked at."""
    record, mode = workspace.check, workspace.study.data.on_leak
    unseen = _unseen(record)
    if not record.leaks_any:
        return unseen
    return [*unseen, *_tell_leaks(record, mode)]


def _tell_leaks(record: CheckRecord, mode: str) -> list[str]:
    """Say what was dropped, or what stayed in."""
    n_leaked = sum(len(fold.test) for fold in record.leaks)
    n_test = sum(fold.n_test for fold in record.leaks)
    if mode == "drop":
        n_dropped = sum(len(fold.dropped) for fold in record.leaks)
        return [
            f"{how_many(n_dropped, 'picture')} left training or validation, as another part holds a twin (on_leak: "
            f"drop)."
        ]
    if n_leaked == n_test:
        return [
            f"No clean test picture remains: training or validation holds a twin, or another frame of the sequence, of "
            f"each of the {n_test:,} (on_leak: allow). The scores say nothing about new pictures."
        ]
    if n_leaked:
        return [
            f"Of {n_leaked:,} of {n_test:,} test pictures training or validation holds a twin or another frame "
            f"(on_leak: allow). The leaderboard gives the score without them too."
        ]
    if {finding.kind for finding in record.findings if finding.kind.startswith("leak-")} == {"leak-group"}:
        return [
            "Training holds other pictures of the groups that validation is of, such as frames of a sequence (on_leak: "
            "allow): validation scores are too high."
        ]
    return [
        "Training holds twins of validation pictures (on_leak: allow): what is chosen on validation looks better than "
        "it is."
    ]


def _tell_leak(record: CheckRecord, workspace: Workspace) -> str:
    """Say what leaks, and what can be done about it."""
    grave = [found for found in record.findings if found.kind.startswith("leak-") and found.severity == "error"]
    told = " ".join(finding.sentence for finding in grave)
    first = next((finding.sets[0] for finding in grave if finding.sets), ())
    such_as = f" For example {' and '.join(first[:2])}." if len(first) > 1 else ""
    n_dropped = max(len(fold.dropped) for fold in record.leaks)
    by_group = (
        "Split by group (data.split.kind: group)"
        if workspace.source.items.groups is not None
        else "Split by group (a CSV source with a column `group`, the same for twins, and data.split.kind: group)"
    )
    if workspace.study.data.split.kind == "blocks":
        by_group = "Leave more frames out between the stretches (data.split.gap), split by group"
    return (
        f"{record.source}: the split leaks. {told}{such_as} {by_group}, or set data.on_leak: drop to leave "
        f"{how_many(n_dropped, 'twin')} out of training and validation, or data.on_leak: allow to go on and have "
        f"the score with "
        f"and without them. The pictures are side by side in {workspace.folder.root / 'check.html'}"
    )


def _load(file: Path, key: str) -> CheckRecord | None:
    """Return the record of an earlier check with this key."""
    if not file.is_file():
        return None
    try:
        record = CheckRecord.load(file)
    except MistakeError:  # of another version, or damaged: it is made anew
        return None
    return record if record.key == key else None
