"""What a task is to the loop, the scores and the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol

if TYPE_CHECKING:
    import torch

    from etude.data.batches import Batch

TaskName = Literal["classification", "segmentation", "generation"]
CLASS_LOSSES: Final = ("cross-entropy", "focal")
"""Losses of one class a picture; `etude.tasks.mask_losses` has those of masks."""


@dataclass(frozen=True)
class Step:
    """What one training batch gave."""

    loss: torch.Tensor
    """Scalar, with its graph."""
    right: torch.Tensor | None = None
    """Scalar: the sum of right answers over the batch, without graph; none where the task does not count them."""


class Task(Protocol):
    """Head, loss, metrics and step of one kind of question."""

    name: TaskName
    classes: tuple[str, ...]

    @property
    def n_outputs(self) -> int:
        """Outputs that the network must have: logits a picture, or a pixel."""

    def step(self, model: torch.nn.Module, batch: Batch) -> Step:
        """Run a training batch forward and return its loss."""

    def weight(self, batch: Batch) -> torch.Tensor:
        """Return what the loss of a batch counts beside those of others, where their mean stands for all of them."""

    def answer(self, logits: torch.Tensor) -> torch.Tensor:
        """Turn logits into what is stored and scored (probabilities, or ids of classes)."""

    def loss(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Return the plain validation loss, without smoothing."""
