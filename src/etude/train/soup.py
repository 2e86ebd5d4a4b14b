"""One network out of the weights of several: of the last epochs of one training, or of several trainings.

The plain mean of weights along the end of one training (Izmailov et al. 2018, arXiv:1803.05407) or of trainings that
start from the same weights (a uniform soup: Wortsman et al. 2022, arXiv:2203.05482). The running statistics of batch
normalisation are those of no mean network, so they are computed anew over the training pictures.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from etude.train.generated import training_part
from etude.train.job import Job
from etude.train.loaders import training_loader
from etude.train.loop import Fitted
from etude.train.state import load_tensors


def mean_weights(files: Sequence[Path]) -> tuple[dict[str, Tensor], set[str]]:
    """Return the mean of each tensor over files of weights, and the names of those that differ between them.

    What is not a floating-point number (a count of batches) is taken from the last file.
    """
    first, _ = load_tensors(files[0])
    sums = {name: tensor.double() if tensor.is_floating_point() else tensor for name, tensor in first.items()}
    differing: set[str] = set()
    for file in files[1:]:
        tensors, _ = load_tensors(file)
        differing |= {name for name, tensor in tensors.items() if not torch.equal(tensor, first[name])}
        sums |= {
            name: sums[name] + tensor if tensor.is_floating_point() else tensor for name, tensor in tensors.items()
        }
    means = {
        name: (total / len(files)).to(first[name].dtype) if total.is_floating_point() else total
        for name, total in sums.items()
    }
    return means, differing


def average_weights(job: Job, files: Sequence[Path], fitted: Fitted) -> Fitted:
    """Return a trained network with the mean of the weights in some files in the place of its own.

    Args:
        job: the job whose training pictures the normalisations are computed over.
        files: weights of networks of the same structure.
        fitted: the network that takes them, and what its training came to; the time of the averaging is added.
    """
    started = time.perf_counter()
    means, differing = mean_weights(files)
    fitted.model.load_state_dict(means)
    refresh_norms(fitted.model, job, differing)
    spent = time.perf_counter() - started
    progress = replace(
        fitted.progress,
        best_epoch=fitted.progress.epoch,
        seconds=fitted.progress.seconds + spent,
        seconds_to_best=fitted.progress.seconds + spent,
    )
    return replace(fitted, model=fitted.model.eval(), progress=progress, store=None)


@torch.no_grad()
def refresh_norms(model: nn.Module, job: Job, differing: set[str]) -> None:
    """Compute the running statistics of batch normalisation anew: their plain mean over an epoch's batches.

    Pictures are augmented as in training, and nothing is dropped out. Normalisations whose statistics are among none of
    `differing`, the names of what was averaged, were frozen and stay as they are.
    """
    norms = [
        module
        for name, module in model.named_modules()
        if isinstance(module, _BatchNorm) and module.track_running_stats and f"{name}.running_mean" in differing
    ]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    model.eval()
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain mean
        norm.train()
    loader = training_loader(job, training_part(job))
    loader.set_epoch(0)
    for batch in loader:
        with job.execution.autocast():
            model(batch.images_BCHW)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.eval()
