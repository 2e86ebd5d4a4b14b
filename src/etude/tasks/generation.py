"""Generation: pictures like those of the training part, learnt by two networks against each other.

Shapes: B pictures.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor

from etude.core.registry import Registry

METRIC: Final = "kid"


@dataclass(frozen=True)
class AdversarialLoss:
    """What each of the two networks makes small."""

    of_discriminator: Callable[[Tensor, Tensor], Tensor]
    """Logits (B, P) of real pictures and of generated ones to a scalar."""
    of_generator: Callable[[Tensor], Tensor]
    """Logits (B, P) of generated pictures to a scalar."""


ADVERSARIAL_LOSSES: Registry[AdversarialLoss] = Registry("generation loss")

ADVERSARIAL_LOSSES.register("non-saturating")(
    # Goodfellow et al. 2014, arXiv 1406.2661, section 3: binary cross-entropy, the generator's with labels exchanged.
    AdversarialLoss(
        of_discriminator=lambda real_BP, fake_BP: F.softplus(-real_BP).mean() + F.softplus(fake_BP).mean(),
        of_generator=lambda fake_BP: F.softplus(-fake_BP).mean(),
    )
)
ADVERSARIAL_LOSSES.register("hinge")(
    # Lim, Ye 2017, arXiv 1705.02894; Miyato et al. 2018, equations 16 and 17.
    AdversarialLoss(
        of_discriminator=lambda real_BP, fake_BP: F.relu(1 - real_BP).mean() + F.relu(1 + fake_BP).mean(),
        of_generator=lambda fake_BP: -fake_BP.mean(),
    )
)


def gradient_penalty(logits_BP: Tensor, images_BCHW: Tensor) -> Tensor:
    """Return R1: half the mean squared length of the discriminator's gradient at real pictures, a scalar in 0..∞.

    Source: Mescheder, Geiger, Nowozin 2018, arXiv 1801.04406, equation 9, with γ = 1.

    Args:
        logits_BP: the discriminator's, with graph, (B, P); of P parts the mean counts.
        images_BCHW: the pictures they are of; they must require gradients.
    """
    means_B = logits_BP.mean(1)
    (gradients_BCHW,) = torch.autograd.grad(means_B.sum(), images_BCHW, create_graph=True)
    return gradients_BCHW.float().square().sum((1, 2, 3)).mean() / 2


def redrawing_loss(redrawn: tuple[tuple[Tensor, Tensor], ...]) -> Tensor | float:
    """Return the mean absolute difference of what a discriminator redrew and what it should have, summed; 0..4."""
    return sum((F.l1_loss(drawn.float(), wanted.float()) for drawn, wanted in redrawn), 0.0)
