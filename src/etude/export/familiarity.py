"""How familiar a picture is: its features against the means of the classes.

A classifier names one of its classes whatever it is shown, and its probability only says how the picture lies between
them. The features before its last layer say more: those of a picture of another kind lie far from every class. What is
measured is the cosine with the nearest mean of a class, each feature vector taken at length 1 (class means: Lee et al.
2018, arXiv:1807.03888; length 1: Sun et al. 2022, arXiv:2204.06507).

Shapes: B pictures, D features, K classes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.core.bundle_record import Familiarity
from etude.core.seeds import derive

MOST_PICTURES = 4_096
"""Training pictures that the means are taken from, at most; as many of each class as there are of the rarest share."""


def find_head(model: nn.Module, images_BCHW: Tensor, n_classes: int) -> str | None:
    """Return the name of the linear layer that gives the logits; none where the network does not end in one.

    Args:
        model: a classifier.
        images_BCHW: pictures to follow it with.
        n_classes: its classes.
    """
    called: list[tuple[nn.Module, bool]] = []

    def note(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        called.append((module, inputs[0].ndim == 2 and output.shape == (len(images_BCHW), n_classes)))

    names: dict[nn.Module, str] = {
        module: name for name, module in model.named_modules() if isinstance(module, nn.Linear)
    }
    handles = [module.register_forward_hook(note) for module in names]
    try:
        with torch.no_grad():
            model(images_BCHW)
    finally:
        for handle in handles:
            handle.remove()
    last, gives_logits = called[-1] if called else (model, False)
    return names[last] if gives_logits else None


@contextmanager
def features_of(model: nn.Module, head: str) -> Iterator[list[Tensor]]:
    """Collect what the last layer is given (B, D) while the network is asked."""
    given: list[Tensor] = []

    def keep(module: nn.Module, inputs: tuple[Any, ...]) -> None:
        given.append(inputs[0])

    handle = model.get_submodule(head).register_forward_pre_hook(keep)
    try:
        yield given
    finally:
        handle.remove()


def nearest_mean(features_BD: Tensor, means_KD: Tensor) -> Tensor:
    """Return the cosine (B,) of features with the nearest mean; the means are of length 1."""
    return (F.normalize(features_BD.float(), dim=1) @ means_KD.T).amax(1)


def class_means(batches: Iterable[tuple[Tensor, npt.NDArray[np.int64]]], n_classes: int) -> Tensor:
    """Return the mean direction (K, D) of the features of each class, at length 1; zero for a class without pictures.

    Args:
        batches: features (B, D) with the classes (B,) of their pictures.
        n_classes: K.
    """
    sums: Tensor | None = None
    for features_BD, labels_B in batches:
        directions = F.normalize(features_BD.double(), dim=1)
        sums = directions.new_zeros(n_classes, directions.shape[1]) if sums is None else sums
        sums.index_add_(0, torch.from_numpy(labels_B), directions)
    assert sums is not None, "a training part has pictures"
    return F.normalize(sums, dim=1).float()


def draw_pictures(labels_N: npt.NDArray[np.int64], most: int = MOST_PICTURES) -> npt.NDArray[np.int64]:
    """Choose pictures for the means, about as many of each class; the same ones whenever it is asked.

    Args:
        labels_N: the classes of all training pictures.
        most: how many may be chosen.

    Returns:
        Positions, rising.
    """
    order = np.random.default_rng(derive(0, "familiarity")).permutation(len(labels_N))
    each = max(1, most // max(1, len(np.unique(labels_N))))
    chosen = [order[labels_N[order] == label][:each] for label in np.unique(labels_N)]
    return np.sort(np.concatenate(chosen)).astype(np.int64)


def choose_familiarity(familiarity_N: npt.NDArray[np.float32], familiar: float, pictures: int) -> Familiarity:
    """Choose the limit that a share `familiar` of the validation pictures reaches.

    Args:
        familiarity_N: of the validation pictures.
        familiar: that share, above 0 and at most 1.
        pictures: training pictures behind the means.
    """
    limit = float(np.quantile(familiarity_N, 1 - familiar, method="lower"))
    return Familiarity(unfamiliar_below=limit, familiar_share=float((familiarity_N >= limit).mean()), pictures=pictures)
