"""What the study's training costs over a bare PyTorch loop on the same tensors: the small CNN.

Both train the same network from the same weights on the same pictures, in the same precision and memory format, with
the same optimiser, and validate after each epoch. The bare loop has no record, no state, no progress. They take turns;
the ratio is of the medians.

    python benchmarks/overhead.py [--rounds 5] [--epochs 3]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from etude.core.watch import Silent
from etude.data.augment import AugmentConfig
from etude.data.prepared import PreparedSet
from etude.evaluate.cost import machine_words
from etude.models import build_model
from etude.models.execution import Execution, choose_execution
from etude.pictures.prepare import normalisation
from etude.pictures.prepare_config import Prepare
from etude.train.config import TrainConfig
from etude.train.job import Job
from etude.train.loop import fit

SIZE_PX, N_CLASSES, BATCH = 32, 10, 128


def make_set(count: int, seed: int) -> PreparedSet:
    """Draw pictures of noise: what they show does not matter here."""
    rng = np.random.default_rng(seed)
    return PreparedSet(
        pictures_NHWC=rng.integers(0, 256, (count, SIZE_PX, SIZE_PX, 3), dtype=np.uint8),
        labels_N=rng.integers(0, N_CLASSES, count),
        masks_NHW=None,
        indices_N=np.arange(count),
    )


def train_bare(parts: dict[str, PreparedSet], execution: Execution, epochs: int) -> float:
    """Train with a plain loop; return the seconds."""
    model = execution.place(build_model("cnn", n_outputs=N_CLASSES, size_px=(SIZE_PX, SIZE_PX), seed=0))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4, fused=True)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in normalisation(Prepare()))
    pictures = torch.from_numpy(parts["train"].pictures_NHWC).permute(0, 3, 1, 2)
    held_out = torch.from_numpy(parts["validation"].pictures_NHWC).permute(0, 3, 1, 2)
    labels = torch.from_numpy(parts["train"].labels_N)
    started = time.perf_counter()
    for _ in range(epochs):
        model.train()
        order = torch.randperm(len(labels))
        for begin in range(0, len(labels) - BATCH + 1, BATCH):
            chosen = order[begin : begin + BATCH]
            images = ((pictures[chosen].float() / 255) - mean) / std
            with execution.autocast():
                logits = model(images)
            loss = F.cross_entropy(logits.float(), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        model.eval()
        with torch.no_grad(), execution.autocast():
            for begin in range(0, len(held_out), 512):
                model(((held_out[begin : begin + 512].float() / 255) - mean) / std).argmax(1)
    return time.perf_counter() - started


def train_study(parts: dict[str, PreparedSet], execution: Execution, epochs: int) -> float:
    """Train with the study's loop, state and history on disk; return the seconds."""
    job = Job(
        identity="overhead", study="overhead", candidate="cnn", seed=0, fold=None, config={}, task="classification",
        classes=tuple(map(str, range(N_CLASSES))), metric="accuracy", also=(), prepare=Prepare(),
        augment=AugmentConfig(), train=TrainConfig(epochs=epochs, batch=BATCH, schedule="constant"),
        build=partial(build_model, "cnn", n_outputs=N_CLASSES, size_px=(SIZE_PX, SIZE_PX), seed=0),
        execution=execution, parts=parts.__getitem__, item_ids=lambda indices: indices.astype(str),
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        fit(job, Path(folder), Silent())
        return time.perf_counter() - started


def main() -> None:
    """Time both in turns and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--pictures", type=int, default=10_000)
    given = parser.parse_args()
    execution = choose_execution("cpu")
    parts = {"train": make_set(given.pictures, 0), "validation": make_set(given.pictures // 10, 1)}
    train_bare(parts, execution, 1)
    pairs = [
        (train_bare(parts, execution, given.epochs), train_study(parts, execution, given.epochs))
        for _ in range(given.rounds)
    ]
    bare_s, study_s = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(
        json.dumps(
            {
                "benchmark": "overhead",
                "machine": machine_words(),
                "precision": execution.precision,
                "bare_s": round(bare_s, 3),
                "study_s": round(study_s, 3),
                "ratio": round(study_s / bare_s, 4),
                "ratios": [round(study / bare, 4) for bare, study in pairs],
                "bound": 1.05,
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
