"""`airnet`: the fast small-picture network of the CIFAR-10 speed records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from etude.core.records import Config
from etude.models.card import Card
from etude.models.families.words import Width
from etude.models.registry import MODELS, Family, Order

if TYPE_CHECKING:
    from torch import nn


class AirnetParams(Config):
    """Parameters of `airnet`."""

    widths: tuple[Width, ...] = Field(default=(64, 256, 256), min_length=1, max_length=8)
    """Channels of each group; each group halves the picture."""
    width: float = Field(default=1.0, gt=0, le=16)
    """Multiplies every width."""
    logit_scale: float = Field(default=1 / 9, gt=0, le=1)
    """Multiplies the logits, which keeps the first steps of a high learning rate small."""
    norm_momentum: float = Field(default=0.4, gt=0, le=1)
    """Share of the latest batch in the running statistics of the normalisations."""
    bias_epochs: int = Field(default=3, ge=0)
    """Epochs after which the shifts of the whitening layer stay as they are: from then on nothing is passed back to
    it, which saves some 5 % of a step."""


def _build(order: Order) -> nn.Module:
    from etude.models.networks.airnet import Airnet

    assert isinstance(order.params, AirnetParams)
    return Airnet(order.params, order.n_outputs, order.size_px)


MODELS.register("airnet")(
    Family(
        AirnetParams,
        Card(
            name="airnet",
            title="Airnet, the fast network for small pictures",
            sentence="A whitening layer fixed from the training pictures and six wide convolutions: "
            "the most accuracy for the least training time on small pictures.",
            paper="Jordan, 94% on CIFAR-10 in 3.29 seconds on a single GPU, 2024, arXiv 2404.00498; "
            "after Page, How to train your ResNet, 2019",
            input_px=32,
            min_px=9,
            notes=(
                "Its first layer is set from a sample of the training pictures (fit_pictures) and is not trained.",
                "Drawn for high learning rates: SGD with Nesterov momentum, label smoothing, about 8 epochs.",
                "Larger pictures want one group more for each doubling of the side, such as "
                "widths: [64, 128, 256, 256] at 64 px.",
            ),
        ),
        _build,
        sources=("airnet.py",),
    )
)
