"""The training loop, from top to bottom.

Every random draw of an epoch comes from the seed and the number of the epoch, so a run that is resumed
between two epochs draws what it would have drawn: on a CPU its end result is the same to the last bit.

A training has one stage, or several (`finetune: gradual`): each starts from the best weights so far, so a stage
that brings nothing on validation leaves nothing behind.
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
from etude.data.prepared import PreparedSet
from etude.evaluate.scores import metric_of
from etude.models.networks.depth import cut_before_head, lr_scales, set_training, train_last
from etude.pictures.prepare import normalisation
from etude.tasks.classification import Classification, balanced_weights
from etude.tasks.segmentation import Segmentation, pixel_weights
from etude.tasks.task import Task
from etude.train.averaging import WeightAverage
from etude.train.config import TrainConfig
from etude.train.epochs import drop_after, keep_epoch
from etude.train.features import FEATURES_FOLDER, FeatureStore
from etude.train.finetune import Stage, plan_stages
from etude.train.footprint import estimate_memory_mb, tell_memory
from etude.train.generated import train_generators, training_part
from etude.train.job import Job
from etude.train.loaders import Loader, plain_or_features, stage_loader, training_loader
from etude.train.memory import device_memory_mb, larger_mb, own_memory_mb, reset_device_memory
from etude.train.misfit import tell_misfit
from etude.train.optimizers import build_optimizer
from etude.train.schedules import lr_factor
from etude.train.state import BEST_FILE, Progress, SavedState, load_tensors, read_state, save_state, save_tensors
from etude.train.stepping import Stepper
from etude.train.validation import Validated, infer, validate

_PROBE_EVERY = 16  # steps between looks at the loss; each look waits for the device
_SAVE_SHARE = 1 / 30  # of the time of a training, at most, that its state may take to be written: epochs can be short
_SAVE_WITHIN_S = 60.0  # however long a write takes, no more than this and an epoch is lost where the process is killed


@dataclass(frozen=True)
class Fitted:
    """A trained network, with the weights that were kept, and how it came to them."""

    model: nn.Module
    task: Task
    progress: Progress
    images_per_s: float
    """Median over the epochs."""
    steps: int
    store: FeatureStore | None = None
    """The features under the weights that were kept, where the network before the head was left as it was."""


@dataclass(frozen=True)
class _Training:
    """What all stages of a training share."""

    job: Job
    folder: Path
    watch: Watcher
    task: Task
    model: nn.Module
    stages: tuple[Stage, ...]
    progress: Progress
    store: FeatureStore | None
    trainable: frozenset[str]
    """Names of the parameters that the network's family trains."""


def fit(job: Job, folder: Path, watch: Watcher) -> Fitted:
    """Train a job, from its last saved epoch where there is one, and load the weights to keep.

    Raises:
        DivergenceError: if the loss is no longer finite.
        ModelError: if a stage asks for what the network does not have.
        StorageError: if the state cannot be written.
    """
    seconds_of_generators, notes_of_generators = train_generators(job, watch)
    train_set = training_part(job)
    task, model = build_task(job, train_set), prepare_model(job, train_set)
    stages: tuple[Stage, ...] = ()
    trainable = frozenset(name for name, parameter in model.named_parameters() if parameter.requires_grad)
    if trainable and (job.train.epochs > 0 or job.train.steps is not None):
        stages = plan_stages(job.finetune, job.train, augmented=job.is_augmented)
    for stage in stages:  # one that asks for more blocks than there are is told before anything is trained
        train_last(model, stage.blocks, trainable)
    reset_device_memory(job.execution.device)
    saved = read_state(folder / "state")
    progress = saved.progress if saved is not None else Progress(started_at=now())
    progress.interruptions += saved is not None
    drop_after(folder, progress.epoch)
    if saved is None:
        progress.seconds += seconds_of_generators
        progress.notes += notes_of_generators
    store = open_store(job, model, stages, folder)
    if saved is None and (told := tell_misfit(job, model, train_set)):
        progress.notes.append(told)
        watch.said(told)
    training = _Training(job, folder, watch, task, model, stages, progress, store, trainable)
    steps_done = progress.history[-1]["step"] if progress.history else 0
    n_pictures = len(train_set.labels_N) * job.augment.times
    steps_of_epoch = max(1, n_pictures // job.train.batch)
    lengths = [length_of(stage, job.train, steps_of_epoch) for stage in stages]
    epochs, steps = sum(length[0] for length in lengths), sum(length[1] for length in lengths)
    watch.run_started(job.label, *job.position, epochs, steps, steps_done)
    if job.task == "segmentation" and stages:
        watch.said(tell_memory(job, estimate_memory_mb(job, model, task)))

    for number in range(progress.stage, len(stages)):
        if number > progress.stage:
            _begin_stage(training, number)
        if not progress.finished:
            _train_stage(training, saved)
        saved = None

    if progress.best_epoch:
        model.load_state_dict(load_tensors(folder / "state" / BEST_FILE)[0], strict=False)
    steps = progress.history[-1]["step"] if progress.history else 0
    is_frozen = bool(stages) and stages[progress.best_stage].cached
    return Fitted(model.eval(), task, progress, _images_per_s(training), steps, store if is_frozen else None)


def length_of(stage: Stage, config: TrainConfig, steps_of_epoch: int) -> tuple[int, int]:
    """Return the epochs and the steps of a stage; the last epoch is cut short where `train.steps` says so."""
    if config.steps is None or stage.share is None:
        return stage.epochs, stage.epochs * steps_of_epoch
    steps = max(1, round(config.steps * stage.share))
    return math.ceil(steps / steps_of_epoch), steps


def _images_per_s(training: _Training) -> float:
    """Return the median rate over the epochs through the whole network; over all where every epoch saw features."""
    cached = {stage.name for stage in training.stages if stage.cached} if training.store else set()
    lines = training.progress.epochs()
    rates = [line.images_per_s for line in lines if line.stage not in cached] or [line.images_per_s for line in lines]
    return statistics.median(rates) if rates else 0.0


def _begin_stage(training: _Training, number: int) -> None:
    """Go on to a stage, from the best weights of those before it."""
    best, _ = load_tensors(training.folder / "state" / BEST_FILE)
    model, progress = training.model, training.progress
    model.load_state_dict(best, strict=False)
    if len(best) < len(model.state_dict()):  # the head alone was kept: the rest is about to change
        save_tensors(training.folder / "state" / BEST_FILE, model.state_dict())
    progress.stage, progress.stage_start, progress.finished = number, progress.epoch, False
    progress.steps_before = progress.history[-1]["step"]


def _train_stage(training: _Training, saved: SavedState | None) -> None:
    """Train one stage to its end, from the saved epoch where there is one."""
    job, folder, watch, task = training.job, training.folder, training.watch, training.task
    progress, config, execution = training.progress, job.train, job.execution
    stage = training.stages[progress.stage]
    store = training.store if stage.cached else None
    started = time.perf_counter()
    train_set, validation_set = training_part(job), job.parts("validation")
    loader: Loader = stage_loader(job, train_set, store) if store else training_loader(job, train_set)
    validation = plain_or_features(job, validation_set, store) if len(validation_set.labels_N) else None
    if store is not None and saved is None:
        progress.seconds += store.recalled_seconds
        progress.features_seconds += store.seconds
    train_last(training.model, stage.blocks, training.trainable)
    model = training.model if store is None else store.trunk.head
    epochs, steps = length_of(stage, config, len(loader))

    peak = config.optimizer.model_copy(update={"lr": config.optimizer.peak_lr * stage.lr_scale})
    scales = lr_scales(training.model, stage.layer_decay) if store is None else {}
    optimizer = build_optimizer(model, peak, scales)
    average = WeightAverage(model, config.average)
    stepper = Stepper.of(job, model, task, optimizer)
    if saved is not None:
        saved.restore(model, optimizer, average)
    is_better = math.inf if metric_of(job.metric).higher_is_better else -math.inf
    step = (progress.epoch - progress.stage_start) * len(loader)
    progress.seconds += time.perf_counter() - started
    if saved is None and progress.stage > 0:  # from here on the best weights may be this stage's
        save_state(folder / "state", progress, model, optimizer, average)
    saved_at, save_s, best = time.perf_counter(), 0.0, dict[str, torch.Tensor]()

    while not progress.finished:
        # One epoch: every draw that it makes (order, augmentation, dropout) has its own seed.
        started = time.perf_counter()
        torch.manual_seed(derive(job.seed, "epoch", progress.epoch))
        loader.set_epoch(progress.epoch)
        if store is None and (stage.freezes or job.keeps_norm):
            set_training(model, keeps_norm=job.keeps_norm)
        else:
            model.train()
        if hasattr(model, "set_epoch"):
            model.set_epoch(progress.epoch)  # type: ignore[operator]
        loss_sum = torch.zeros((), dtype=torch.float64 if execution.device.type != "mps" else torch.float32)
        loss_sum = loss_sum.to(execution.device)
        right = torch.zeros((), dtype=torch.int64, device=execution.device)
        seen = 0
        for batch in loader:
            if step == steps:  # a number of steps may end within an epoch
                break
            factor = lr_factor(config.schedule, step, steps)
            for group in optimizer.param_groups:
                group["lr"] = group["peak_lr"] * factor
            for result, size in stepper.step(batch):
                loss_sum += result.loss.detach() * size
                if result.right is not None:
                    right += result.right
            step += 1
            average.update(model, step, steps)
            seen += len(batch)
            if step % _PROBE_EVERY == 0:
                loss = loss_sum.item() / seen
                if not math.isfinite(loss):
                    break
                watch.stepped(progress.steps_before + step, loss, seen / (time.perf_counter() - started))
        train_loss = loss_sum.item() / max(1, seen)
        seconds = time.perf_counter() - started
        if not math.isfinite(train_loss):
            write_history(folder, progress)
            raise DivergenceError(_divergence(job, progress.epoch + 1, peak.peak_lr * factor))

        # The end of the epoch: validate, keep the best weights, save the state.
        is_averaged = config.average.name == "ema"
        if is_averaged:
            average.swap(model)
        validated = validate(model, task, validation, validation_set, job)
        score = validated.score
        progress.epoch += 1
        is_last = progress.epoch - progress.stage_start >= epochs
        epoch = Epoch(
            epoch=progress.epoch,
            step=progress.steps_before + step,
            train_loss=train_loss,
            train_score=right.item() / max(1, seen) if job.metric == "accuracy" else None,
            validation_loss=validated.loss,
            validation_score=score,
            validation_classes=validated.classes,
            validation_metric=validated.metric,
            lr=peak.peak_lr * factor,
            seconds=seconds,
            images_per_s=seen / seconds,
            stage=stage.name,
        )
        progress.history.append(epoch.model_dump())
        if is_kept := _is_kept(config, validated, progress, is_better, is_last):
            progress.best_epoch, progress.best_score, progress.best_stage = progress.epoch, score, progress.stage
            progress.seconds_to_best = progress.seconds + time.perf_counter() - started
        progress.finished = is_last or _is_stale(config, progress)
        progress.stopped = "complete" if is_last else "early"
        waited = time.perf_counter() - saved_at
        is_due = progress.finished or _SAVE_SHARE * waited >= save_s or waited >= _SAVE_WITHIN_S
        if is_kept:
            best = _weights(model, store)  # of the average, where there is one: it is about to be put away
            best = best if is_due and not is_averaged else _copied(best)
        if job.keep_epochs and (
            config.early_stopping or progress.stage_start + epochs - progress.epoch < job.keep_epochs
        ):
            keep_epoch(folder, progress.epoch, training.model, job.keep_epochs)
        if is_averaged:
            average.swap(model)
        progress.seconds += time.perf_counter() - started
        progress.memory_mb = max(progress.memory_mb, device_memory_mb(execution.device))
        progress.own_memory_mb = larger_mb(progress.own_memory_mb, own_memory_mb(execution.device))
        if is_due:
            started = time.perf_counter()
            if best:
                save_tensors(folder / "state" / BEST_FILE, best)
            save_state(folder / "state", progress, model, optimizer, average)
            write_history(folder, progress)
            saved_at, best = time.perf_counter(), {}
            save_s = saved_at - started
        watch.epoch_done(epoch)


def _weights(model: nn.Module, store: FeatureStore | None) -> dict[str, torch.Tensor]:
    """Return the weights that are trained, under their names in the whole network: of the head, or of all."""
    if store is None:
        return model.state_dict()
    head, name = store.trunk.head.head, store.trunk.head_name
    return {f"{name}.{key}": tensor for key, tensor in head.state_dict().items()}


def _copied(tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return copies in the memory of the CPU: that of a device is what is measured."""
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}


def open_store(job: Job, model: nn.Module, stages: tuple[Stage, ...], folder: Path) -> FeatureStore | None:
    """Return where the features of the frozen network are kept; none where no stage trains on them.

    A network whose head alone does not give the logits has no such features: its frozen part is run each time.
    """
    if not any(stage.cached for stage in stages):
        return None
    trunk = cut_before_head(model, (job.prepare.height_px, job.prepare.width_px))
    return None if trunk is None else FeatureStore(job, trunk, job.features or folder / "state" / FEATURES_FOLDER)


def build_task(job: Job, train_set: PreparedSet) -> Task:
    """Return the job's task, with the class weights of the training part where they are asked for."""
    how = job.train.class_weights
    if job.task == "segmentation":
        weights_K = _pixel_weights(train_set, len(job.classes), how)
        return Segmentation(job.classes, job.train.loss, weights_K, **_loss_options(job.train))
    weights = None
    if how == "balanced":
        weights = balanced_weights(torch.from_numpy(train_set.labels_N), len(job.classes))
    return Classification(job.classes, job.train.label_smoothing, weights, job.train.loss, job.train.focal_gamma)


def _loss_options(train: TrainConfig) -> dict[str, float]:
    """Return what the loss of masks takes beside its weights."""
    of = {"focal": {"gamma": train.focal_gamma}, "tversky": {"missed": train.tversky_missed}}
    return of.get(train.loss, {})


def _pixel_weights(train_set: PreparedSet, n_classes: int, how: str) -> torch.Tensor | None:
    if how == "none" or train_set.masks_NHW is None:
        return None
    counts = sum(np.bincount(mask.ravel(), minlength=256) for mask in train_set.masks_NHW)
    return pixel_weights(torch.from_numpy(np.asarray(counts)[:n_classes]), how)


def prepare_model(job: Job, train_set: PreparedSet) -> nn.Module:
    """Build the network, let it look at the training part where it wants to, and place it."""
    model = job.build()
    if hasattr(model, "fit_labels"):
        model.fit_labels(  # type: ignore[operator]
            torch.from_numpy(train_set.labels_N), len(job.classes)
        )
    if hasattr(model, "fit_masks"):
        model.fit_masks(torch.from_numpy(np.asarray(train_set.masks_NHW)))  # type: ignore[operator]
    if hasattr(model, "fit_pictures"):
        model.fit_pictures(_sample(job, train_set))  # type: ignore[operator]
    return job.execution.place(model)


def _sample(job: Job, prepared: PreparedSet, count: int = 2000) -> torch.Tensor:
    """Return up to `count` training pictures, evenly spread, (N, 3, H, W) float32 normalised."""
    every = max(1, len(prepared.labels_N) // count)
    pictures_NHWC = torch.from_numpy(np.ascontiguousarray(prepared.pictures_NHWC[::every][:count]))
    mean, std = (torch.tensor(values) for values in normalisation(job.prepare))
    return ((pictures_NHWC.float() / 255 - mean) / std).permute(0, 3, 1, 2).contiguous()


def predict(fitted: Fitted, job: Job, prepared: PreparedSet) -> np.ndarray:
    """Return the probabilities (N, K), float32, of a part's pictures, in order."""
    if not len(prepared.labels_N):
        return np.zeros((0, len(job.classes)), np.float32)
    model = fitted.model if fitted.store is None else fitted.store.trunk.head
    logits_NK = infer(model, plain_or_features(job, prepared, fitted.store), job)
    return fitted.task.answer(logits_NK).cpu().numpy()


def write_history(folder: Path, progress: Progress) -> None:
    """Write `history.jsonl`: one line an epoch."""
    write_text(folder / "history.jsonl", "".join(line.model_dump_json() + "\n" for line in progress.epochs()))


def now() -> str:
    """Return the date and time, UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _is_kept(
    config: TrainConfig, validated: Validated, progress: Progress, direction: float, is_last: bool
) -> bool:  # fmt: skip
    """Say whether the epoch's weights are to be kept: of equal scores, those with the lower validation loss.

    Few validation pictures give many ties, and the first of them is mostly the one that is trained least.

    With `keep: last` a first stage is kept as it ends, and a later one where it ends better.
    """
    if config.keep == "last" and progress.stage == 0:
        return True
    if config.keep == "last" and not is_last:
        return False
    score = validated.score
    if score is None or progress.best_score is None or math.isnan(progress.best_score):
        return True
    if score == progress.best_score and validated.loss is not None:
        best_loss = progress.history[progress.best_epoch - 1]["validation_loss"]
        return best_loss is not None and validated.loss < best_loss
    return score > progress.best_score if direction > 0 else score < progress.best_score


def _is_stale(config: TrainConfig, progress: Progress) -> bool:
    if config.early_stopping is None or config.keep == "last":
        return False
    return progress.epoch - max(progress.best_epoch, progress.stage_start) >= config.early_stopping


def _divergence(job: Job, epoch: int, lr: float) -> str:
    return (
        f"train: the loss of {job.label} is no longer a number in epoch {epoch}, at learning rate {lr:.3g}. "
        f"Lower train.optimizer.lr, or set train.clip_norm (1.0, say) or train.precision: fp32."
    )
