"""Scores of finished runs on corrupted test pictures: the final candidate's and the baseline's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from etude.core.robustness_record import CorruptedScore, RobustnessRecord, RunRobustness, SliceScore
from etude.core.study_record import RunRef, StudyRecord
from etude.core.words import Part
from etude.evaluate.corruptions import CORRUPTIONS, SEVERITIES, corrupt
from etude.evaluate.detector import Adjustment
from etude.evaluate.final import final_candidate
from etude.evaluate.predictions import Predictions
from etude.study.jobs import make_job
from etude.study.plan import Order
from etude.study.resolve import Candidate
from etude.study.workspace import Workspace

RUNS_EACH = 3
"""Runs of a candidate that are measured: more cost time and change little."""
_LEAST_OF_GROUP, _MOST_GROUPS = 5, 50


def measure_robustness(
    workspace: Workspace, candidates: Mapping[str, Candidate], record: StudyRecord
) -> RobustnessRecord:  # fmt: skip
    """Measure the runs that were not measured before, and write `robustness.json`.

    Raises:
        EtudeError: if the data or a network cannot be used.
    """
    path = workspace.folder.robustness
    known: dict[str, RunRobustness] = {}
    if path.exists():
        before = RobustnessRecord.load(path)
        known = {run.identity: run for run in before.runs if before.metric == record.metric}
    measured = []
    for number, ref in enumerate(refs := _chosen(record), 1):
        if ref.identity in known:
            measured.append(known[ref.identity].model_copy(update={"candidate": ref.candidate}))
            continue
        workspace.watch.said(f"robustness of {ref.candidate}, seed {ref.seed} ({number} of {len(refs)})")
        measured.append(_measure(workspace, candidates[ref.candidate], ref))
    whole = RobustnessRecord(metric=record.metric, runs=tuple(measured))
    whole.save(path)
    return whole


def _chosen(record: StudyRecord) -> list[RunRef]:
    """Return the first finished runs of the final candidate and of the baseline."""
    names = dict.fromkeys(filter(None, (final_candidate(record), record.baseline)))
    return [
        ref
        for name in names
        for ref in [ref for ref in record.runs if ref.candidate == name and ref.status == "finished"][:RUNS_EACH]
    ]


def _measure(workspace: Workspace, candidate: Candidate, ref: RunRef) -> RunRobustness:
    """Ask one finished network about the test pictures, as they are and corrupted."""
    from etude.train.finish import open_finished
    from etude.train.loop import predict

    job = make_job(workspace, candidate, Order(ref.candidate, ref.seed, ref.fold, ref.identity))
    folder = workspace.folder.run(ref.identity)
    run, fitted = open_finished(job, folder)
    adjustment = Adjustment(run.temperature, run.threshold)
    clean = Predictions.read(folder / "predictions.parquet", Part.TEST)
    prepared = job.parts("test")
    metric = workspace.study.protocol.metric
    scores, right_RN = [], []
    for name in CORRUPTIONS:
        for severity in SEVERITIES:
            worse = replace(prepared, pictures_NHWC=corrupt(prepared.pictures_NHWC, name, severity))
            answers = adjustment.apply(replace(clean, probabilities=predict(fitted, job, worse)))
            scores.append(CorruptedScore(corruption=name, severity=severity, score=answers.score(metric)))
            right_RN.append(answers.labels == answers.truth)
    corrupted_N = np.mean(right_RN, axis=0)
    clean_N = (clean.labels == clean.truth).astype(np.float64)
    groups = workspace.source.items.groups
    names_N = None if groups is None else groups[prepared.indices_N]
    return RunRobustness(
        identity=ref.identity,
        candidate=ref.candidate,
        clean=clean.score(metric),
        scores=tuple(scores),
        classes=_slices(np.array(job.classes)[clean.truth], clean_N, corrupted_N),
        groups=() if names_N is None else _slices(names_N, clean_N, corrupted_N, _LEAST_OF_GROUP)[:_MOST_GROUPS],
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
