"""The models that know only how often each class occurs, in all or at each position.

Shapes: B pictures, C channels, H and W pixels, K classes, N labels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_AT_ONCE = 64  # masks that are counted at once: one number a pixel and class would not fit for all


class Majority(nn.Module):
    """Logits that are the logarithms of the classes' frequencies, for every picture."""

    log_priors: Tensor

    def __init__(self, n_outputs: int) -> None:
        super().__init__()
        self.register_buffer("log_priors", torch.full((n_outputs,), 1 / n_outputs).log())

    def fit_labels(self, labels_N: Tensor, n_classes: int | None = None) -> None:
        """Count the frequencies of the classes.

        A class without a picture counts as half a picture, so that no probability is zero.

        Args:
            labels_N: int64 (N,), ids of classes; negative ids (unlabelled) are left out.
            n_classes: number of classes; the model's number of outputs by default.

        Raises:
            ValueError: if `n_classes` is not the model's number of outputs.
        """
        n_outputs = self.log_priors.numel()
        if n_classes not in (None, n_outputs):
            raise ValueError(f"majority: n_classes must be {n_outputs}. Got {n_classes!r}.")
        counts_K = torch.bincount(labels_N[labels_N >= 0], minlength=n_outputs).double().clamp(min=0.5)
        self.log_priors.copy_((counts_K / counts_K.sum()).log())

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Return the same logits (B, K) for every picture."""
        return self.log_priors.expand(images_BCHW.shape[0], -1)


class PositionMajority(nn.Module):
    """Logits that are the logarithms of the classes' frequencies at each position, for every picture."""

    log_priors: Tensor

    def __init__(self, n_outputs: int, size_px: tuple[int, int]) -> None:
        super().__init__()
        self.register_buffer("log_priors", torch.full((n_outputs, *size_px), 1 / n_outputs).log())

    def fit_masks(self, masks_NHW: Tensor) -> None:
        """Count the classes at each position.

        To every position the frequencies of the whole part are added as half a picture, so that no probability is zero.

        Args:
            masks_NHW: uint8 (N, H, W) ids; 255 is void.
        """
        n_outputs = len(self.log_priors)
        counts_KHW = torch.zeros(self.log_priors.shape)
        for masks in torch.split(masks_NHW, _AT_ONCE):
            for number in range(n_outputs):
                counts_KHW[number] += (masks == number).sum(0)
        totals_K = counts_KHW.sum((1, 2)).clamp(min=0.5)
        counts_KHW += 0.5 * (totals_K / totals_K.sum())[:, None, None]
        self.log_priors.copy_((counts_KHW / counts_KHW.sum(0)).log())

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Return the same logits (B, K, H, W) for every picture, stretched to its size."""
        priors_BKHW = self.log_priors[None]
        size_px = images_BCHW.shape[2:]
        if priors_BKHW.shape[2:] != size_px:
            priors_BKHW = F.interpolate(priors_BKHW, size=size_px, mode="bilinear")
        return priors_BKHW.expand(images_BCHW.shape[0], -1, -1, -1)
