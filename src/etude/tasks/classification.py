"""Classification: one class a picture. A binary detector is its two-class case."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F

from etude.tasks.task import Step, TaskName

if TYPE_CHECKING:
    from etude.data.batches import Batch

METRIC = "accuracy"
GAMMA = 2.0
"""Exponent of the focal loss: that of its paper, and of the focal loss of masks."""
OUTPUT = "probabilities"
"""What a deployed network of this task gives: probabilities (B, K) float32; where asked for, the logits beside."""


class Classification:
    """Softmax over the classes; cross-entropy, or the focal loss.

    Args:
        classes: names of the classes, in the order of their ids.
        label_smoothing: share of the target spread evenly over all classes, in [0, 1); 0 for the focal loss.
        class_weights: weight of each class in the loss, shape (K,); none for equal weights.
        loss: one of `etude.tasks.task.CLASS_LOSSES`.
        gamma: exponent of the focal loss.
    """

    name: TaskName = "classification"

    def __init__(
        self,
        classes: tuple[str, ...],
        label_smoothing: float = 0.0,
        class_weights: torch.Tensor | None = None,
        loss: str = "cross-entropy",
        gamma: float = GAMMA,
    ) -> None:
        self.classes = classes
        self.label_smoothing = label_smoothing
        self.class_weights = class_weights
        self.is_focal, self.gamma = loss == "focal", gamma

    @property
    def n_outputs(self) -> int:
        """One logit a class."""
        return len(self.classes)

    def step(self, model: torch.nn.Module, batch: Batch) -> Step:
        """Run a batch forward; a mixed picture counts for both its classes by their shares."""
        logits_BK = model(batch.images_BCHW)
        loss_B = self._losses(logits_BK, batch.targets_B)
        if batch.other_targets is not None and batch.mix_B is not None:
            mix_B = batch.mix_B.to(loss_B.dtype)
            loss_B = mix_B * loss_B + (1 - mix_B) * self._losses(logits_BK, batch.other_targets)
        with torch.no_grad():
            right = (logits_BK.argmax(1) == batch.targets_B).sum()
        return Step(loss_B.mean(), right)

    def weight(self, batch: Batch) -> torch.Tensor:
        """Return the number of pictures: the loss is a mean over them, weights and all."""
        return torch.tensor(len(batch), device=batch.targets_B.device)

    def _losses(self, logits_BK: torch.Tensor, targets_B: torch.Tensor) -> torch.Tensor:
        weights = None if self.class_weights is None else self.class_weights.to(logits_BK.device)
        # The loss is computed in float32: in bfloat16 a sum of exponentials loses two digits.
        if self.is_focal:
            return focal_losses(logits_BK.float(), targets_B, weights, self.gamma)
        return F.cross_entropy(
            logits_BK.float(), targets_B, weights, reduction="none", label_smoothing=self.label_smoothing
        )

    def answer(self, logits_BK: torch.Tensor) -> torch.Tensor:
        """Return probabilities (B, K) in float32."""
        return logits_BK.float().softmax(1)

    def loss(self, logits_BK: torch.Tensor, targets_B: torch.Tensor) -> torch.Tensor:
        """Return the mean cross-entropy in nats, without smoothing or weights."""
        return F.cross_entropy(logits_BK.float(), targets_B)


def focal_losses(
    logits_BK: torch.Tensor, targets_B: torch.Tensor, weights_K: torch.Tensor | None = None, gamma: float = GAMMA
) -> torch.Tensor:  # fmt: skip
    """Return −α (1 − p)^γ ln p of each picture, p being the probability of its class (Lin et al. 2017, equation 5).

    What is answered well already weighs little, so that few hard pictures are not drowned by many easy ones.

    Args:
        logits_BK: logits, float32.
        targets_B: classes, int64.
        weights_K: α of each class; none: 1.
        gamma: γ, at least 0; 0: cross-entropy.

    Returns:
        (B,) float32, in 0..∞ nats; lower is better.

    >>> focal_losses(torch.tensor([[0.0, 0.0]]), torch.tensor([1]))  # a quarter of ln 2
    tensor([0.1733])
    """
    log_p_B = logits_BK.log_softmax(1).gather(1, targets_B[:, None])[:, 0]
    # 1 − p from its own logarithm: for p near 1 the difference of two numbers near 1 would have no digits left.
    missing_B = torch.expm1(log_p_B).abs()
    if gamma < 1:  # its slope has no end where nothing is missing
        missing_B = missing_B.clamp(min=1e-6)
    losses_B: torch.Tensor = -(missing_B**gamma) * log_p_B
    return losses_B if weights_K is None else weights_K[targets_B] * losses_B


def balanced_weights(labels_N: torch.Tensor, n_classes: int) -> torch.Tensor:
    """Return weights inversely proportional to the frequency of each class, with mean 1 over the pictures.

    >>> balanced_weights(torch.tensor([0, 0, 0, 1]), 2)
    tensor([0.6667, 2.0000])
    """
    counts_K = torch.bincount(labels_N, minlength=n_classes).float().clamp(min=1)
    return labels_N.numel() / (n_classes * counts_K)
