"""The record of a run, whatever was trained: what was asked, what happened, what it gave and cost."""

from __future__ import annotations

from collections.abc import Mapping

from etude.core.machine import command_words
from etude.core.run_record import Cost, RunRecord
from etude.data.prepared import note_left_out
from etude.evaluate.cost import versions
from etude.train.job import Job
from etude.train.loop import now
from etude.train.state import Progress


def make_record(
    job: Job,
    progress: Progress,
    *,
    steps: int,
    n_train: int,
    scores: Mapping[str, dict[str, float]],
    opened_at: str,
    cost: Cost,
    precision: str,
) -> RunRecord:
    """Return the record of a run that is finished now.

    Args:
        job: what was asked.
        progress: how its training went.
        steps: optimiser steps that were made.
        n_train: pictures that were trained on.
        scores: by part (train, validation and test) and metric.
        opened_at: when the test part was opened, ISO 8601, UTC.
        cost: what it cost.
        precision: fp32, bf16 or fp16.
    """
    return RunRecord(
        identity=job.identity,
        study=job.study,
        candidate=job.candidate,
        seed=job.seed,
        fold=job.fold,
        config=job.config,
        classes=job.classes,
        device=job.execution.words(),
        precision=precision,
        versions=versions(),
        command=job.command or command_words(),
        started_at=progress.started_at,
        finished_at=now(),
        interruptions=progress.interruptions,
        stopped="early" if progress.stopped == "early" else "complete",
        best_epoch=progress.best_epoch,
        epochs=progress.epoch,
        steps=steps,
        n_train=n_train,
        train=scores["train"],
        validation=scores["validation"],
        test=scores["test"],
        test_opened_at=opened_at,
        cost=cost,
        notes=(*job.notes, *progress.notes, *note_left_out(job.parts("train").left_out)),
    )
