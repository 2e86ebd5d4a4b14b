"""What follows the last epoch: the test part is opened, once, and the record is written."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from etude.core.errors import MistakeError, sentence
from etude.core.run_record import MODEL_FILE, Cost, RunRecord
from etude.core.watch import Watcher
from etude.core.words import Part
from etude.data.prepared import take_rows
from etude.evaluate.categories import category_ious, class_ious
from etude.evaluate.cost import Latency, measure_latency
from etude.evaluate.detector import Adjustment, check_adjustable, choose_adjustment
from etude.evaluate.mask_counts import write_mask_counts
from etude.evaluate.predictions import Predictions, write_predictions
from etude.evaluate.scores import score
from etude.models import count_macs, count_parameters
from etude.train.ensemble import join_members, predict_held_out
from etude.train.epochs import kept_epochs
from etude.train.generation import run_generation
from etude.train.job import Job
from etude.train.loop import Fitted, build_task, fit, now, predict, prepare_model, write_history
from etude.train.mask_answers import count_masks
from etude.train.mask_examples import EXAMPLES_FOLDER, save_examples
from etude.train.memory import device_memory_mb, forget_held_memory, larger_mb, own_memory_mb, reset_device_memory
from etude.train.recording import make_record
from etude.train.soup import average_weights
from etude.train.state import Progress, load_weights, save_tensors
from etude.train.views import Views
from etude.train.windows import Windows

RECORD_FILE = "run.json"
PREDICTIONS_FILE = "predictions.parquet"
HISTORY_FILE = "history.jsonl"
MOST_OF_TRAINING = 10_000
"""Training pictures that are answered at the end, evenly spread: their mean is known to a point by so many. Of features
that are there already all are answered."""


def run_job(job: Job, folder: Path, watch: Watcher) -> RunRecord:
    """Train a job, or finish it, and write its record; the record is written last, so it says 'done'.

    Raises:
        DivergenceError: if the loss is no longer finite.
        MistakeError: if a threshold or a temperature is asked for that cannot be chosen.
        StorageError: if the disk is full.
    """
    if job.task == "generation":
        return run_generation(job, folder, watch)
    if job.threshold is not None or job.calibrate:
        check_adjustable(len(job.classes), len(job.parts("validation").labels_N), job.threshold)
    folder.mkdir(parents=True, exist_ok=True)
    fitted = _take_over(job, folder, watch) or _train(job, folder, watch)
    write_history(folder, fitted.progress)
    save_tensors(folder / MODEL_FILE, fitted.model.state_dict())
    fitted = _with_views(job, fitted)
    finish = _finish_masks if job.task == "segmentation" else _finish_classes
    record = finish(job, fitted, folder)
    record.save(folder / RECORD_FILE)
    shutil.rmtree(folder / "state", ignore_errors=True)
    return record


def _finish_classes(job: Job, fitted: Fitted, folder: Path) -> RunRecord:
    """Answer all parts with classes, choose on validation what is chosen there, and write the predictions."""
    scores: dict[str, dict[str, float]] = {}
    predictions = []
    opened_at = ""
    validation = _predict_part(job, fitted, Part.VALIDATION)
    adjustment = choose_adjustment(validation, job.threshold, calibrate=job.calibrate)
    for part in (Part.TRAIN, Part.VALIDATION, Part.TEST):
        if part is Part.TEST:
            opened_at = now()
        answered = adjustment.apply(validation if part is Part.VALIDATION else _predict_part(job, fitted, part))
        scores[part.label] = score(answered, (job.metric, *job.also)) if len(answered.truth) else {}
        if part is not Part.TRAIN:
            predictions.append(answered)
    write_predictions(folder / PREDICTIONS_FILE, predictions)
    return _record(job, fitted, folder, scores, opened_at, adjustment)


def _finish_masks(job: Job, fitted: Fitted, folder: Path) -> RunRecord:
    """Answer all parts with masks, count them, and keep some to look at."""
    scores: dict[str, dict[str, float]] = {}
    kept = []
    opened_at = ""
    for part in (Part.TRAIN, Part.VALIDATION, Part.TEST):
        if part is Part.TEST:
            opened_at = now()
        counts = count_masks(job, fitted, part)
        known = [name for name in (job.metric, *job.also) if part is not Part.TRAIN or name != "boundary_f1"]
        scores[part.label] = score(counts, known) if len(counts) else {}
        if part is not Part.TRAIN:
            kept.append(counts)
    write_mask_counts(folder / PREDICTIONS_FILE, kept)
    confusion_KK = kept[-1].confusions.sum(0)
    save_examples(job, fitted, kept[-1], folder / EXAMPLES_FOLDER)
    record = _record(job, fitted, folder, scores, opened_at, Adjustment())
    ious = {
        "test_classes": class_ious(confusion_KK, job.classes),
        "test_categories": category_ious(confusion_KK, job.classes),
    }
    return record.model_copy(update=ious)


def _train(job: Job, folder: Path, watch: Watcher) -> Fitted:
    """Train the network of a job; of one with members, those that are not finished."""
    if not job.members:
        return fit(job, folder, watch)
    folders = [folder.with_name(member.identity) for member in job.members]
    for member, beside in zip(job.members, folders, strict=True):
        if not (beside / RECORD_FILE).exists():
            run_job(member, beside, watch)
    if job.last_epochs:
        return _average_epochs(job, folder, watch)
    members = [_read_finished(member, beside)[1] for member, beside in zip(job.members, folders, strict=True)]
    together = join_members(members)
    if job.joined == "answers":
        return together
    files = [beside / MODEL_FILE for beside in folders]
    return average_weights(job, files, replace(together, model=members[0].model))


def _average_epochs(job: Job, folder: Path, watch: Watcher) -> Fitted:
    """Average the weights of the last epochs of the job's one member, which is finished."""
    member = job.members[0]
    beside = folder.with_name(member.identity)
    record, fitted = _read_finished(member, beside)
    watch.run_started(job.label, *job.position, record.epochs, record.steps, record.steps)
    files = kept_epochs(beside)
    if len(files) < min(job.last_epochs, record.epochs):  # it was trained before anyone asked for its last epochs
        fitted = fit(member, folder, watch)
        files = kept_epochs(folder)
    return average_weights(job, files[-job.last_epochs :], fitted) if files else fitted


def _take_over(job: Job, folder: Path, watch: Watcher) -> Fitted | None:
    """Return the network of the finished run that differs in the views only; none where there is none."""
    other = folder.with_name(job.trained_as) if job.trained_as else folder
    if not job.trained_as or not (other / RECORD_FILE).exists():
        return None
    record, fitted = _read_finished(job, other)
    reset_device_memory(job.execution.device)
    if record.cost.own_memory_mb is None:  # what answering alone takes is not what training took
        forget_held_memory(job.execution.device)
    watch.run_started(job.label, *job.position, record.epochs, record.steps, record.steps)
    return fitted


def open_finished(job: Job, folder: Path) -> tuple[RunRecord, Fitted]:
    """Return the record of a finished run and its network, ready to answer.

    Raises:
        MistakeError: if the record or the weights cannot be read.
    """
    if job.task == "generation":
        remedy = "Look at its samples in the run's folder."
        raise MistakeError(sentence(job.study, "task", "one whose network answers to pictures", job.task, remedy))
    record, fitted = _read_finished(job, folder)
    return record, _with_views(job, fitted)


def _with_views(job: Job, fitted: Fitted) -> Fitted:
    """Return the network with the views and the windows in which it answers, of which training knows nothing."""
    model = fitted.model
    if job.views != "none":
        model = Views(model, job.views)
    if job.windows == "sliding" and job.train.crop_px is not None:
        model = Windows(model, job.train.crop_px)
    return fitted if model is fitted.model else replace(fitted, model=model.eval(), store=None)


def _read_finished(job: Job, folder: Path) -> tuple[RunRecord, Fitted]:
    """Read the record and the weights of a finished run."""
    record = RunRecord.load(folder / RECORD_FILE)
    train_set = job.parts("train")
    model = prepare_model(job, train_set)
    model.load_state_dict(load_weights(folder / MODEL_FILE))
    progress = Progress(
        epoch=record.epochs,
        best_epoch=record.best_epoch,
        seconds=record.cost.seconds,
        seconds_to_best=record.cost.seconds_to_best,
        features_seconds=record.cost.features_seconds,
        started_at=now(),
        stopped=record.stopped,
        own_memory_mb=record.cost.own_memory_mb,
        history=[json.loads(line) for line in (folder / HISTORY_FILE).read_text("utf-8").splitlines()],
    )
    task = build_task(job, train_set)
    return record, Fitted(model.eval(), task, progress, record.cost.images_per_s, record.steps)


def _predict_part(job: Job, fitted: Fitted, part: Part) -> Predictions:
    prepared = job.parts(part.label)
    if part is Part.TRAIN and fitted.store is None and len(prepared) > MOST_OF_TRAINING:
        prepared = take_rows(prepared, np.linspace(0, len(prepared) - 1, MOST_OF_TRAINING).round().astype(np.int64))
    held_out = part is Part.VALIDATION and job.over_folds
    return Predictions(
        ids=job.item_ids(prepared.indices_N),
        part=part,
        truth=prepared.labels_N,
        probabilities=predict_held_out(job, fitted) if held_out else predict(fitted, job, prepared),
    )


def _record(
    job: Job,
    fitted: Fitted,
    folder: Path,
    scores: dict[str, dict[str, float]],
    opened_at: str,
    adjustment: Adjustment,
) -> RunRecord:
    record = make_record(
        job,
        fitted.progress,
        steps=fitted.steps,
        n_train=_count_trained_on(job),
        scores=scores,
        opened_at=opened_at,
        cost=_cost(job, fitted, folder),
        precision=job.execution.precision,
    )
    return record.model_copy(update={"temperature": adjustment.temperature, "threshold": adjustment.threshold})


def _count_trained_on(job: Job) -> int:
    """Return how many pictures the network, or one of those over folds, was trained on."""
    parts = ("train", "validation") if job.over_folds else ("train",)
    return sum(len(job.parts(part).labels_N) for part in parts)


def _cost(job: Job, fitted: Fitted, folder: Path) -> Cost:
    progress = fitted.progress
    height_px, width_px = job.prepare.height_px, job.prepare.width_px
    latency = _measure_latency(job, fitted)
    return Cost(
        seconds=progress.seconds,
        seconds_to_best=progress.seconds_to_best,
        features_seconds=progress.features_seconds,
        images_per_s=fitted.images_per_s,
        params=count_parameters(fitted.model),
        macs=count_macs(fitted.model, (height_px, width_px)),
        memory_mb=max(progress.memory_mb, device_memory_mb(job.execution.device)),
        own_memory_mb=larger_mb(progress.own_memory_mb, own_memory_mb(job.execution.device)),
        latency_ms=latency.median_ms,
        latency_q1_ms=latency.q1_ms,
        latency_q3_ms=latency.q3_ms,
        size_mb=(folder / MODEL_FILE).stat().st_size / 1e6,
    )


@torch.no_grad()
def _measure_latency(job: Job, fitted: Fitted) -> Latency:
    """Time one picture through the network, with its views and windows, as it is trained here."""
    execution = job.execution
    image_BCHW = torch.zeros(1, 3, job.prepare.height_px, job.prepare.width_px, device=execution.device)
    if execution.channels_last:
        image_BCHW = image_BCHW.to(memory_format=torch.channels_last)

    def answer() -> None:
        with execution.autocast():
            fitted.model(image_BCHW)
        if execution.device.type == "cuda":
            torch.cuda.synchronize()

    return measure_latency(answer)
