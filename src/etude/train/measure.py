"""How long a training takes here, from a few steps of it."""

from __future__ import annotations

import math
import statistics
import tempfile
import time
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import torch

from etude.core.words import Part
from etude.data.prepared import PreparedSet
from etude.models.networks.depth import lr_scales, set_training, train_last
from etude.train.adversarial_measure import measure_generator
from etude.train.averaging import WeightAverage
from etude.train.finetune import Stage, plan_stages
from etude.train.footprint import estimate_memory_mb
from etude.train.job import Job
from etude.train.loaders import plain_loader, training_loader
from etude.train.loop import Fitted, build_task, length_of, prepare_model
from etude.train.mask_answers import MOST_OF_TRAINING, count_pictures, take
from etude.train.optimizers import build_optimizer
from etude.train.state import BEST_FILE, Progress, save_state, save_tensors
from etude.train.stepping import Stepper
from etude.train.validation import infer

_WARMUP_STEPS = 2
_LEAST_STEPS = 6
_MOST_STEPS = 12
_MOST_SECONDS = 2.0
_ANSWERED_MASKS = 6
_ANSWERED = 256  # pictures that are timed for validation and for the answers at the end


@dataclass(frozen=True)
class TrainingTime:
    """What a training takes, by part."""

    seconds: float
    """All of it: steps, validation after each epoch, answers at the end."""
    steps: int
    """Optimiser steps, over features that are computed once not counted."""
    step_s: float
    """Seconds of a step: median of those of the last stage."""
    epoch_s: float
    """Seconds that the end of an epoch takes: validation, and saving the state."""
    finish_s: float
    """Seconds of the answers to all parts at the end."""
    steps_of_epoch: int
    """Steps of an epoch."""
    memory_mb: float = 0.0
    """MiB that training is expected to take; 0 in what earlier versions measured."""


def measure_training(job: Job) -> TrainingTime:
    """Make a few steps of each stage and answer a few pictures; nothing is kept.

    Raises:
        EtudeError: if the network or the pictures cannot be had.
    """
    if job.task == "generation":
        return measure_generator(job)
    if job.extras:
        return _measure_with_generators(job)
    train_set, validation_set = job.parts("train"), job.parts("validation")
    model = prepare_model(job, train_set)
    trainable = frozenset(name for name, parameter in model.named_parameters() if parameter.requires_grad)
    per_picture_s = _time_answers(job, model, train_set)
    epoch_s = validate_s = per_picture_s * len(validation_set.labels_N)
    n_pictures = len(train_set.labels_N) + len(validation_set.labels_N) + len(job.parts("test").labels_N)
    finish_s = per_picture_s * n_pictures
    if job.task == "segmentation":  # at the size of the labels, where counting takes its time too
        n_scored = n_pictures - max(0, len(train_set.labels_N) - MOST_OF_TRAINING)
        finish_s = n_scored * _time_scores(job, model, train_set)
    steps_of_epoch = max(1, len(training_loader(job, train_set)))
    seconds, steps, step_s = finish_s, 0, 0.0
    for stage in plan_stages(job.finetune, job.train, augmented=job.is_augmented) if trainable else ():
        if stage.cached:  # the network before the head sees each picture once
            seconds += per_picture_s * n_pictures
            continue
        step_s, save_s = _time_steps(job, model, train_set, stage, trainable)
        epoch_s = validate_s + save_s
        of_stage = length_of(stage, job.train, steps_of_epoch)
        seconds += of_stage[0] * epoch_s + of_stage[1] * step_s
        steps += of_stage[1]
    memory_mb = estimate_memory_mb(job, model, build_task(job, train_set)) if trainable else 0.0
    return TrainingTime(seconds, steps, step_s, epoch_s, finish_s, steps_of_epoch, memory_mb)


def _measure_with_generators(job: Job) -> TrainingTime:
    """Measure a training on photographs alone, and add what its generators and their pictures take."""
    plain = measure_training(replace(job, extras=()))
    n_photographs = len(job.parts("train").labels_N)
    steps_of_epoch = max(1, (n_photographs + job.n_generated) // job.train.batch)
    steps = plain.steps if job.train.steps is not None else plain.steps * steps_of_epoch // plain.steps_of_epoch
    seconds = plain.seconds + (steps - plain.steps) * plain.step_s
    seconds += sum(measure_generator(extra.job, is_judged=False).seconds for extra in job.extras)
    return replace(plain, seconds=seconds, steps=steps, steps_of_epoch=steps_of_epoch)


def steps_within(budget_s: float, measured: TrainingTime) -> int:
    """Return how many steps, with validation after each epoch, a time budget allows; at least one.

    >>> steps_within(10.0, TrainingTime(0.0, 0, step_s=0.09, epoch_s=0.1, finish_s=0.0, steps_of_epoch=10))
    100
    """
    each_s = measured.step_s + measured.epoch_s / measured.steps_of_epoch
    return max(1, math.floor(budget_s / each_s + 1e-9)) if each_s > 0 else 1


def _time_steps(
    job: Job, model: torch.nn.Module, train_set: PreparedSet, stage: Stage, trainable: frozenset[str]
) -> tuple[float, float]:  # fmt: skip
    """Return the median seconds of a training step of a stage, loading included, and those of saving its state."""
    task = build_task(job, train_set)
    train_last(model, stage.blocks, trainable)
    optimizer = build_optimizer(model, job.train.optimizer, lr_scales(model, stage.layer_decay))
    stepper, average = Stepper.of(job, model, task, optimizer), WeightAverage(model, job.train.average)
    set_training(model, keeps_norm=job.keeps_norm)
    seconds: list[float] = []
    before = started = time.perf_counter()
    for batch in islice(training_loader(job, train_set), _MOST_STEPS):
        for result, _ in stepper.step(batch):
            result.loss.item()  # waits for the device
        average.update(model, len(seconds) + 1, _MOST_STEPS)
        now = time.perf_counter()
        seconds.append(now - before)
        before = now
        if now - started > _MOST_SECONDS and len(seconds) >= _WARMUP_STEPS + _LEAST_STEPS:
            break
    return statistics.median(seconds[_WARMUP_STEPS:] or seconds), _time_saving(job, model, optimizer)


def _time_saving(job: Job, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> float:
    """Return the seconds in which the state and the best weights are written."""
    average = WeightAverage(model, job.train.average)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        save_state(Path(folder), Progress(), model, optimizer, average)
        save_tensors(Path(folder) / BEST_FILE, model.state_dict())
        return time.perf_counter() - started


def _time_scores(job: Job, model: torch.nn.Module, prepared: PreparedSet) -> float:
    """Return the seconds in which one picture with a mask is answered and counted at the end of a run."""
    some = take(prepared, np.arange(min(len(prepared), _ANSWERED_MASKS)))
    started = time.perf_counter()
    with_contours = "boundary_f1" in (job.metric, *job.also)
    fitted = Fitted(model, build_task(job, prepared), Progress(), 0.0, 0)
    count_pictures(job, fitted, some, Part.TRAIN, with_contours=with_contours)
    return (time.perf_counter() - started) / len(some)


def _time_answers(job: Job, model: torch.nn.Module, prepared: PreparedSet) -> float:
    """Return the seconds in which one picture is answered, many at a time."""
    # The logits of masks are large, and a few pictures of that size take long enough to be timed.
    count = _ANSWERED if job.task == "classification" else _ANSWERED_MASKS
    some = take(prepared, np.arange(min(len(prepared), count)))
    seconds = []
    for _ in range(2):  # the first pass lays out memory
        started = time.perf_counter()
        infer(model, plain_loader(job, some), job).sum().item()
        seconds.append(time.perf_counter() - started)
    return min(seconds) / len(some.labels_N)
