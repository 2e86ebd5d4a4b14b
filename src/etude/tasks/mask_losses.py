"""Losses of segmentation, by name: each a function of logits, masks and the weights of the classes.

Void pixels (255) count in none of them; a batch without any other pixel has the loss 0, with a gradient of 0. Dice,
Tversky, focal and Lovász are those of segmentation_models_pytorch. All are 0 at best; lower is better.

Shapes: B pictures, K classes, H and W pixels.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from etude.core.registry import Registry

VOID = 255
MaskLoss = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""From logits (B, K, H, W) float32, masks (B, H, W) int64 and weights (K,) or none, to a scalar."""

MASK_LOSSES: Registry[MaskLoss] = Registry("segmentation loss")


def mean_cross_entropy(logits_BKHW: Tensor, masks_BHW: Tensor, weights_K: Tensor | None = None) -> Tensor:
    """Return the mean cross-entropy of the pixels in nats, in 0..∞; with weights the weighted mean."""
    total = F.cross_entropy(logits_BKHW, masks_BHW, weights_K, ignore_index=VOID, reduction="sum")
    valid = masks_BHW != VOID
    count = valid.sum() if weights_K is None else weights_K[masks_BHW[valid]].sum()
    return total / count.clamp(min=1e-6)


MASK_LOSSES.register("cross-entropy")(mean_cross_entropy)


@MASK_LOSSES.register("dice")
def dice(logits_BKHW: Tensor, masks_BHW: Tensor, weights_K: Tensor | None = None) -> Tensor:
    """Return 1 − the soft Dice coefficient, averaged over the classes, in 0..1 (Milletari et al. 2016, eq. 3).

    Pixels are summed over the batch; a class that is not in it adds nothing.
    """
    return _of_library("DiceLoss", logits_BKHW, masks_BHW, weights_K)


@MASK_LOSSES.register("tversky")
def tversky(logits_BKHW: Tensor, masks_BHW: Tensor, weights_K: Tensor | None = None) -> Tensor:
    """Return 1 − the Tversky index, averaged over the classes, in 0..1 (Salehi et al. 2017, eq. 2).

    What is missed weighs 0.7, what is found wrongly 0.3: small things are missed more often than invented.
    """
    return _of_library("TverskyLoss", logits_BKHW, masks_BHW, weights_K, alpha=0.3, beta=0.7)


@MASK_LOSSES.register("focal")
def focal(logits_BKHW: Tensor, masks_BHW: Tensor, weights_K: Tensor | None = None) -> Tensor:
    """Return the focal loss with γ = 2, one class against the rest, in 0..∞ (Lin et al. 2017, eq. 4)."""
    if not _has_valid(masks_BHW):
        return logits_BKHW.sum() * 0
    return _of_library("FocalLoss", logits_BKHW, masks_BHW, weights_K, gamma=2.0)


@MASK_LOSSES.register("lovasz")
def lovasz(logits_BKHW: Tensor, masks_BHW: Tensor, weights_K: Tensor | None = None) -> Tensor:
    """Return the Lovász-softmax loss, in 0..1: a convex stand-in for 1 − IoU of the batch (Berman et al. 2018, eq. 11).

    It has no class weights: all classes of the batch count the same.
    """
    if not _has_valid(masks_BHW):
        return logits_BKHW.sum() * 0
    return _of_library("LovaszLoss", logits_BKHW, masks_BHW, None, per_image=False)


@MASK_LOSSES.register("cross-entropy+dice")
def cross_entropy_and_dice(logits_BKHW: Tensor, masks_BHW: Tensor, weights_K: Tensor | None = None) -> Tensor:
    """Return the sum of cross-entropy and Dice: pixels learn early, small classes are not drowned."""
    return mean_cross_entropy(logits_BKHW, masks_BHW, weights_K) + dice(logits_BKHW, masks_BHW, weights_K)


def _has_valid(masks_BHW: Tensor) -> bool:
    return bool((masks_BHW != VOID).any())


def _of_library(
    name: str, logits_BKHW: Tensor, masks_BHW: Tensor, weights_K: Tensor | None, **options: float | bool
) -> Tensor:
    """Compute a loss of segmentation_models_pytorch."""
    weights = None if weights_K is None else tuple(weights_K.tolist())
    loss: Tensor = _library_loss(name, weights, tuple(options.items()))(logits_BKHW, masks_BHW)
    return loss


@functools.cache
def _library_loss(name: str, weights: tuple[float, ...] | None, options: tuple[tuple[str, Any], ...]) -> Any:  # noqa: ANN401 - untyped library
    from segmentation_models_pytorch import losses

    given = dict(options) if weights is None else {**dict(options), "class_weights": list(weights)}
    return getattr(losses, name)("multiclass", ignore_index=VOID, **given)
