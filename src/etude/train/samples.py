"""Pictures from a generator: fixed samples to watch, a film from one to the next, many to be measured.

Shapes: B and N pictures, Z latent numbers, H and W pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from etude.core.seeds import derive
from etude.figures.samples import write_film, write_grid
from etude.models.execution import Execution
from etude.models.networks.adversaries import Adversaries
from etude.pictures.generated import grid

SAMPLES_FOLDER: Final = "samples"
FINAL_FILE: Final = "final.png"
FILM_FILE: Final = "interpolation.gif"
_WATCHED: Final = 64
_STOPS: Final = 6
_FRAMES_A_STOP: Final = 8
_FILM_COLUMNS: Final = 4
_BATCH: Final = 64
_SMALL_PX: Final = 8
"""Side to which pictures are made small to see whether they differ: noise is averaged away, what is shown is not."""


@dataclass(frozen=True)
class Wanted:
    """What is asked of a generator."""

    latents_NZ: Tensor
    """On the CPU."""
    classes_N: Tensor | None
    """Class ids; none where the generator is not conditional."""


def draw_wanted(model: Adversaries, count: int, seed: int, labels_T: Tensor | None = None) -> Wanted:
    """Draw latent vectors, the same for the same seed on every device.

    Args:
        model: the networks.
        count: how many.
        seed: of the draws.
        labels_T: class ids in whose proportions classes are asked for; none: each class as often as the others.
    """
    generator = torch.Generator().manual_seed(derive(seed, "latents"))
    latents_NZ = torch.randn(count, model.latent, generator=generator)
    if not model.n_classes:
        return Wanted(latents_NZ, None)
    if labels_T is None:
        return Wanted(latents_NZ, torch.arange(count) * model.n_classes // count)
    return Wanted(latents_NZ, labels_T[torch.randint(0, len(labels_T), (count,), generator=generator)])


@torch.no_grad()
def generate(model: Adversaries, wanted: Wanted, execution: Execution) -> Tensor:
    """Return pictures (N, 3, H, W) in -1..1, float32 on the CPU; what comes beside a picture does not change it."""
    was_training = model.training
    model.eval()
    found = []
    for start in range(0, len(wanted.latents_NZ), _BATCH):
        part = slice(start, start + _BATCH)
        classes = None if wanted.classes_N is None else wanted.classes_N[part].to(execution.device)
        with execution.autocast():
            found.append(model(wanted.latents_NZ[part].to(execution.device), classes).float().cpu())
    model.train(was_training)
    return torch.cat(found).contiguous()


def to_bytes(images_NCHW: Tensor) -> npt.NDArray[np.uint8]:
    """Turn pictures in -1..1 into uint8 (N, H, W, 3), rounded."""
    scaled = ((images_NCHW.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return scaled.permute(0, 2, 3, 1).contiguous().numpy()


def spread(images_NCHW: Tensor) -> float:
    """Return the mean distance of two pictures made small: root mean square over their values, in 0..2; 0 of one."""
    if len(images_NCHW) < 2:
        return 0.0
    small_ND = F.adaptive_avg_pool2d(images_NCHW.float(), _SMALL_PX).flatten(1).double()
    count = len(small_ND)
    total = torch.cdist(small_ND, small_ND).sum().item()
    return total / (count * (count - 1)) / math.sqrt(small_ND.shape[1])


@dataclass(frozen=True)
class Variety:
    """How much training pictures differ, to hold samples against: all of them, or those of each class."""

    of_real: Mapping[int | None, float]
    """Mean distance of two training pictures by class id; under None that of all."""

    @classmethod
    def of_pictures(cls, images_NCHW: Tensor, labels_N: Tensor | None) -> Variety:
        """Take training pictures in -1..1; with labels where the generator is told the class."""
        return cls({label: spread(images_NCHW[own]) for label, own in _classes_apart(len(images_NCHW), labels_N)})

    def measure(self, samples_NCHW: Tensor, classes_N: Tensor | None) -> float:
        """Return the mean distance of two samples over that of two training pictures.

        Where samples are of classes, it is that of the class in which they differ least: a generator that gives one
        picture for each class has collapsed, however its classes differ.
        """
        shares = [
            spread(samples_NCHW[own]) / self.of_real[label]
            for label, own in _classes_apart(len(samples_NCHW), classes_N)
            if self.of_real.get(label, 0.0) > 0
        ]
        return min(shares, default=1.0)


def _classes_apart(count: int, classes_N: Tensor | None) -> Iterator[tuple[int | None, Tensor]]:
    """Give which pictures are of a class, for each that has two or more; without classes all of them."""
    if classes_N is None:
        yield None, torch.ones(count, dtype=torch.bool)
        return
    for label in sorted(set(classes_N.tolist())):
        own = classes_N == label
        if int(own.sum()) > 1:
            yield label, own


def watched_samples(model: Adversaries, execution: Execution, seed: int) -> Tensor:
    """Return the samples that every look shows: the same latent vectors from the first step to the last."""
    return generate(model, _watched(model, seed), execution)


def watched_classes(model: Adversaries, seed: int) -> Tensor | None:
    """Return the class ids of these samples; none where the generator is not conditional."""
    return _watched(model, seed).classes_N


def _watched(model: Adversaries, seed: int) -> Wanted:
    return draw_wanted(model, _WATCHED, derive(seed, "watched"))


def write_film_of(path: Path, model: Adversaries, execution: Execution, seed: int, made_by: str) -> None:
    """Write the film: several pictures beside each other, each on its way from sample to sample and back round."""
    stops = draw_wanted(model, _STOPS * _FILM_COLUMNS, derive(seed, "film"))
    latents_SCZ = stops.latents_NZ.reshape(_STOPS, _FILM_COLUMNS, -1)
    classes = None if stops.classes_N is None else torch.arange(_FILM_COLUMNS) % model.n_classes
    frames = []
    for stop in range(_STOPS):
        after = (stop + 1) % _STOPS
        for step in range(_FRAMES_A_STOP):
            latents_CZ = between(latents_SCZ[stop], latents_SCZ[after], step / _FRAMES_A_STOP)
            pictures = to_bytes(generate(model, Wanted(latents_CZ, classes), execution))
            frames.append(grid(pictures, _FILM_COLUMNS))
    write_film(path, frames, made_by=made_by)


def between(a_NZ: Tensor, b_NZ: Tensor, share: float) -> Tensor:
    """Return vectors on the great circle from a to b: as long as normal draws (White 2016, arXiv 1609.04468).

    >>> between(torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]), 0.5)
    tensor([[0.7071, 0.7071]])
    """
    angle_N = torch.arccos(F.cosine_similarity(a_NZ, b_NZ).clamp(-1 + 1e-6, 1 - 1e-6))[:, None]
    found: Tensor = (torch.sin((1 - share) * angle_N) * a_NZ + torch.sin(share * angle_N) * b_NZ) / torch.sin(angle_N)
    return found


def write_samples(folder: Path, name: str, images_NCHW: Tensor, made_by: str) -> None:
    """Write a sample grid into the run's folder."""
    write_grid(folder / SAMPLES_FOLDER / name, to_bytes(images_NCHW), made_by=made_by)
