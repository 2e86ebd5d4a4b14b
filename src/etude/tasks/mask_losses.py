"""Losses of segmentation, by name: each a function of logits, masks and the weights of the classes.

Void pixels (255) count in none of them; a batch without any other pixel has the loss 0, with a gradient of 0. Focal,
Dice, Tversky and Lovász have the definitions of segmentation_models_pytorch, without its maps for each class and its
sorting, which cost several times as much as the cross-entropy (benchmarks/segmentation.py). All are 0 at best; lower is
better.

Shapes: B pictures, K classes, H and W pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from etude.core.registry import Registry

VOID = 255
MaskLoss = Callable[[Tensor, Tensor, Tensor | None], Tensor]
"""From logits (B, K, H, W) float32, masks (B, H, W) int64 and weights (K,) or none, to a scalar."""

MASK_LOSSES: Registry[MaskLoss] = Registry("segmentation loss")
_BY_WEIGHT = ("cross-entropy", "cross-entropy+dice")
_BY_PIXEL = ("focal",)
_SQUARE: Final = 2.0


def mean_cross_entropy(logits_BKHW: Tensor, masks_BHW: Tensor, weights_K: Tensor | None = None) -> Tensor:
    """Return the mean cross-entropy of the pixels in nats, in 0..∞; with weights the weighted mean."""
    return _mean_nll(logits_BKHW.log_softmax(1), masks_BHW, weights_K)


MASK_LOSSES.register("cross-entropy")(mean_cross_entropy)


@MASK_LOSSES.register("dice")
def dice(logits_BKHW: Tensor, masks_BHW: Tensor, weights_K: Tensor | None = None) -> Tensor:
    """Return 1 − the soft Dice coefficient, averaged over the classes, in 0..1 (Sudre et al. 2017, DL₂).

    Pixels are summed over the batch; a class that is not in it adds nothing. (Milletari et al. 2016 square the
    probabilities below the line; here they stand as they are.)
    """
    return _overlap_missing(logits_BKHW.log_softmax(1), masks_BHW, weights_K, wrong=0.5, missed=0.5)


@MASK_LOSSES.register("tversky")
def tversky(
    logits_BKHW: Tensor, masks_BHW: Tensor, weights_K: Tensor | None = None, *, missed: float = 0.7
) -> Tensor:  # fmt: skip
    """Return 1 − the Tversky index, averaged over the classes, in 0..1 (Salehi et al. 2017, eq. 2).

    What is missed weighs `missed`, what is found wrongly the rest to 1: small things are missed more often than
    invented.
    """
    wrong = round(1 - missed, 12)  # 0.3 and not the number next to it
    return _overlap_missing(logits_BKHW.log_softmax(1), masks_BHW, weights_K, wrong=wrong, missed=missed)


@MASK_LOSSES.register("focal")
def focal(
    logits_BKHW: Tensor, masks_BHW: Tensor, weights_K: Tensor | None = None, *, gamma: float = 2.0
) -> Tensor:  # fmt: skip
    """Return the focal loss, one class against the rest, in 0..∞ (Lin et al. 2017, eq. 4)."""
    loss: Tensor = _Focal.apply(logits_BKHW, masks_BHW, weights_K, gamma)
    return loss


@MASK_LOSSES.register("lovasz")
def lovasz(logits_BKHW: Tensor, masks_BHW: Tensor, weights_K: Tensor | None = None) -> Tensor:
    """Return the Lovász-softmax loss, in 0..1: a convex stand-in for 1 − IoU of the batch (Berman et al. 2018, eq. 11).

    It has no class weights: all classes of the batch count the same.
    """
    given_BKHW = logits_BKHW.softmax(1)
    value, slopes_BKHW = _lovasz_slopes(given_BKHW.detach(), masks_BHW)
    linear = (given_BKHW * slopes_BKHW).sum()
    return value + (linear - linear.detach())


@MASK_LOSSES.register("cross-entropy+dice")
def cross_entropy_and_dice(logits_BKHW: Tensor, masks_BHW: Tensor, weights_K: Tensor | None = None) -> Tensor:
    """Return the sum of cross-entropy and Dice: pixels learn early, small classes are not drowned."""
    logs_BKHW = logits_BKHW.log_softmax(1)
    cross_entropy = _mean_nll(logs_BKHW, masks_BHW, weights_K)
    return cross_entropy + _overlap_missing(logs_BKHW, masks_BHW, weights_K, wrong=0.5, missed=0.5)


class _Focal(torch.autograd.Function):
    """The focal loss, whose gradient is worked out beside it: those of the library take four times as long."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        logits_BKHW: Tensor,
        masks_BHW: Tensor,
        weights_K: Tensor | None,
        gamma: float,
    ) -> Tensor:
        valid_BHW = masks_BHW != VOID
        truth_B1HW = masks_BHW.masked_fill(~valid_BHW, 0)[:, None]
        # As if no class were the truth: p^γ · softplus(x), with p the logistic of the logit x.
        given_BKHW, cost_BKHW = logits_BKHW.sigmoid(), F.softplus(logits_BKHW)
        slope_BKHW = _times_power(torch.addcmul(given_BKHW, gamma * cost_BKHW, 1 - given_BKHW), given_BKHW, gamma)
        _times_power(cost_BKHW, given_BKHW, gamma)
        # And where it is: (1 − p)^γ · softplus(−x).
        right_B1HW = given_BKHW.gather(1, truth_B1HW)
        missing_B1HW, of_truth_B1HW = 1 - right_B1HW, F.softplus(-logits_BKHW.gather(1, truth_B1HW))
        factor_B1HW = missing_B1HW.square() if gamma == _SQUARE else missing_B1HW.pow(gamma)
        slope_of_truth_B1HW = -factor_B1HW * (gamma * right_B1HW * of_truth_B1HW + missing_B1HW)
        slope_BKHW.scatter_(1, truth_B1HW, slope_of_truth_B1HW)
        cost_BKHW.scatter_(1, truth_B1HW, factor_B1HW * of_truth_B1HW)
        counted_BHW = valid_BHW.to(cost_BKHW.dtype) / valid_BHW.sum().clamp(min=1)
        shares_K = cost_BKHW.new_ones(cost_BKHW.shape[1]) if weights_K is None else weights_K.to(cost_BKHW.dtype)
        shares_K = shares_K / shares_K.sum()
        slope_BKHW.mul_(counted_BHW[:, None]).mul_(shares_K[:, None, None])
        ctx.save_for_backward(slope_BKHW)
        return torch.einsum("bkhw,bhw,k->", cost_BKHW, counted_BHW, shares_K)

    @staticmethod
    def backward(ctx: Any, *upward: Tensor) -> tuple[Tensor, None, None, None]:  # noqa: ANN401
        (slope_BKHW,) = ctx.saved_tensors
        return slope_BKHW * upward[0], None, None, None


def _times_power(values: Tensor, base: Tensor, gamma: float) -> Tensor:
    """Multiply values, in place, by a power of others; the square, which is the usual one, costs a third as much."""
    return values.mul_(base).mul_(base) if gamma == _SQUARE else values.mul_(base.pow(gamma))


def averaged_over(loss: str, masks_BHW: Tensor, weights_K: Tensor | None = None) -> Tensor:
    """Return what a loss of this name divides its sum by: weights of classes, or pixels; pictures where it is no mean.

    Means over the parts of a batch, each weighed by this, make the mean over the batch. Dice, Tversky and Lovász are of
    a whole batch, and no weights make theirs from those of its parts; in `cross-entropy+dice` the mean decides.
    """
    valid_BHW = masks_BHW != VOID
    if loss in _BY_WEIGHT:
        return valid_BHW.sum() if weights_K is None else weights_K[masks_BHW[valid_BHW]].sum()
    return valid_BHW.sum() if loss in _BY_PIXEL else torch.tensor(len(masks_BHW), device=masks_BHW.device)


def _mean_nll(logs_BKHW: Tensor, masks_BHW: Tensor, weights_K: Tensor | None) -> Tensor:
    """Return the (weighted) mean of what is missing of the truth's logarithm."""
    total = F.nll_loss(logs_BKHW, masks_BHW, weights_K, ignore_index=VOID, reduction="sum")
    return total / averaged_over("cross-entropy", masks_BHW, weights_K).clamp(min=1e-6)


def _overlap_missing(
    logs_BKHW: Tensor, masks_BHW: Tensor, weights_K: Tensor | None, *, wrong: float, missed: float
) -> Tensor:
    """Return 1 − the Tversky index from the logarithms of probabilities; Dice where both shares are a half."""
    n_classes = logs_BKHW.shape[1]
    valid_BHW = masks_BHW != VOID
    truth_BHW = masks_BHW.masked_fill(~valid_BHW, 0)
    given_BKHW = logs_BKHW.exp()
    right_BHW = given_BKHW.gather(1, truth_BHW[:, None])[:, 0] * valid_BHW
    # Pixels are added one by one: the millionth would be lost on a sum in float32. (Apple's devices have no other.)
    wide = torch.float32 if right_BHW.device.type == "mps" else torch.float64
    bins_K = right_BHW.new_zeros(n_classes, dtype=wide)
    right_K = bins_K.index_add_(0, truth_BHW.flatten(), right_BHW.flatten().to(wide)).to(right_BHW.dtype)
    given_K = torch.einsum("bkhw,bhw->k", given_BKHW, valid_BHW.to(given_BKHW.dtype))
    true_K = torch.bincount(masks_BHW[valid_BHW], minlength=n_classes).to(given_K.dtype)
    index_K = right_K / (right_K + wrong * (given_K - right_K) + missed * (true_K - right_K)).clamp(min=1e-7)
    missing_K = (1 - index_K) * (true_K > 0)
    return missing_K.mean() if weights_K is None else (missing_K * weights_K).sum() / weights_K.sum()


@torch.no_grad()
def _lovasz_slopes(given_BKHW: Tensor, masks_BHW: Tensor) -> tuple[Tensor, Tensor]:
    """Return the Lovász loss, and how it grows with each probability (B, K, H, W).

    The loss is linear in the errors as long as their order stays. The weight of an error is what the loss 1 − I/U of
    its class gains when the pixels before it, in falling order of their errors, are already wrong: 1/U for a pixel of
    the class, I/(U (U − 1)) for another. (The paper takes differences of neighbours, whose last digits cancel.)
    """
    valid_BHW = masks_BHW != VOID
    valid_N = valid_BHW.flatten()
    counts_K = torch.bincount(masks_BHW[valid_BHW], minlength=given_BKHW.shape[1])
    present = counts_K.nonzero().flatten().tolist()
    slopes_BKHW, value = torch.zeros_like(given_BKHW), given_BKHW.new_zeros(())
    ranks_N = torch.arange(1, len(valid_N) + 1, dtype=torch.int32, device=masks_BHW.device)
    # A class at a time: what is sorted takes eighty bytes a pixel.
    for label in present:
        true_N = (masks_BHW == label).flatten()
        given_N = given_BKHW[:, label].flatten()
        errors_N = torch.where(true_N, 1 - given_N, given_N).clamp_(min=0).mul_(valid_N)
        order_N = _falling(errors_N)
        ordered_N = true_N[order_N]
        found_N = ordered_N.cumsum(0, dtype=torch.int32)
        union_N = (counts_K[label].to(torch.int32) + ranks_N - found_N).to(given_N.dtype)
        left_N = (counts_K[label].to(torch.int32) - found_N).to(given_N.dtype)
        weights_N = torch.where(ordered_N, 1 / union_N, left_N / (union_N * (union_N - 1).clamp(min=1)))
        slopes_N = torch.empty_like(weights_N).scatter_(0, order_N, weights_N).mul_(valid_N).div_(len(present))
        value += errors_N @ slopes_N
        slopes_BKHW[:, label] = torch.where(true_N, -slopes_N, slopes_N).view(masks_BHW.shape)
    return value, slopes_BKHW


def _falling(errors_N: Tensor) -> Tensor:
    """Return the positions (N,) int64 of the errors in falling order, equal ones as they come.

    On a CPU the bits of a number and its position are sorted as one whole number, by NumPy: many times as fast as
    PyTorch's sorting. Numbers that are not negative have the order of their bits.
    """
    if errors_N.device.type != "cpu" or errors_N.dtype != torch.float32:
        return errors_N.argsort(descending=True, stable=True)
    keys_N = (np.int64(0x7FFFFFFF) - errors_N.numpy().view(np.int32)) << 32
    keys_N |= np.arange(len(keys_N), dtype=np.int64)
    keys_N.sort()
    return torch.from_numpy(keys_N & 0xFFFFFFFF)
