"""Generation: the training of the light few-shot generator, as a study does it, against a plain PyTorch loop.

Both sides train the same two networks on the same pictures in memory, with the same losses, redrawing, differentiable
augmentation and average of weights; the plain loop in float32, contiguous, of PyTorch's own layers. They go in turns,
some steps each, and the ratio is taken within each round. With `--profile` it says where the time of our steps goes.

    python benchmarks/generation.py [--size 64] [--width 32] [--batch 16] [--steps 4] [--rounds 5] [--profile]

`--width 16 --batch 8` is the setting of studies/animal-generation.yaml.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude import Study
from etude.core.watch import Silent
from etude.evaluate.cost import machine_words
from etude.models.networks.adversaries import Adversaries
from etude.models.networks.enlarging import Doubled, FromPoint, Gate
from etude.study.folder import StudyFolder
from etude.study.jobs import make_job
from etude.study.plan import Order
from etude.study.resolve import resolve_candidate
from etude.study.workspace import Workspace
from etude.train.adversarial import Duel
from etude.train.differentiable import augment
from etude.train.job import Job

BOUND = 1.5
AUGMENT = ("color", "translation", "cutout")
PLAIN = {Doubled: nn.Sequential, FromPoint: nn.ConvTranspose2d, Gate: nn.GLU}
"""Our layers, and those of PyTorch that they derive from."""


def make_bench_job(size_px: int, width: int, batch: int, folder: Path) -> Job:
    """Return the job of the light generator, as a study makes it, its discriminator judging by parts."""
    study = Study.from_dict(
        {
            "study": "bench",
            "task": "generation",
            "data": {"source": "shapes", "classes": ["disc"], "split": {"train_items": 67}},
            "prepare": {"size_px": size_px},
            "train": {"batch": batch, "adversarial": {"augment": list(AUGMENT)}},
            "candidates": {"fastgan": {"model": {"name": "fastgan", "width": width}}},
        }
    )
    workspace = Workspace(study.config, study.base, StudyFolder(folder, "bench"), "auto", Silent())
    return make_job(workspace, resolve_candidate(study.config, "fastgan"), Order("fastgan", 0, None, "bench"))


def our_step(job: Job) -> Callable[[], None]:
    """Return what makes one step as a study does."""
    duel = Duel(job)
    duel.begin(0)
    done = 0

    def step() -> None:
        nonlocal done
        duel.step(done)
        done += 1
        duel.sums.tolist()  # waits for the device

    return step


def plain_step(job: Job) -> Callable[[], None]:
    """Return what makes one step of a plain loop: float32, contiguous."""
    device, batch = job.execution.device, job.train.batch
    networks = job.build().to(device).train()
    assert isinstance(networks, Adversaries)
    for layer in networks.modules():
        layer.__class__ = PLAIN.get(type(layer), type(layer))  # type: ignore[assignment]
    generator, discriminator = networks.generator, networks.discriminator
    optimizers = [torch.optim.AdamW(net.parameters(), 2e-4, (0.5, 0.999), weight_decay=0.0)
                  for net in (generator, discriminator)]  # fmt: skip
    average = {name: value.detach().clone() for name, value in generator.state_dict().items()}
    pictures = torch.from_numpy(job.parts("train").pictures_NHWC.copy()).permute(0, 3, 1, 2).to(device)

    def draw_fake() -> Tensor:
        return generator(torch.randn(batch, networks.latent, device=device))

    def step() -> None:
        chosen = torch.randint(0, len(pictures), (batch,), device=device)
        real = pictures[chosen].float() / 127.5 - 1
        fake = augment(draw_fake(), AUGMENT)
        judged = discriminator(augment(real, AUGMENT), redraw=True)
        fooled = discriminator(fake.detach())
        loss = F.relu(1 - judged.logits_BP).mean() + F.relu(1 + fooled.logits_BP).mean()
        loss = loss + sum(F.l1_loss(drawn, wanted) for drawn, wanted in judged.redrawn)
        optimizers[1].zero_grad()
        loss.backward()
        optimizers[1].step()
        discriminator.requires_grad_(False)
        loss = -discriminator(fake).logits_BP.mean()
        optimizers[0].zero_grad()
        loss.backward()
        optimizers[0].step()
        discriminator.requires_grad_(True)
        with torch.no_grad():
            for name, value in generator.state_dict().items():
                if value.is_floating_point():
                    average[name].lerp_(value, 0.005)
        loss.item()

    return step


def compare(job: Job, steps: int, rounds: int) -> dict[str, Any]:
    """Train both ways in turns; return pictures a second of each, and their ratio."""
    ways = {"plain": plain_step(job), "ours": our_step(job)}
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for step in ways.values():  # the first steps lay out memory
        step(), step()
    for _ in range(rounds):
        for name, step in ways.items():
            started = time.perf_counter()
            for _ in range(steps):
                step()
            rates[name].append(steps * job.train.batch / (time.perf_counter() - started))
    ratios = [ours / plain for ours, plain in zip(rates["ours"], rates["plain"], strict=True)]
    return {
        "images_per_s": {name: round(statistics.median(found), 1) for name, found in rates.items()},
        "ratio": round(statistics.median(ratios), 3),
        "ratios": [round(ratio, 3) for ratio in ratios],
        "bound": BOUND,
        "execution": f"{job.execution.precision}, {'channels_last' if job.execution.channels_last else 'contiguous'}",
    }


def profile(job: Job, steps: int) -> str:
    """Return where the time of our steps goes."""
    step = our_step(job)
    step()
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU]) as found:
        for _ in range(steps):
            step()
    return str(found.key_averages().table(sort_by="self_cpu_time_total", row_limit=25, max_name_column_width=60))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--width", type=int, default=32)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        job = make_bench_job(given.size, given.width, given.batch, Path(folder))
        if given.profile:
            print(profile(job, given.steps))
            return
        found = compare(job, given.steps, given.rounds)
    asked = {"size_px": given.size, "width": given.width, "batch": given.batch}
    print(json.dumps({"machine": machine_words(), **asked, **found}, indent=1))


if __name__ == "__main__":
    main()
