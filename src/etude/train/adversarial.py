"""The training loop of a generator, from top to bottom: two networks against each other.

It goes from look to look. Every random draw between two looks comes from the seed and the number of the look, and all
state is saved at each look: a run that is killed goes on from the last look and draws what it would have drawn; on a
CPU its end result is the same to the last bit.

Shapes: B pictures of a batch, N of the training part, H and W pixels, C channels.
"""

from __future__ import annotations

import json
import math
import statistics
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from safetensors import SafetensorError
from torch import Tensor, nn
from torch.nn.utils import parametrize

from etude.core.errors import DivergenceError
from etude.core.run_record import AdversarialLook, Epoch
from etude.core.seeds import derive
from etude.core.watch import Watcher
from etude.data.augment.augmenter import Augmenter
from etude.models.networks.adversaries import Adversaries, Judged
from etude.tasks.generation import ADVERSARIAL_LOSSES, gradient_penalty, redrawing_loss
from etude.train.adversarial_config import AdversarialConfig
from etude.train.averaging import WeightAverage
from etude.train.differentiable import augment
from etude.train.job import Job
from etude.train.loop import now, write_history
from etude.train.memory import device_memory_mb, larger_mb, own_memory_mb, reset_device_memory
from etude.train.optimizers import build_optimizer
from etude.train.samples import Variety, watched_classes, watched_samples, write_samples
from etude.train.schedules import lr_factor
from etude.train.state import (
    STATE_FILE,
    Progress,
    load_tensors,
    optimizer_tensors,
    restore_optimizer,
    save_tensors,
    under,
)

_LOOKS_OF_COLLAPSE: Final = 3
_YOUNG: Final = 1 / 3
"""Share of the training before which samples that look alike may still become different."""
_TOLD_COLLAPSE: Final = float(AdversarialConfig.model_fields["collapse"].default)
"""What is told of a training that no collapse stops: the limit that it would have had."""
_SETTLING_BATCHES: Final = 64
_COMPARED: Final = 2000
"""Training pictures at most whose distances are taken, in memory that grows with the square of their number."""
_MONITORED: Final = 6
"""Values that are summed between looks: both losses, both logits, both lengths of gradients."""


@dataclass(frozen=True)
class Generated:
    """A trained generator, with the weights that were kept, and how it came to them."""

    model: Adversaries
    progress: Progress
    images_per_s: float
    """Median over the looks."""
    steps: int
    precision: str
    """What it was trained in."""
    note: str = ""
    """That it collapsed, and whether training stopped there; empty where it did not."""


def without_halves(job: Job) -> Job:
    """Return the job in full precision where the device would take float16, which two losses in a duel overflow."""
    if job.execution.precision != "fp16":
        return job
    return replace(job, execution=replace(job.execution, precision="fp32"))


class Duel:
    """Two networks, their optimisers and the pictures: all that one step needs."""

    def __init__(self, job: Job) -> None:
        train_set = job.parts("train")
        job = without_halves(job)
        execution = job.execution
        self.job, self.config, self.execution = job, job.train, execution
        networks = execution.place(job.build())
        assert isinstance(networks, Adversaries)
        self.model = networks
        self.loss = ADVERSARIAL_LOSSES[job.train.loss]
        self.of_generator = build_optimizer(networks.generator, job.train.optimizer)
        self.of_discriminator = build_optimizer(networks.discriminator, job.train.optimizer)
        self.average = WeightAverage(networks.generator, job.train.average)
        pictures_NHWC = torch.from_numpy(np.ascontiguousarray(train_set.pictures_NHWC))
        self.pictures_NCHW = pictures_NHWC.permute(0, 3, 1, 2).to(execution.device)
        self.labels_N = torch.from_numpy(np.asarray(train_set.labels_N)).to(execution.device)
        half = (0.5, 0.5, 0.5)
        self.augmenter = Augmenter(job.augment, mean=half, std=half, channels_last=execution.channels_last)
        self.sums = torch.zeros(_MONITORED, dtype=torch.float32, device=execution.device)

    @property
    def steps_of_epoch(self) -> int:
        """Steps in which as many pictures are seen as there are."""
        return max(1, len(self.labels_N) // self.config.batch)

    @property
    def steps(self) -> int:
        """Steps of the whole training."""
        return self.config.steps or self.config.epochs * self.steps_of_epoch

    def begin(self, look: int) -> None:
        """Start the random streams of a stretch between two looks: of what is drawn, and of how it is augmented."""
        torch.manual_seed(derive(self.job.seed, "look", look, "augmentation"))
        self.draws = torch.Generator().manual_seed(derive(self.job.seed, "look", look))
        self.sums.zero_()
        self.model.train()

    def step(self, number: int) -> None:
        """Make step `number` (from 0): the discriminator first, then the generator."""
        factor = lr_factor(self.config.schedule, number, self.steps)
        for optimizer in (self.of_generator, self.of_discriminator):
            for group in optimizer.param_groups:
                group["lr"] = group["peak_lr"] * factor
        lazily = self.config.adversarial.r1 > 0 and number % self.config.adversarial.r1_every == 0
        with self.execution.autocast():
            fake_BCHW, wanted_B = self._draw_fake()
        # Both learn from the same batch, as in the code of both papers: it is drawn once.
        fake_BCHW = augment(fake_BCHW.float(), self.config.adversarial.augment)
        judged = self._teach_discriminator(fake_BCHW.detach(), wanted_B, with_penalty=lazily)
        taught = self._teach_generator(fake_BCHW, wanted_B)
        self.average.update(self.model.generator, number + 1, self.steps)
        self.sums += torch.stack([*taught, *judged])

    def _teach_discriminator(self, fake_BCHW: Tensor, wanted_B: Tensor | None, *, with_penalty: bool) -> list[Tensor]:
        """Make its step; return its loss, the mean logits of real and generated pictures, and its gradient's length."""
        config, model = self.config.adversarial, self.model
        real_BCHW, classes_B = self._draw_real()
        real_BCHW = augment(real_BCHW, config.augment)
        # One spectral norm for both passes: a step has one power iteration, as its source says, in place of two.
        with self.execution.autocast(), parametrize.cached():
            real: Judged = model.discriminator(self._laid(real_BCHW), classes_B, redraw=config.redraw > 0)
            fake: Judged = model.discriminator(self._laid(fake_BCHW), wanted_B)
        loss = self.loss.of_discriminator(real.logits_BP, fake.logits_BP)
        total = loss + config.redraw * redrawing_loss(real.redrawn)
        self.of_discriminator.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        if with_penalty:
            watched_BCHW = real_BCHW.detach().requires_grad_()
            logits_BP = model.discriminator(
                watched_BCHW, classes_B
            ).logits_BP  # in full precision: it is differentiated twice
            (config.r1 * config.r1_every * gradient_penalty(logits_BP, watched_BCHW)).backward()  # type: ignore[no-untyped-call]
        length = self._clip(model.discriminator)
        self.of_discriminator.step()
        return [loss.detach(), real.logits_BP.detach().mean(), fake.logits_BP.detach().mean(), length]

    def _teach_generator(self, fake_BCHW: Tensor, wanted_B: Tensor | None) -> list[Tensor]:
        """Make its step; return its loss and its gradient's length."""
        model = self.model
        model.discriminator.requires_grad_(False)
        with self.execution.autocast():
            logits_BP = model.discriminator(self._laid(fake_BCHW), wanted_B).logits_BP
        loss = self.loss.of_generator(logits_BP)
        self.of_generator.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        model.discriminator.requires_grad_(True)
        length = self._clip(model.generator)
        self.of_generator.step()
        return [loss.detach(), length]

    def _draw_real(self) -> tuple[Tensor, Tensor | None]:
        chosen_B = torch.randint(0, len(self.labels_N), (self.config.batch,), generator=self.draws)
        chosen_B = chosen_B.to(self.labels_N.device)
        batch = self.augmenter(self.pictures_NCHW[chosen_B], self.labels_N[chosen_B], self.draws)
        return batch.images_BCHW, batch.targets_B if self.model.n_classes else None

    def _draw_fake(self) -> tuple[Tensor, Tensor | None]:
        """Generate a batch, with its graph, of classes in the proportions of the training part."""
        latents_BZ = torch.randn(self.config.batch, self.model.latent, generator=self.draws)
        classes_B = None
        if self.model.n_classes:
            at_B = torch.randint(0, len(self.labels_N), (self.config.batch,), generator=self.draws)
            classes_B = self.labels_N[at_B.to(self.labels_N.device)]
        return self.model(latents_BZ.to(self.execution.device), classes_B), classes_B

    def _laid(self, images_BCHW: Tensor) -> Tensor:
        layout = torch.channels_last if self.execution.channels_last else torch.contiguous_format
        return images_BCHW.contiguous(memory_format=layout)

    def _clip(self, network: nn.Module) -> Tensor:
        """Return the gradient's length, after it was shortened where that is asked for."""
        if self.config.clip_norm is None:  # no gradient need be touched
            gradients = [weight.grad for weight in network.parameters() if weight.grad is not None]
            return nn.utils.get_total_norm(gradients)
        return nn.utils.clip_grad_norm_(network.parameters(), self.config.clip_norm)

    def save(self, path: Path, progress: Progress) -> None:
        """Write all that the next step depends on."""
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        tensors |= {f"average.{name}": tensor for name, tensor in self.average.tensors.items()}
        tensors |= optimizer_tensors(self.of_generator, "of_generator.")
        tensors |= optimizer_tensors(self.of_discriminator, "of_discriminator.")
        save_tensors(path, tensors, json.dumps(asdict(progress)))

    def restore(self, path: Path) -> Progress | None:
        """Put a saved state back; none where there is none, or where it cannot be read."""
        if not path.exists():
            return None
        try:
            tensors, text = load_tensors(path)
            progress = Progress(**json.loads(text))
        except (SafetensorError, ValueError, TypeError):
            return None
        self.model.load_state_dict(under(tensors, "model."))
        for name, tensor in under(tensors, "average.").items():
            self.average.tensors[name].copy_(tensor)
        restore_optimizer(self.of_generator, under(tensors, "of_generator."))
        restore_optimizer(self.of_discriminator, under(tensors, "of_discriminator."))
        return progress

    def swap_average(self) -> None:
        """Exchange the generator's weights with their average, where one is kept."""
        if self.config.average.name == "ema":
            self.average.swap(self.model.generator)

    def look(self) -> Tensor:
        """Return the watched samples of the generator as it would be kept now; all goes on as if nobody had looked.

        The next stretch must begin with `begin`, which starts the random streams anew.
        """
        generator = self.model.generator
        self.swap_average()
        kept = {name: tensor.clone() for name, tensor in generator.state_dict().items()}
        self.settle()
        samples_NCHW = watched_samples(self.model, self.execution, self.job.seed)
        generator.load_state_dict(kept)
        self.swap_average()
        return samples_NCHW

    def variety(self) -> Variety:
        """Return how much training pictures differ, by class where the generator is told it: of all, or evenly spread.

        What a look saw is held against it.
        """
        step = math.ceil(len(self.pictures_NCHW) / _COMPARED)
        labels_N = self.labels_N[::step].cpu() if self.model.n_classes else None
        return Variety.of_pictures(self.pictures_NCHW[::step].float().cpu() / 127.5 - 1, labels_N)

    @torch.no_grad()
    def settle(self) -> None:
        """Gather the statistics of the generator's batch norms anew, over pictures of its own.

        The average of the statistics of many generators is not the statistics of the averaged one, and those of the
        last steps are of weights that were still moving: settled, generators with and without an average are measured
        alike. Source: Brock et al. 2019, arXiv 1809.11096 (standing statistics); Izmailov et al. 2018, arXiv
        1803.05407, section 3.2.
        """
        norms = [layer for layer in self.model.generator.modules() if isinstance(layer, nn.BatchNorm2d)]
        if not norms:
            return
        momenta = [layer.momentum for layer in norms]
        for layer in norms:
            layer.reset_running_stats()
            layer.momentum = None  # a plain mean over all batches
        self.begin(-1)
        for _ in range(_SETTLING_BATCHES):
            with self.execution.autocast():
                self._draw_fake()
        for layer, momentum in zip(norms, momenta, strict=True):
            layer.momentum = momentum


def fit_generator(job: Job, folder: Path, watch: Watcher) -> Generated:
    """Train a generator, from its last look where there is one, and load the weights to keep.

    Raises:
        DivergenceError: if a loss is no longer finite.
        ModelError: if the networks cannot be built.
        StorageError: if the state cannot be written.
    """
    duel = Duel(job)
    config, execution, model = job.train.adversarial, duel.execution, duel.model
    reset_device_memory(execution.device)
    state = folder / "state" / STATE_FILE
    saved = duel.restore(state)
    progress = saved if saved is not None else Progress(started_at=now())
    progress.interruptions += saved is not None
    step, steps = progress.history[-1]["step"] if progress.history else 0, duel.steps
    looks = math.ceil(steps / config.look_every)
    watch.run_started(job.label, *job.position, looks, steps, step)
    variety, classes_N = duel.variety(), watched_classes(model, job.seed)
    note, counted = "", time.perf_counter()

    while step < steps and not progress.finished:
        started = time.perf_counter()
        duel.begin(progress.epoch)
        until = min(steps, (progress.epoch + 1) * config.look_every)
        count = until - step
        while step < until:
            duel.step(step)
            step += 1
            rate = (step - until + count) * job.train.batch / (time.perf_counter() - started)
            watch.stepped(step, math.nan, rate)  # the loss is on the device, which nothing should wait for
        sums = (duel.sums / count).tolist()  # waits for the device
        seconds = time.perf_counter() - started
        if not all(math.isfinite(value) for value in sums):
            raise DivergenceError(_divergence(job, step))

        # The look: samples, a line of history, whether there is any difference left, and the state.
        samples_NCHW = duel.look()
        progress.epoch += 1
        generator_loss, generator_gradient, discriminator_loss, real, fake, discriminator_gradient = sums
        epoch = Epoch(
            epoch=progress.epoch,
            step=step,
            train_loss=generator_loss,
            lr=duel.of_generator.param_groups[0]["lr"],
            seconds=seconds,
            images_per_s=count * job.train.batch / seconds,
            adversarial=AdversarialLook(
                discriminator_loss=discriminator_loss,
                real_logit=real,
                fake_logit=fake,
                generator_gradient=generator_gradient,
                discriminator_gradient=discriminator_gradient,
                diversity=variety.measure(samples_NCHW, classes_N),
            ),
        )
        progress.history.append(epoch.model_dump())
        write_samples(folder, f"step-{step:06d}.png", samples_NCHW, f"{job.label} (run {job.identity}), step {step}")
        note = collapse_note(progress.epochs(), config.collapse, steps)
        progress.finished = step >= steps or bool(note)
        progress.stopped = "early" if note and step < steps else "complete"
        progress.best_epoch = progress.epoch
        counted = _count_time(progress, counted)
        progress.memory_mb = max(progress.memory_mb, device_memory_mb(execution.device))
        progress.own_memory_mb = larger_mb(progress.own_memory_mb, own_memory_mb(execution.device))
        duel.save(state, progress)
        write_history(folder, progress)
        watch.stepped(step, generator_loss, epoch.images_per_s)
        watch.epoch_done(epoch)

    _count_time(progress, counted)
    history = progress.epochs()
    note = note or collapse_note(history, config.collapse, steps)
    if config.collapse == 0:
        note = passed_collapse_note(history, steps)
    duel.swap_average()
    duel.settle()
    rates = [line.images_per_s for line in history]
    rate = statistics.median(rates) if rates else 0.0
    return Generated(model.eval(), progress, rate, step, execution.precision, note)


def _count_time(progress: Progress, since: float) -> float:
    """Count the time since then as training, that of saving the state included; return the time now."""
    now_s = time.perf_counter()
    progress.seconds += now_s - since
    progress.seconds_to_best = progress.seconds
    return now_s


def collapse_note(history: list[Epoch], limit: float, steps: int) -> str:
    """Return the sentence that says that a generator has collapsed and is stopped there; empty while it has not."""
    found = _diversities(history)
    if not _has_collapsed(found, history[-1].step if history else 0, limit, steps):
        return ""
    return (
        f"The generator has collapsed: at step {history[-1].step} of {steps} its samples differ by "
        f"{100 * found[-1]:.1f} % of what training pictures do, for {_LOOKS_OF_COLLAPSE} looks in a row. Training "
        f"stopped there. Lower train.optimizer.lr, or give train.adversarial an r1 or an augment; collapse: 0 lets it "
        f"go on."
    )


def passed_collapse_note(history: list[Epoch], steps: int) -> str:
    """Return the sentence on the first collapse of a training that went on, and on its end; empty where none was."""
    found = _diversities(history)
    for place, line in enumerate(history, 1):
        if _has_collapsed(found[:place], line.step, _TOLD_COLLAPSE, steps):
            return (
                f"The generator collapsed: at step {line.step} of {steps} its samples differed by "
                f"{100 * found[place - 1]:.1f} % of what training pictures do, for {_LOOKS_OF_COLLAPSE} looks in a "
                f"row. Training went on (collapse: 0); at its end they differ by {100 * found[-1]:.1f} %."
            )
    return ""


def _diversities(history: list[Epoch]) -> list[float]:
    return [line.adversarial.diversity for line in history if line.adversarial is not None]


def _has_collapsed(found: list[float], step: int, limit: float, steps: int) -> bool:
    """Whether the last three looks show samples that hardly differ, once they did or a third of the training is over.

    What an untrained generator gives hardly differs either.
    """
    last = found[-_LOOKS_OF_COLLAPSE:]
    if len(last) < _LOOKS_OF_COLLAPSE or max(last) >= limit:
        return False
    return max(found) >= limit or step >= _YOUNG * steps


def _divergence(job: Job, step: int) -> str:
    return (
        f"train: a loss of {job.label} is no longer a number at step {step}. Lower train.optimizer.lr, set "
        f"train.clip_norm (10, say), train.adversarial.r1 or train.precision: fp32."
    )
