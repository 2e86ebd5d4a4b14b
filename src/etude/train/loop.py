"""The training loop, from top to bottom.

Every random draw of an epoch comes from the seed and the number of the epoch, so a run that is resumed
between two epochs draws what it would have drawn: on a CPU its end result is the same to the last bit.
"""

from __future__ import annotations

import math
import statistics
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from torch import nn

from etude.core.errors import DivergenceError
from etude.core.files import write_text
from etude.core.run_record import Epoch
from etude.core.seeds import derive
from etude.core.watch import Watcher
from etude.data.memory import MemoryLoader
from etude.data.prepared import PreparedSet
from etude.metrics.registry import METRICS
from etude.pictures.prepare import normalisation
from etude.tasks.classification import Classification, balanced_weights
from etude.tasks.task import Task
from etude.train.averaging import WeightAverage
from etude.train.config import TrainConfig
from etude.train.job import Job
from etude.train.memory import device_memory_mb, reset_device_memory
from etude.train.optimizers import build_optimizer
from etude.train.schedules import lr_factor
from etude.train.state import BEST_FILE, Progress, load_state, load_tensors, save_state, save_tensors

_PROBE_EVERY = 16  # steps between looks at the loss; each look waits for the device


@dataclass(frozen=True)
class Fitted:
    """A trained network, with the weights that were kept, and how it came to them."""

    model: nn.Module
    task: Task
    progress: Progress
    images_per_s: float
    """Median over the epochs."""
    steps: int


def fit(job: Job, folder: Path, watch: Watcher) -> Fitted:
    """Train a job, from its last saved epoch where there is one, and load the weights to keep.

    Raises:
        DivergenceError: if the loss is no longer finite.
        StorageError: if the state cannot be written.
    """
    config, execution = job.train, job.execution
    train_set, validation_set = job.parts("train"), job.parts("validation")
    loader = training_loader(job, train_set)
    validation = plain_loader(job, validation_set) if len(validation_set.labels_N) else None
    task = build_task(job, train_set)
    model = prepare_model(job, train_set)
    has_steps = any(p.requires_grad for p in model.parameters()) and config.epochs > 0
    epochs = config.epochs if has_steps else 0
    steps = epochs * len(loader)

    optimizer = build_optimizer(model, config.optimizer) if has_steps else torch.optim.SGD([torch.zeros(1)])
    average = WeightAverage(model, config.average)
    scaler = torch.amp.GradScaler(execution.device.type, enabled=execution.precision == "fp16")
    reset_device_memory(execution.device)
    progress = load_state(folder / "state", model, optimizer, average)
    if progress is None:
        progress = Progress(started_at=now())
    else:
        progress.interruptions += 1
    is_better = math.inf if METRICS[job.metric].higher_is_better else -math.inf
    step = progress.epoch * len(loader)
    watch.run_started(job.label, *job.position, epochs, steps, step)

    while progress.epoch < epochs and not progress.finished:
        # One epoch: every draw that it makes (order, augmentation, dropout) has its own seed.
        started = time.perf_counter()
        torch.manual_seed(derive(job.seed, "epoch", progress.epoch))
        loader.set_epoch(progress.epoch)
        model.train()
        loss_sum = torch.zeros((), dtype=torch.float64 if execution.device.type != "mps" else torch.float32)
        loss_sum = loss_sum.to(execution.device)
        right = torch.zeros((), dtype=torch.int64, device=execution.device)
        seen = 0
        for batch in loader:
            factor = lr_factor(config.schedule, step, steps)
            for group in optimizer.param_groups:
                group["lr"] = group["peak_lr"] * factor
            with execution.autocast():
                result = task.step(model, batch)
            optimizer.zero_grad(set_to_none=True)
            scaler.scale(result.loss).backward()  # type: ignore[no-untyped-call]
            if config.clip_norm is not None:
                scaler.unscale_(optimizer)
                nn.utils.clip_grad_norm_(model.parameters(), config.clip_norm)
            scaler.step(optimizer)
            scaler.update()
            step += 1
            average.update(model, step, steps)
            loss_sum += result.loss.detach() * len(batch.targets_B)
            right += result.right
            seen += len(batch.targets_B)
            if step % _PROBE_EVERY == 0:
                loss = loss_sum.item() / seen
                if not math.isfinite(loss):
                    break
                watch.stepped(step, loss, seen / (time.perf_counter() - started))
        train_loss = loss_sum.item() / max(1, seen)
        seconds = time.perf_counter() - started
        if not math.isfinite(train_loss):
            raise DivergenceError(_divergence(job, progress.epoch + 1, factor))

        # The end of the epoch: validate, keep the best weights, save the state.
        is_averaged = config.average.name == "ema"
        if is_averaged:
            average.swap(model)
        loss_value, score = validate(model, task, validation, validation_set, job)
        progress.epoch += 1
        epoch = Epoch(
            epoch=progress.epoch,
            step=step,
            train_loss=train_loss,
            train_score=right.item() / max(1, seen) if job.metric == "accuracy" else None,
            validation_loss=loss_value,
            validation_score=score,
            lr=config.optimizer.peak_lr * factor,
            seconds=seconds,
            images_per_s=seen / seconds,
        )
        progress.history.append(epoch.model_dump())
        if _is_kept(config, score, progress, is_better):
            progress.best_epoch, progress.best_score = progress.epoch, score
            progress.seconds_to_best = progress.seconds + time.perf_counter() - started
            save_tensors(folder / "state" / BEST_FILE, model.state_dict())
        if is_averaged:
            average.swap(model)
        progress.seconds += time.perf_counter() - started
        progress.memory_mb = max(progress.memory_mb, device_memory_mb(execution.device))
        progress.finished = progress.epoch >= epochs or _is_stale(config, progress)
        progress.stopped = "complete" if progress.epoch >= epochs else "early"
        save_state(folder / "state", progress, model, optimizer, average)
        write_history(folder, progress)
        watch.epoch_done(epoch)

    if progress.best_epoch:
        model.load_state_dict(load_tensors(folder / "state" / BEST_FILE)[0])
    rates = [line.images_per_s for line in progress.epochs()]
    return Fitted(model.eval(), task, progress, statistics.median(rates) if rates else 0.0, step)


def build_task(job: Job, train_set: PreparedSet) -> Task:
    """Return the job's task, with the class weights of the training part where they are asked for."""
    weights = None
    if job.train.class_weights == "balanced":
        weights = balanced_weights(torch.from_numpy(train_set.labels_N), len(job.classes))
    return Classification(job.classes, job.train.label_smoothing, weights)


def prepare_model(job: Job, train_set: PreparedSet) -> nn.Module:
    """Build the network, let it look at the training part where it wants to, and place it."""
    model = job.build()
    if hasattr(model, "fit_labels"):
        model.fit_labels(  # type: ignore[operator]
            torch.from_numpy(train_set.labels_N), len(job.classes)
        )
    if hasattr(model, "fit_pictures"):
        model.fit_pictures(_sample(job, train_set))  # type: ignore[operator]
    return job.execution.place(model)


def _sample(job: Job, prepared: PreparedSet, count: int = 2000) -> torch.Tensor:
    """Return up to `count` training pictures, evenly spread, (N, 3, H, W) float32 normalised."""
    every = max(1, len(prepared.labels_N) // count)
    pictures_NHWC = torch.from_numpy(np.ascontiguousarray(prepared.pictures_NHWC[::every][:count]))
    mean, std = (torch.tensor(values) for values in normalisation(job.prepare))
    return ((pictures_NHWC.float() / 255 - mean) / std).permute(0, 3, 1, 2).contiguous()


def training_loader(job: Job, train_set: PreparedSet) -> MemoryLoader:
    """Return the loader of the training part: shuffled, augmented, without a last short batch."""
    return _loader(job, train_set, job.augment, job.train.batch, True)


def plain_loader(job: Job, prepared: PreparedSet) -> MemoryLoader:
    """Return a loader in order, without augmentation."""
    return _loader(job, prepared, None, max(job.train.batch, 512), False)


def _loader(
    job: Job, prepared: PreparedSet, augment: object, batch: int, shuffle: bool
) -> MemoryLoader:  # fmt: skip
    mean, std = normalisation(job.prepare)
    return MemoryLoader(
        prepared.pictures_NHWC,
        prepared.labels_N,
        batch=batch,
        seed=derive(job.seed, "loader"),
        mean=mean,
        std=std,
        augment=augment,  # type: ignore[arg-type]
        shuffle=shuffle,
        drop_last=shuffle,
        device=job.execution.device,
        channels_last=job.execution.channels_last,
        n_classes=len(job.classes),
    )


@torch.no_grad()
def validate(
    model: nn.Module, task: Task, loader: MemoryLoader | None, prepared: PreparedSet, job: Job
) -> tuple[float | None, float | None]:
    """Return the loss and the metric on the validation part; none for an empty part."""
    if loader is None:
        return None, None
    logits_NK = infer(model, loader, job)
    answers_NK = task.answer(logits_NK).cpu().numpy()
    loss = task.loss(logits_NK, torch.from_numpy(prepared.labels_N).to(logits_NK.device)).item()
    return loss, float(METRICS[job.metric].function(prepared.labels_N, answers_NK))


@torch.no_grad()
def infer(model: nn.Module, loader: MemoryLoader, job: Job) -> torch.Tensor:
    """Return the logits (N, K), float32, of all pictures of a loader, in order."""
    model.eval()
    with job.execution.autocast():
        return torch.cat([model(batch.images_BCHW).float() for batch in loader])


def predict(model: nn.Module, task: Task, job: Job, prepared: PreparedSet) -> np.ndarray:
    """Return the probabilities (N, K), float32, of a part's pictures, in order."""
    if not len(prepared.labels_N):
        return np.zeros((0, len(job.classes)), np.float32)
    return task.answer(infer(model, plain_loader(job, prepared), job)).cpu().numpy()


def write_history(folder: Path, progress: Progress) -> None:
    """Write `history.jsonl`: one line an epoch."""
    write_text(folder / "history.jsonl", "".join(line.model_dump_json() + "\n" for line in progress.epochs()))


def now() -> str:
    """Return the date and time, UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _is_kept(config: TrainConfig, score: float | None, progress: Progress, direction: float) -> bool:
    """Say whether the epoch's weights are to be kept: a score that ties with an earlier one is not."""
    if config.keep == "last" or score is None or progress.best_score is None or math.isnan(progress.best_score):
        return True
    return score > progress.best_score if direction > 0 else score < progress.best_score


def _is_stale(config: TrainConfig, progress: Progress) -> bool:
    if config.early_stopping is None or config.keep == "last":
        return False
    return progress.epoch - progress.best_epoch >= config.early_stopping


def _divergence(job: Job, epoch: int, factor: float) -> str:
    lr = job.train.optimizer.peak_lr * factor
    return (
        f"train: the loss of {job.label} is no longer a number in epoch {epoch}, at learning rate {lr:.3g}. "
        f"Lower train.optimizer.lr, or set train.clip_norm (1.0, say) or train.precision: fp32."
    )
