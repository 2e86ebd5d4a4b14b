"""What of an answer is explained: the class of a whole picture, or that of some pixels of a mask.

Shapes: B pictures, K classes, H and W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


class Question(Protocol):
    """One class whose answer is explained."""

    def logit(self, logits: Tensor) -> Tensor:
        """Return what is followed back to the picture, (B,)."""

    def probability(self, logits: Tensor) -> Tensor:
        """Return how sure the network is, (B,), 0 to 1."""


@dataclass(frozen=True)
class OfPicture:
    """Why a picture is given a class; logits are (B, K)."""

    label: int
    """Id of the class."""

    def logit(self, logits: Tensor) -> Tensor:
        """Return the logit of the class, (B,)."""
        return logits[:, self.label]

    def probability(self, logits: Tensor) -> Tensor:
        """Return the probability of the class, (B,)."""
        return logits.float().softmax(1)[:, self.label]


@dataclass(frozen=True)
class OfPixels:
    """Why some pixels of a picture are given a class; logits are (B, K, H, W).

    What is followed back is the sum of the class's logits over these pixels (Seg-Grad-CAM: Vinogradova, Dibrov and
    Myers 2020, arXiv:2002.11434, eq. 2).
    """

    label: int
    """Id of the class."""
    pixels_HW: Tensor
    """Which pixels, bool, on the network's device: those that it gives the class."""

    def logit(self, logits: Tensor) -> Tensor:
        """Return the sum of the class's logits over the pixels, (B,)."""
        return logits[:, self.label][:, self.pixels_HW].sum(1)

    def probability(self, logits: Tensor) -> Tensor:
        """Return the mean probability of the class over the pixels, (B,)."""
        return logits.float().softmax(1)[:, self.label][:, self.pixels_HW].mean(1)
