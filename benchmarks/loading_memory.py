"""CIFAR-sized pictures in memory to augmented, normalised batches: `MemoryLoader` against PyTorch's `DataLoader`.

The reference is `DataLoader` with torchvision's v2 transforms of the same kind and range, one picture at a time, since
v2 on a batch draws one parameter for all of it; with the best of the worker counts given, its workers living through
all rounds. The two take turns, and the ratio is of the median images per second.

    python benchmarks/loading_memory.py [--works flip+shift+cutout color] [--workers 0 1 2] [--rounds 5]
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2

from etude.data.augment import AugmentConfig
from etude.data.memory import MemoryLoader
from etude.evaluate.cost import machine_words

SIZE_PX, N_CLASSES = 32, 10
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)

CROP = v2.RandomCrop(SIZE_PX, padding=SIZE_PX // 8, padding_mode="reflect")
AFFINE = v2.RandomAffine(
    degrees=15, translate=(1 / 8, 1 / 8), scale=(0.8, 1.25), interpolation=v2.InterpolationMode.BILINEAR
)
SQUARE = v2.RandomErasing(p=1.0, scale=(1 / 16, 1 / 16), ratio=(1.0, 1.0))
FLIP, COLOR, NOISE = v2.RandomHorizontalFlip(), v2.ColorJitter(0.3, 0.3, 0.3), v2.GaussianNoise(sigma=0.025)
NORMALIZE = [v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]

WORKS: dict[str, list[Callable[[Tensor], Tensor]]] = {
    "flip+shift+cutout": [FLIP, CROP, *NORMALIZE, SQUARE],
    "flip+shift+rotate+scale": [FLIP, AFFINE, *NORMALIZE],
    "flip+shift+color": [FLIP, CROP, COLOR, *NORMALIZE],
    "flip+shift+rotate+scale+color+cutout": [FLIP, AFFINE, COLOR, *NORMALIZE, SQUARE],
    "flip+noise": [FLIP, NORMALIZE[0], NOISE, NORMALIZE[1]],
}
"""The transforms of the reference for each set of augmentations."""


class Pictures(Dataset[tuple[Tensor, int]]):
    """The reference's set: pictures of a tensor in memory, transformed one at a time."""

    def __init__(self, pictures_NHWC: np.ndarray, labels_N: np.ndarray, transform: Callable[[Tensor], Tensor]) -> None:
        self.pictures_NCHW = torch.from_numpy(pictures_NHWC).permute(0, 3, 1, 2).contiguous()
        self.labels_N = labels_N.tolist()
        self.transform = transform

    def __len__(self) -> int:
        return len(self.labels_N)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(self.pictures_NCHW[index]), self.labels_N[index]


def measure(loader: Iterable[Any], pictures: int) -> float:
    """Go through one epoch; return images per second."""
    started = time.perf_counter()
    for _ in loader:
        pass
    return pictures / (time.perf_counter() - started)


def compare(work: str, options: argparse.Namespace) -> dict[str, Any]:
    """Measure one set of augmentations both ways, in turns."""
    rng = np.random.default_rng(0)
    pictures_NHWC = rng.integers(0, 256, (options.pictures, SIZE_PX, SIZE_PX, 3), dtype=np.uint8)
    labels_N = rng.integers(0, N_CLASSES, options.pictures)
    augment = AugmentConfig(use=tuple(work.split("+")))
    ours = MemoryLoader(
        pictures_NHWC, labels_N, batch=options.batch, seed=0, mean=MEAN, std=STD, augment=augment, shuffle=True
    )
    # The reference is slow: a tenth of the pictures tells its rate.
    part = options.pictures // 10
    reference = Pictures(pictures_NHWC[:part], labels_N[:part], v2.Compose(WORKS[work]))
    theirs = {
        workers: DataLoader(reference, options.batch, shuffle=True, num_workers=workers, persistent_workers=workers > 0)
        for workers in options.workers
    }
    for loader in theirs.values():
        measure(loader, part)
    measure(ours, options.pictures)
    our_rates: list[float] = []
    their_rates: dict[int, list[float]] = {workers: [] for workers in theirs}
    for epoch, (workers, loader) in itertools.product(range(1, options.rounds + 1), theirs.items()):
        their_rates[workers].append(measure(loader, part))
        ours.set_epoch(epoch)
        our_rates.append(measure(ours, options.pictures))
    return summarize(our_rates, their_rates)


def summarize(our_rates: list[float], their_rates: dict[int, list[float]]) -> dict[str, Any]:
    """Return medians and their ratio."""
    ours = float(np.median(our_rates))
    theirs = {workers: float(np.median(rates)) for workers, rates in their_rates.items()}
    best = max(theirs, key=lambda workers: theirs[workers])
    return {
        "images_per_s": round(ours),
        "dataloader_images_per_s": {str(workers): round(rate) for workers, rate in theirs.items()},
        "dataloader_best_workers": best,
        "ratio": round(ours / theirs[best], 1),
    }


def main() -> None:
    """Compare and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--works", nargs="+", choices=WORKS, default=list(WORKS), metavar="WORK")
    parser.add_argument("--workers", nargs="+", type=int, default=[0, 1, 2], help="worker counts of the reference")
    parser.add_argument(
        "--pictures", type=int, default=20_480, help="pictures an epoch of ours; the reference goes through a tenth"
    )
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2, help="of torch, for both")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    works = {work: compare(work, options) for work in options.works}
    settings = {name: getattr(options, name) for name in ("pictures", "batch", "rounds", "threads")}
    print(json.dumps({"benchmark": "loading_memory", "machine": machine_words(), **settings, "works": works}, indent=1))


if __name__ == "__main__":
    main()
