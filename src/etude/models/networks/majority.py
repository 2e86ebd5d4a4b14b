"""The model that knows only how often each class occurs.

Shapes: B pictures, C channels, H and W pixels, K classes, N labels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


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
