"""Segmentation: one class a pixel.

Shapes: B pictures, K classes, H and W pixels.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import torch
from torch import Tensor

from etude.tasks.mask_losses import MASK_LOSSES, VOID, averaged_over, mean_cross_entropy
from etude.tasks.task import Step, TaskName

if TYPE_CHECKING:
    from etude.data.batches import Batch

METRIC: Final = "miou"
OUTPUT: Final = "ids"
"""What a deployed network of this task gives: ids (B, H, W) uint8, whose colours are the palette of its bundle.

Where an export is asked for them, the logits (B, K, H, W) float32 that the ids are the largest of come beside.
"""


class Segmentation:
    """Softmax over the classes of each pixel; void pixels (255) count in no loss.

    Args:
        classes: names of the classes, in the order of their ids.
        loss: a name of `etude.tasks.mask_losses.MASK_LOSSES`.
        class_weights: weight of each class in the loss, shape (K,); none for equal weights.
        options: what the loss takes beside, by name: `gamma` of focal, `missed` of tversky.
    """

    name: TaskName = "segmentation"

    def __init__(
        self,
        classes: tuple[str, ...],
        loss: str = "cross-entropy",
        class_weights: Tensor | None = None,
        **options: float,
    ) -> None:
        self.classes = classes
        self.class_weights = class_weights
        self._loss, self._loss_name = functools.partial(MASK_LOSSES[loss], **options), loss

    @property
    def n_outputs(self) -> int:
        """One logit a class, at each pixel."""
        return len(self.classes)

    def step(self, model: torch.nn.Module, batch: Batch) -> Step:
        """Run a batch forward; a picture that was blended with another counts for both masks by their shares."""
        # In bfloat16 a sum over a million pixels loses its last digits: the loss is computed in float32.
        logits_BKHW = model(batch.images_BCHW).float()
        if batch.other_targets is None or batch.mix_B is None:
            return Step(self._weigh(logits_BKHW, batch.targets_B))
        shares = batch.mix_B.tolist()
        losses = [
            share * self._weigh(logits_BKHW[row : row + 1], batch.targets_B[row : row + 1])
            + (1 - share) * self._weigh(logits_BKHW[row : row + 1], batch.other_targets[row : row + 1])
            for row, share in enumerate(shares)
        ]
        return Step(torch.stack(losses).mean())

    def weight(self, batch: Batch) -> Tensor:
        """Return what the loss of a batch is divided by; of blended pictures it is the mean over the pictures."""
        if batch.other_targets is not None:
            return torch.tensor(len(batch), device=batch.targets_B.device)
        return averaged_over(self._loss_name, batch.targets_B, self._weights_on(batch.targets_B))

    def _weigh(self, logits_BKHW: Tensor, masks_BHW: Tensor) -> Tensor:
        with torch.autocast(logits_BKHW.device.type, enabled=False):  # it would take sums of products to bfloat16 again
            return self._loss(logits_BKHW, masks_BHW, self._weights_on(logits_BKHW))

    def _weights_on(self, like: Tensor) -> Tensor | None:
        return None if self.class_weights is None else self.class_weights.to(like.device)

    def answer(self, logits: Tensor) -> Tensor:
        """Return the likeliest class of each pixel, (B, H, W) uint8."""
        return logits.argmax(1).to(torch.uint8)

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return the mean cross-entropy of the pixels in nats, without weights."""
        return mean_cross_entropy(logits.float(), targets)


_MOST_TIMES = 20.0


def pixel_weights(counts_K: Tensor, how: str) -> Tensor | None:
    """Return the weight of each class in the loss, from its pixels in the training part; mean 1 over the classes.

    Args:
        counts_K: pixels of each class.
        how: none; balanced: inversely proportional to the frequency p; log: 1 / ln(1.02 + p), which is milder (Paszke
            et al. 2016, ENet). The largest is at most 20 times the smallest.

    >>> pixel_weights(torch.tensor([100, 10, 0]), "balanced")
    tensor([0.1818, 1.8182, 0.0000])
    """
    if how == "none":
        return None
    frequency_K = counts_K.double() / counts_K.sum().clamp(min=1)
    present = frequency_K > 0
    raw_K = 1 / frequency_K.clamp(min=1e-12) if how == "balanced" else 1 / torch.log(1.02 + frequency_K)
    # A class of a few pixels must not drown all others.
    weights_K = torch.where(present, raw_K.clamp(max=_MOST_TIMES * float(raw_K[present].min())), 0.0)
    return (weights_K / weights_K[present].mean()).float()


def tell_weights(pixels: Mapping[str, int]) -> dict[str, dict[str, float]]:
    """Return the weight that each class would have under each way of `train.class_weights`; nothing without pixels.

    Args:
        pixels: pixels of each class in the training part.

    >>> tell_weights({"road": 900, "pole": 100})["balanced"]["pole"]
    1.7999999523162842
    """
    if not any(pixels.values()):
        return {}
    counts_K = torch.tensor(list(pixels.values()))
    ways = {how: pixel_weights(counts_K, how) for how in ("balanced", "log")}
    return {
        how: dict(zip(pixels, weights_K.tolist(), strict=True))
        for how, weights_K in ways.items()
        if weights_K is not None
    }


__all__ = ["METRIC", "OUTPUT", "VOID", "Segmentation", "pixel_weights", "tell_weights"]
