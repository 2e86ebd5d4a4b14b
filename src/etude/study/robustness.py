"""Scores of finished runs on corrupted test pictures: the final candidate's and the baseline's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from etude.core.counting import how_many
from etude.core.robustness_record import CorruptedScore, RobustnessRecord, RunRobustness, SliceScore
from etude.core.study_record import RunRef, StudyRecord
from etude.core.words import Part
from etude.evaluate.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from etude.evaluate.detector import Adjustment
from etude.evaluate.final import final_candidate
from etude.evaluate.predictions import Predictions
from etude.explain.records import LEAST_OF_GROUP, MOST_GROUPS
from etude.study.jobs import make_job
from etude.study.plan import Order
from etude.study.resolve import Candidate
from etude.study.workspace import Workspace

if TYPE_CHECKING:
    from etude.train.job import Job
    from etude.train.loop import Fitted

RUNS_EACH = 3
"""Runs of a candidate that are measured: more cost time and change little."""


def measure_robustness(
    workspace: Workspace, candidates: Mapping[str, Candidate], record: StudyRecord
) -> RobustnessRecord:  # fmt: skip
    """Measure the runs that were not measured before, and write `robustness.json`.

    Pictures are corrupted once for all networks that are asked about them.

    Raises:
        EtudeError: if the data or a network cannot be used.
    """
    path = workspace.folder.robustness
    measured: dict[str, RunRobustness] = {}
    if path.exists():
        before = RobustnessRecord.load(path)
        measured = {run.identity: run for run in before.runs if before.metric == record.metric}
    refs = _chosen(record)
    asked = [_open(workspace, candidates[ref.candidate], ref) for ref in refs if ref.identity not in measured]
    alike: dict[str, list[_Asked]] = {}
    for one in asked:
        alike.setdefault(one.pictures, []).append(one)

    done, total = 0, len(alike) * len(CORRUPTIONS) * len(SEVERITIES)
    for runs in alike.values():
        for name in CORRUPTIONS:
            for severity in SEVERITIES:
                _ask(runs, name, severity)
                done += 1
                workspace.watch.counted(f"corruptions asked of {how_many(len(asked), 'network')}", done, total)
        measured |= {one.ref.identity: _sum_up(workspace, one) for one in runs}
        _record(record, refs, measured).save(path)
    whole = _record(record, refs, measured)
    whole.save(path)
    return whole


def _record(record: StudyRecord, refs: Sequence[RunRef], measured: Mapping[str, RunRobustness]) -> RobustnessRecord:
    """Put together what was measured so far, under the names that candidates have now."""
    runs = [
        measured[ref.identity].model_copy(update={"candidate": ref.candidate})
        for ref in refs
        if ref.identity in measured
    ]
    return RobustnessRecord(metric=record.metric, runs=tuple(runs))


def _chosen(record: StudyRecord) -> list[RunRef]:
    """Return the first finished runs of the final candidate and of the baseline."""
    names = dict.fromkeys(filter(None, (final_candidate(record), record.baseline)))
    return [
        ref
        for name in names
        for ref in [ref for ref in record.runs if ref.candidate == name and ref.status == "finished"][:RUNS_EACH]
    ]


@dataclass(frozen=True)
class _Asked:
    """A finished network that is asked about corrupted pictures, and what it answered so far."""

    ref: RunRef
    job: Job
    fitted: Fitted
    adjustment: Adjustment
    clean: Predictions
    pictures: str
    """The same for networks that are asked about the same pictures, which are corrupted once for all of them."""
    metric: str
    scores: list[CorruptedScore] = field(default_factory=list)
    right_RN: list[np.ndarray] = field(default_factory=list)


def _open(workspace: Workspace, candidate: Candidate, ref: RunRef) -> _Asked:
    from etude.train.finish import open_finished

    job = make_job(workspace, candidate, Order(ref.candidate, ref.seed, ref.fold, ref.identity))
    folder = workspace.folder.run(ref.identity)
    run, fitted = open_finished(job, folder)
    clean = Predictions.read(folder / "predictions.parquet", Part.TEST)
    pictures = f"{ref.fold} {job.prepare.model_dump_json()}"
    adjustment = Adjustment(run.temperature, run.threshold)
    return _Asked(ref, job, fitted, adjustment, clean, pictures, workspace.study.protocol.metric)


def _ask(runs: Sequence[_Asked], name: str, severity: int) -> None:
    """Ask networks about the same test pictures, corrupted."""
    from etude.train.loop import predict

    prepared = runs[0].job.parts("test")
    worse = replace(prepared, pictures_NHWC=corrupt(prepared.pictures_NHWC, name, severity))
    for one in runs:
        probabilities = predict(one.fitted, one.job, worse)
        answers = one.adjustment.apply(replace(one.clean, probabilities=probabilities))
        one.scores.append(CorruptedScore(corruption=name, severity=severity, score=answers.score(one.metric)))
        one.right_RN.append(answers.labels == answers.truth)


def _sum_up(workspace: Workspace, one: _Asked) -> RunRobustness:
    clean = one.clean
    corrupted_N = np.mean(one.right_RN, axis=0)
    clean_N = (clean.labels == clean.truth).astype(np.float64)
    groups = workspace.source.items.groups
    names_N = None if groups is None else groups[one.job.parts("test").indices_N]
    return RunRobustness(
        identity=one.ref.identity,
        candidate=one.ref.candidate,
        clean=clean.score(one.metric),
        scores=tuple(one.scores),
        classes=_slices(np.array(one.job.classes)[clean.truth], clean_N, corrupted_N),
        groups=() if names_N is None else _slices(names_N, clean_N, corrupted_N, LEAST_OF_GROUP)[:MOST_GROUPS],
    )


def _slices(
    names_N: np.ndarray, clean_N: np.ndarray, corrupted_N: np.ndarray, least: int = 1
) -> tuple[SliceScore, ...]:  # fmt: skip
    """Return the shares of right answers by name, the worst under corruption first."""
    found: Sequence[SliceScore] = [
        SliceScore(
            name=str(name), n=int(chosen.sum()), clean=clean_N[chosen].mean(), corrupted=corrupted_N[chosen].mean()
        )
        for name in dict.fromkeys(names_N.tolist())
        if (chosen := names_N == name).sum() >= least
    ]
    return tuple(sorted(found, key=lambda entry: (entry.corrupted, entry.name)))
