"""`unet-mini` and `unet`: an encoder and a decoder that sees the encoder's maps, for masks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from etude.core.records import Config
from etude.models.card import Card
from etude.models.families.words import Rate, Width
from etude.models.registry import MODELS, Family, Order

if TYPE_CHECKING:
    from torch import nn

_PAPER = "Ronneberger, Fischer, Brox, U-Net: convolutional networks for biomedical image segmentation, 2015, arXiv "
_PAPER += "1505.04597; batch normalisation: Ioffe, Szegedy, 2015, arXiv 1502.03167"


class UnetParams(Config):
    """Parameters of `unet`."""

    widths: tuple[Width, ...] = Field(default=(64, 128, 256, 512, 1024), min_length=2, max_length=7)
    """Channels of each level; each level below the first has half the resolution of the one above."""
    stem_stride: Literal[1, 2] = 1
    """2: the first level has half the picture's resolution already, which takes a quarter of the time."""
    dropout: Rate = 0.0
    """Share of the channels of the lowest level that is dropped while training."""


class UnetMiniParams(UnetParams):
    """Parameters of `unet-mini`: those of `unet`, small by default."""

    widths: tuple[Width, ...] = Field(default=(16, 32, 64, 96), min_length=2, max_length=7)
    """Channels of each level; each level below the first has half the resolution of the one above."""
    stem_stride: Literal[1, 2] = 2
    """2: the first level has half the picture's resolution already, which takes a quarter of the time."""


def _build(order: Order) -> nn.Module:
    from etude.models.networks.unet import Unet

    assert isinstance(order.params, UnetParams)
    return Unet(order.params, order.n_outputs)


MODELS.register("unet-mini")(
    Family(
        UnetMiniParams,
        Card(
            name="unet-mini",
            title="Small U-Net",
            sentence="A U-Net of less than half a million parameters that starts at half the resolution: the first "
            "network of a segmentation to try, and the one to vary.",
            paper=_PAPER,
            input_px=256,
            min_px=16,
        ),
        _build,
        sources=("unet.py",),
        tasks=("segmentation",),
    )
)

MODELS.register("unet")(
    Family(
        UnetParams,
        Card(
            name="unet",
            title="U-Net",
            sentence="The network with five levels of its paper, padded so that the mask has the picture's size, with "
            "batch normalisation, one convolution more at the start and bilinear enlargement.",
            paper=_PAPER,
            input_px=512,
            min_px=16,
            notes=(
                "It departs from the paper: a convolution before the first level, and on the way up maps are enlarged "
                "bilinearly where the paper learns up-convolutions that halve the channels.",
                "At its full widths a picture takes many times as long as with a pretrained mobile encoder.",
            ),
        ),
        _build,
        sources=("unet.py",),
        tasks=("segmentation",),
    )
)
