"""Several networks that answer as one: trained from seeds or over folds of their own, their probabilities averaged.

Shapes: B pictures of a batch, N of a part, C channels, H and W pixels, K classes, M members.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn

from etude.data.prepared import take_rows
from etude.train.job import Job
from etude.train.loop import Fitted, predict
from etude.train.views import Views


class Ensemble(nn.Module):
    """A network whose answer is the mean of the probabilities of its members (Lakshminarayanan et al. 2017)."""

    def __init__(self, members: Iterable[nn.Module]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Return the logarithms (B, K) of the mean probabilities: their softmax is the mean itself."""
        logs_MBK = torch.stack([member(images_BCHW).float().log_softmax(1) for member in self.members])
        return logs_MBK.logsumexp(0) - torch.tensor(float(len(logs_MBK))).log().to(logs_MBK.device)


def build_ensemble(builds: Iterable[Callable[[], nn.Module]]) -> Ensemble:
    """Return an ensemble of networks as they are drawn, to load weights into."""
    return Ensemble(build() for build in builds)


def join_members(members: list[Fitted]) -> Fitted:
    """Return trained networks as one: what they cost is added up, and the history is that of the first."""
    first = members[0]
    features = [member.progress.features_seconds for member in members]
    shared = sum(features) - max(features)  # one pass over the pictures serves the heads of all
    progress = replace(
        first.progress,
        seconds=sum(member.progress.seconds for member in members) - shared,
        seconds_to_best=sum(member.progress.seconds_to_best for member in members) - shared,
        features_seconds=max(features),
        interruptions=sum(member.progress.interruptions for member in members),
    )
    return replace(
        first,
        model=Ensemble(member.model for member in members).eval(),
        progress=progress,
        steps=sum(member.steps for member in members),
        store=None,
    )


def predict_held_out(job: Job, fitted: Fitted) -> np.ndarray:
    """Return the probabilities (N, K), float32, of the validation pictures, each by the one that was not trained on it.

    Args:
        job: of networks over folds: each of its members has a validation part of its own.
        fitted: their ensemble, with or without views.
    """
    views = fitted.model if isinstance(fitted.model, Views) else None
    ensemble = fitted.model if views is None else views.model
    assert isinstance(ensemble, Ensemble)
    wanted_N = job.parts("validation").indices_N
    order_N = np.argsort(wanted_N)
    probabilities_NK = np.zeros((len(wanted_N), len(job.classes)), np.float32)
    for member, network in zip(job.members, ensemble.members, strict=True):
        held_out = member.parts("validation")
        own = take_rows(held_out, np.flatnonzero(np.isin(held_out.indices_N, wanted_N)))
        asked = network if views is None else Views(network, views.name)
        rows_N = order_N[np.searchsorted(wanted_N, own.indices_N, sorter=order_N)]
        probabilities_NK[rows_N] = predict(replace(fitted, model=asked.eval(), store=None), job, own)
    return probabilities_NK
