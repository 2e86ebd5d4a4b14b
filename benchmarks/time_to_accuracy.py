"""airnet on CIFAR-10, as a study trains it, against a plain loop of the same published recipe.

The recipe is airbench94's (Jordan 2024, arXiv:2404.00498): 8 epochs, batch 1024, Nesterov SGD with momentum 0.85, a
triangular schedule, label smoothing 0.2, lookahead, flips and shifts. The plain loop is what one writes first:
float32, contiguous, eager, torch's own SGD. Both see the same pictures.

    ETUDE_DATA=… python benchmarks/time_to_accuracy.py                    # speeds only, a few minutes
    ETUDE_DATA=… python benchmarks/time_to_accuracy.py --accuracy --seeds 3   # trains both to the end
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from etude import Study
from etude.core.files import write_json
from etude.core.watch import Silent
from etude.evaluate.cost import machine_words
from etude.models import build_model
from etude.pictures.prepare import normalisation
from etude.pictures.prepare_config import Prepare
from etude.study.folder import StudyFolder
from etude.study.workspace import Workspace
from etude.train.schedules import lr_factor

RECIPE = """
study: airnet
data: {source: cifar10, split: {kind: official, validation: 0}, on_leak: allow}
prepare: {size_px: 32, normalize: imagenet}
augment: [flip, shift]
train:
  epochs: 8
  batch: 1024
  optimizer: {name: sgd, lr: 1.5, momentum: 0.85, weight_decay: 0.00136, bias_lr_scale: 64}
  schedule: {name: onecycle, warmup: 0.23, start: 0.2, end: 0.07}
  label_smoothing: 0.2
  average: {name: lookahead, every: 5, decay: 0.774}
  keep: last
candidates: {airnet: {model: airnet}}
"""
SHIFT_PX = 4


class PlainLoop:
    """The same recipe in float32, contiguous, with nothing done for speed."""

    def __init__(self, workspace: Workspace, seed: int) -> None:
        torch.manual_seed(seed)
        config = workspace.study.train
        self.config = config
        parts = workspace.parts(Prepare(), 0)
        train, test = parts("train"), parts("test")
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in normalisation(Prepare()))
        self.images, self.test_images = (
            ((torch.from_numpy(part.pictures_NHWC).permute(0, 3, 1, 2).float() / 255) - mean).div_(std).contiguous()
            for part in (train, test)
        )
        self.labels, self.test_labels = (torch.from_numpy(part.labels_N) for part in (train, test))
        self.model = build_model("airnet", n_outputs=10, size_px=(32, 32), seed=seed)
        self.model.fit_pictures(self.images[:: len(self.images) // 2000][:2000])
        decayed = [p for p in self.model.parameters() if p.requires_grad and p.ndim > 1]
        biases = [p for name, p in self.model.named_parameters() if p.requires_grad and "norm" in name]
        others = [
            p for name, p in self.model.named_parameters() if p.requires_grad and p.ndim < 2 and "norm" not in name
        ]
        lr = config.optimizer.peak_lr
        self.optimizer = torch.optim.SGD(
            [
                {"params": decayed, "weight_decay": config.optimizer.weight_decay, "peak": lr},
                {"params": biases, "peak": lr * config.optimizer.bias_lr_scale},
                {"params": others, "peak": lr},
            ],
            lr=lr,
            momentum=config.optimizer.momentum,
            nesterov=True,
        )
        self.steps_of_epoch = len(self.images) // config.batch
        self.steps = config.epochs * self.steps_of_epoch
        self.step = 0
        self.slow = {name: tensor.clone() for name, tensor in self._floats()}

    def _floats(self) -> Iterator[tuple[str, torch.Tensor]]:
        return ((name, tensor) for name, tensor in self.model.state_dict().items() if tensor.is_floating_point())

    def train_steps(self, count: int) -> float:
        """Make some steps; return images a second."""
        started = time.perf_counter()
        batches = self._batches()
        for _ in range(count):
            self._train_step(next(batches))
        return count * self.config.batch / (time.perf_counter() - started)

    def _batches(self) -> Iterator[torch.Tensor]:
        while True:
            order = torch.randperm(len(self.images))
            yield from order[: len(order) // self.config.batch * self.config.batch].split(self.config.batch)

    def _train_step(self, chosen: torch.Tensor) -> None:
        self.model.train()
        self.model.set_epoch(self.step // self.steps_of_epoch)
        factor = lr_factor(self.config.schedule, self.step, self.steps)
        for group in self.optimizer.param_groups:
            group["lr"] = group["peak"] * factor
        logits = self.model(self._augment(self.images[chosen]))
        loss = F.cross_entropy(logits, self.labels[chosen], label_smoothing=self.config.label_smoothing)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.step += 1
        if self.step % self.config.average.every == 0 or self.step == self.steps:
            self._look_ahead()

    @torch.no_grad()
    def _look_ahead(self) -> None:
        decay = 1.0 if self.step == self.steps else self.config.average.decay * (self.step / self.steps) ** 3
        for name, tensor in self._floats():
            self.slow[name].lerp_(tensor, 1 - decay)
            tensor.copy_(self.slow[name])

    @staticmethod
    def _augment(images: torch.Tensor) -> torch.Tensor:
        padded = F.pad(images, (SHIFT_PX,) * 4, mode="reflect")
        moved = torch.empty_like(images)
        offsets = torch.randint(0, 2 * SHIFT_PX + 1, (len(images), 2))
        flips = torch.rand(len(images)) < 0.5
        for index, ((down, right), flip) in enumerate(zip(offsets.tolist(), flips.tolist(), strict=True)):
            crop = padded[index, :, down : down + 32, right : right + 32]
            moved[index] = crop.flip(2) if flip else crop
        return moved

    @torch.no_grad()
    def score(self) -> float:
        """Return the accuracy on the test part."""
        self.model.eval()
        answers = torch.cat([self.model(part).argmax(1) for part in self.test_images.split(500)])
        return (answers == self.test_labels).float().mean().item()


def matrix_rate(seconds: float = 2.0) -> float:
    """Return the machine's bfloat16 matrix rate in multiply-adds a second: the best of three sizes."""
    best = 0.0
    for side in (1024, 2048, 4096):
        a, b = (torch.randn(side, side).bfloat16() for _ in range(2))
        a @ b
        count, started = 0, time.perf_counter()
        while time.perf_counter() - started < seconds:
            a @ b
            count += 1
        best = max(best, count * side**3 / (time.perf_counter() - started))
    return best


def training_macs() -> int:
    """Return the multiply-adds of one picture, forward and backward, as torch's counter finds them in the graph.

    What autograd does not compute (no gradient to the pictures, none for the frozen filters, none for the whitening
    layer once its shifts are left as they are) is not counted; the mean over the epochs of the recipe is returned.
    """
    from torch.utils.flop_counter import FlopCounterMode

    model = build_model("airnet", n_outputs=10, size_px=(32, 32), seed=0)
    total = 0
    for first_epoch, epochs in ((0, 3), (3, 5)):
        model.set_epoch(first_epoch)
        with FlopCounterMode(display=False) as counter:
            model(torch.zeros(8, 3, 32, 32)).sum().backward()
        total += epochs * counter.get_total_flops() // 2 // 8
    return total // 8


def study_rate(pictures: int, seed: int, folder: Path) -> float:
    """Train through the study's own path, all eight epochs, on a part of the pictures; return images a second."""
    study = Study.from_text(RECIPE, sets=[f"data.split.train_items={pictures}", f"protocol.seeds=[{seed}]"]).run(folder)
    record = next(record for record in StudyFolder.of(study.folder).finished() if record.seed == seed)
    lines = (study.folder / "runs" / record.identity / "history.jsonl").read_text().splitlines()
    return pictures * len(lines) / sum(json.loads(line)["seconds"] for line in lines)


def plain_rate(plain: PlainLoop) -> float:
    """Return images a second over the recipe, whose whitening layer trains its shifts for three epochs of eight."""
    plain.model.whitening.bias.requires_grad_(True)
    seconds = 0.0
    for first_epoch, epochs in ((0, 3), (3, 5)):
        plain.step = first_epoch * plain.steps_of_epoch
        seconds += epochs / plain.train_steps(3)
    return plain.config.epochs / seconds


def compare_speeds(workspace: Workspace, rounds: int) -> dict[str, object]:
    """Time both in turns, and the machine's matrix rate beside them."""
    plain = PlainLoop(workspace, 0)
    plain.train_steps(1)
    with tempfile.TemporaryDirectory() as folder:
        rows = [(plain_rate(plain), study_rate(5_120, seed, Path(folder)), matrix_rate()) for seed in range(rounds)]
    plain_median, rate, macs_rate = (statistics.median(column) for column in zip(*rows, strict=True))
    macs = training_macs()
    return {
        "plain_images_per_s": round(plain_median, 1),
        "study_images_per_s": round(rate, 1),
        "ratio": round(rate / plain_median, 3),
        "ratio_bound": 2.3,
        "macs_per_image_forward_and_backward": macs,
        "bf16_matrix_gmacs_per_s": round(macs_rate / 1e9, 1),
        "share_of_matrix_rate": round(rate * macs / macs_rate, 3),
        "share_bound": 0.8,
    }


def compare_accuracies(workspace: Workspace, seeds: int, results: Path) -> dict[str, object]:
    """Train both to the end for each seed; what was finished before is not trained again."""
    study = Study.from_text(RECIPE, sets=[f"protocol.seeds={seeds}"]).run(results)
    mine = [record.test["accuracy"] for record in StudyFolder.of(study.folder).finished()]
    plain = [plain_run(workspace, seed, results / "airnet-plain" / f"{seed}.json") for seed in range(seeds)]
    row = study.leaderboard()[0]
    return {
        "study_accuracy": [round(value, 4) for value in sorted(mine)],
        "plain_accuracy": [round(run["accuracy"], 4) for run in plain],
        "difference": round(float(np.mean(mine) - np.mean([run["accuracy"] for run in plain])), 4),
        "difference_bound": 0.003,
        "study_seconds": round(row.seconds or 0.0, 1),
        "plain_seconds": round(statistics.mean(run["seconds"] for run in plain), 1),
    }


def plain_run(workspace: Workspace, seed: int, kept: Path) -> dict[str, float]:
    """Train the plain loop to its end, or read what it gave when it was trained before."""
    if kept.is_file():
        known: dict[str, float] = json.loads(kept.read_text())
        return known
    loop = PlainLoop(workspace, seed)
    started = time.perf_counter()
    loop.train_steps(loop.steps)
    run = {"seconds": time.perf_counter() - started, "accuracy": loop.score()}
    write_json(kept, run)
    return run


def main() -> None:
    """Compare and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--accuracy", action="store_true", help="train both to the end (an hour or two on two cores)")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--results", type=Path, default=Path("results"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        config = Study.from_text(RECIPE).config
        workspace = Workspace(config, Path(), StudyFolder(Path(folder), "airnet"), "cpu", Silent())
        figures: dict[str, object] = {"benchmark": "time_to_accuracy", "machine": machine_words()}
        figures |= compare_speeds(workspace, given.rounds)
        if given.accuracy:
            figures |= compare_accuracies(workspace, given.seeds, given.results)
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
