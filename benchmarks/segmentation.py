"""Segmentation: what a step costs, what counting costs, and how far a mobile encoder gets in a given time.

The first part trains each network for a few steps in turns: as a study trains it, and in a plain PyTorch loop (float32,
contiguous, a `DataLoader` that opens, resizes and flips the same files). The second part times each loss with its
gradient. The third answers the test part and times the counting of pixels in it, and that of contours. Each figure is
the median of the rounds, with the least and the most beside it. With `--minutes` the recipe of
studies/street-scenes-final.yaml is trained for so long, and the test part is scored at the size of its labels.

    ETUDE_WEIGHTS=/path/to/weights python benchmarks/segmentation.py --data /path/to/data/camvid [--steps 6] \
        [--rounds 5] [--minutes 90]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from etude import Study
from etude.core.watch import Silent
from etude.core.words import Part
from etude.evaluate.cost import machine_words
from etude.study.folder import StudyFolder
from etude.study.jobs import make_job
from etude.study.plan import Order
from etude.study.resolve import resolve_candidate
from etude.study.workspace import Workspace
from etude.tasks.mask_losses import MASK_LOSSES, VOID
from etude.train import mask_answers
from etude.train.job import Job
from etude.train.loaders import training_loader
from etude.train.loop import Fitted, build_task, prepare_model
from etude.train.state import Progress

SIZE_PX = (256, 352)
BATCH = 8
FINAL = Path(__file__).parents[1] / "studies" / "street-scenes-final.yaml"
NETWORKS: dict[str, dict[str, Any]] = {
    "unet-mini": {"name": "unet-mini"},
    "unet-mobilenetv2": {"name": "smp-unet", "encoder": "mobilenetv2_100", "weights": "imagenet"},
}


def make_jobs(data: Path, folder: Path) -> dict[str, Job]:
    """Return a job for each network, as a study makes it."""
    study = Study.from_dict(
        {
            "study": "bench",
            "task": "segmentation",
            "data": {
                "source": str(data),
                "on_leak": "allow",
                "split": {"kind": "official", "validation_by": "blocks"},
            },
            "prepare": {"size_px": list(SIZE_PX)},
            "augment": ["flip"],
            "train": {"batch": BATCH},
            "candidates": {name: {"model": model} for name, model in NETWORKS.items()},
            "protocol": {"also": ["boundary_f1"]},
        }
    )
    workspace = Workspace(study.config, study.base, StudyFolder(folder, "bench"), "auto", Silent())
    return {
        name: make_job(workspace, resolve_candidate(study.config, name), Order(name, 0, None, "bench"))
        for name in NETWORKS
    }


class Files(Dataset[tuple[torch.Tensor, torch.Tensor]]):
    """The training files, opened each time."""

    def __init__(self, data: Path) -> None:
        self.pictures = sorted((data / "train").iterdir())
        self.masks = {path.stem: path for path in (data / "trainannot").iterdir()}

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        path = self.pictures[index]
        to = (SIZE_PX[1], SIZE_PX[0])
        picture = np.array(Image.open(path).convert("RGB").resize(to, Image.Resampling.BILINEAR))
        ids = np.array(Image.open(self.masks[path.stem]).resize(to, Image.Resampling.NEAREST))
        image, mask = torch.from_numpy(picture).permute(2, 0, 1).float() / 255, torch.from_numpy(ids).long()
        mean, std = (torch.tensor(v)[:, None, None] for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
        image, mask = (image - mean) / std, mask.where(mask < 11, 255)
        return (image.flip(2), mask.flip(1)) if torch.rand(()) < 0.5 else (image, mask)


def plain_steps(job: Job, data: Path) -> Iterator[None]:
    """Train in a plain loop, a step at a time, for as long as it is asked to."""
    model = job.build().train()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    loader = DataLoader(Files(data), BATCH, shuffle=True, num_workers=2, drop_last=True, persistent_workers=True)
    while True:
        for images, masks in loader:
            loss = F.cross_entropy(model(images), masks, ignore_index=255)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss.item()
            yield


def our_steps(job: Job) -> Iterator[None]:
    """Train as a study does, a step at a time."""
    train_set = job.parts("train")
    model, task = prepare_model(job, train_set).train(), build_task(job, train_set)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    loader = training_loader(job, train_set)
    for epoch in range(10**6):
        loader.set_epoch(epoch)
        for batch in loader:
            with job.execution.autocast():
                loss = task.step(model, batch).loss
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            loss.item()
            yield


def compare_steps(job: Job, data: Path, steps: int, rounds: int) -> dict[str, Any]:
    """Train both ways in turns; return pictures a second of each, and their ratio."""
    ways = {"plain": plain_steps(job, data), "ours": our_steps(job)}
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for way in ways.values():  # the first steps lay out memory and start workers
        next(way), next(way)
    for _ in range(rounds):
        for name, way in ways.items():
            started = time.perf_counter()
            for _ in range(steps):
                next(way)
            rates[name].append(BATCH * steps / (time.perf_counter() - started))
    ratios = [ours / plain for ours, plain in zip(rates["ours"], rates["plain"], strict=True)]
    return {
        "plain_pictures_per_s": spread(rates["plain"], 2), "our_pictures_per_s": spread(rates["ours"], 2),
        "ratio": spread(ratios, 2), "rounds": rounds, "precision": job.execution.precision,
    }  # fmt: skip


def spread(values: list[float], digits: int) -> dict[str, float]:
    """Return the median of some rounds, the least and the most."""
    found = {"median": statistics.median(values), "least": min(values), "most": max(values)}
    return {name: round(value, digits) for name, value in found.items()}


def time_counting(job: Job, rounds: int) -> dict[str, Any]:
    """Answer the test part; return the share of the time that pixels take, and that contours take beside."""
    counted_s = {"pixel_confusion": 0.0, "boundary_counts": 0.0}

    def timed(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def count(*given: Any) -> Any:  # noqa: ANN401 - whatever is counted
            started = time.perf_counter()
            counted = real(*given)
            counted_s[name] += time.perf_counter() - started
            return counted

        return count

    train_set = job.parts("train")
    fitted = Fitted(prepare_model(job, train_set).eval(), build_task(job, train_set), Progress(started_at=""), 0.0, 0)
    kept = {name: getattr(mask_answers, name) for name in counted_s}
    figures: dict[str, list[float]] = {"evaluation_s": [], "pixels_share": [], "contours_share": []}
    try:
        for name, real in kept.items():
            setattr(mask_answers, name, timed(name, real))
        for _ in range(rounds):
            counted_s.update(dict.fromkeys(counted_s, 0.0))
            started = time.perf_counter()
            n_pictures = len(mask_answers.count_masks(job, fitted, Part.TEST))
            seconds = time.perf_counter() - started
            # The share of the pixels is of an evaluation without contours, which are counted where they are asked for.
            pixels_s, contours_s = counted_s["pixel_confusion"], counted_s["boundary_counts"]
            figures["evaluation_s"].append(seconds - contours_s)
            figures["pixels_share"].append(pixels_s / (seconds - contours_s))
            figures["contours_share"].append(contours_s / seconds)
    finally:
        for name, real in kept.items():
            setattr(mask_answers, name, real)
    return {"pictures": n_pictures, "rounds": rounds, **{name: spread(own, 4) for name, own in figures.items()}}


def time_losses(repeats: int = 7) -> dict[str, dict[str, float]]:
    """Return the milliseconds of each loss and its gradient for one batch, and of the library's beside them."""
    from segmentation_models_pytorch.losses import DiceLoss, FocalLoss, LovaszLoss

    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(BATCH, 11, *SIZE_PX, generator=generator).to(memory_format=torch.channels_last)
    masks = torch.randint(0, 12, (BATCH, *SIZE_PX), generator=generator)
    masks[masks == 11] = VOID
    of_library = {
        "dice": DiceLoss("multiclass", ignore_index=VOID),
        "focal": FocalLoss("multiclass", ignore_index=VOID),
        "lovasz": LovaszLoss("multiclass", ignore_index=VOID),
    }
    theirs = {f"{name} of the library": lambda x, y, _, way=way: way(x, y) for name, way in of_library.items()}
    ways: dict[str, Any] = {**{name: MASK_LOSSES[name] for name in MASK_LOSSES}, **theirs}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            given = logits.clone(memory_format=torch.preserve_format).requires_grad_()
            started = time.perf_counter()
            way(given, masks, None).backward()
            seconds[name].append(time.perf_counter() - started)
    return {name: spread([1000 * value for value in own], 1) for name, own in seconds.items()}


def train_long(data: Path, minutes: float, folder: Path) -> list[dict[str, Any]]:
    """Train the recipe of the final study for so many minutes a network; return its rows."""
    result = Study.from_file(FINAL, [f"data.source={data}", f"train.budget={minutes}min"]).run(folder)
    return [
        {"candidate": row.candidate, "miou": row.score, "seconds": row.seconds, **row.class_scores}
        for row in result.leaderboard()
    ]


def main() -> None:
    """Measure, and print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("data/camvid"))
    parser.add_argument("--steps", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--minutes", type=float, default=0.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        jobs = make_jobs(given.data, Path(folder))
        found: dict[str, Any] = {"machine": machine_words(), "torch_threads": torch.get_num_threads()}
        found["steps"] = {name: compare_steps(job, given.data, given.steps, given.rounds) for name, job in jobs.items()}
        found["losses_ms"] = time_losses()
        found["counting"] = {name: time_counting(job, given.rounds) for name, job in jobs.items()}
        if given.minutes:
            found["trained"] = train_long(given.data, given.minutes, Path(folder))
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
