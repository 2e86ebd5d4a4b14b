"""`mlp`: fully connected layers on the pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from etude.core.records import Config
from etude.models.card import Card
from etude.models.families.words import Activation, Rate, Width
from etude.models.registry import MODELS, Family, Order

if TYPE_CHECKING:
    from torch import nn


class MlpParams(Config):
    """Parameters of `mlp`."""

    widths: tuple[Width, ...] = Field(default=(512, 256), max_length=32)
    """Units of each hidden layer; empty: a linear model (softmax regression)."""
    activation: Activation = "relu"
    """What follows each hidden layer."""
    batch_norm: bool = False
    """Whether batch normalisation stands before each activation."""
    dropout: Rate = 0.0
    """Share of the units of each hidden layer that is dropped while training."""


def _build(order: Order) -> nn.Module:
    from etude.models.networks.mlp import Mlp

    assert isinstance(order.params, MlpParams)
    return Mlp(order.params, order.n_outputs, order.size_px)


MODELS.register("mlp")(
    Family(
        MlpParams,
        Card(
            name="mlp",
            title="Multi-layer perceptron",
            sentence="Fully connected layers on the raw pixels: what can be learnt without knowing "
            "that a picture has two dimensions.",
            paper="Rumelhart, Hinton, Williams, Learning representations by back-propagating errors, 1986, "
            "doi:10.1038/323533a0",
            input_px=32,
            min_px=1,
            notes=("Its first layer grows with the number of pixels: keep prepare.size_px small.",),
        ),
        _build,
        sources=("mlp.py", "layers.py"),
    )
)
