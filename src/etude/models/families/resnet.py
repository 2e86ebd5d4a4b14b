"""`resnet`: residual networks for small pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from etude.core.records import Config
from etude.models.card import Card
from etude.models.families.words import Rate
from etude.models.registry import MODELS, Family, Order

if TYPE_CHECKING:
    from torch import nn


class ResnetParams(Config):
    """Parameters of `resnet`."""

    depth: Literal[8, 14, 20, 26, 32, 38, 44, 50, 56, 110] = 20
    """Layers with weights: 6 n + 2, with n blocks of two convolutions in each of three groups."""
    width: float = Field(default=1.0, gt=0, le=16)
    """Multiplies the 16, 32 and 64 channels of the three groups."""
    pre_activation: bool = False
    """Whether normalisation and activation stand before each convolution (He et al. 2016) instead of after."""
    shortcut: Literal["pad", "conv"] = "pad"
    """How the shortcut of a block that halves the picture widens: zeros (option A) or a 1×1 convolution (B)."""
    dropout: Rate = 0.0
    """Share of the units before the logits that is dropped while training."""


def _build(order: Order) -> nn.Module:
    from etude.models.networks.resnet import Resnet

    assert isinstance(order.params, ResnetParams)
    return Resnet(order.params, order.n_outputs)


MODELS.register("resnet")(
    Family(
        ResnetParams,
        Card(
            name="resnet",
            title="Residual network for small pictures",
            sentence="The residual network of the CIFAR experiments (ResNet-20 to ResNet-110): deep, narrow, "
            "and steady to train.",
            paper="He, Zhang, Ren, Sun, Deep residual learning for image recognition, 2015, arXiv 1512.03385, "
            "section 4.2; pre-activation: Identity mappings in deep residual networks, 2016, arXiv 1603.05027",
            input_px=32,
            min_px=4,
            notes=("For the ImageNet ResNets with pretrained weights ask for `resnet18`, `resnet50`, … (timm).",),
        ),
        _build,
        sources=("resnet.py", "layers.py"),
    )
)
