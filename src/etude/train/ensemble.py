"""Several networks that answer as one: trained from seeds of their own, their probabilities averaged.

Shapes: B pictures, C channels, H and W pixels, K classes, M members.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import torch
from torch import Tensor, nn

from etude.train.loop import Fitted


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
    progress = replace(
        first.progress,
        seconds=sum(member.progress.seconds for member in members),
        seconds_to_best=sum(member.progress.seconds_to_best for member in members),
        interruptions=sum(member.progress.interruptions for member in members),
    )
    return replace(
        first,
        model=Ensemble(member.model for member in members).eval(),
        progress=progress,
        steps=sum(member.steps for member in members),
        store=None,
    )
