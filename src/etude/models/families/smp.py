"""`smp-…`: the decoders of segmentation_models.pytorch, on any encoder of timm."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pydantic import Field

from etude.core.records import Config
from etude.models.card import Card
from etude.models.model_spec import ModelSpec
from etude.models.registry import MODELS, Family, Order

if TYPE_CHECKING:
    from torch import nn


class SmpParams(Config):
    """Parameters of a network of segmentation_models.pytorch."""

    encoder: str = "mobilenetv2_100"
    """timm's name of the encoder; its ImageNet weights are taken with `weights: imagenet`, or a file's."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Other keyword arguments of the network, as the library's documentation has them."""


ARCHITECTURES: Final = {
    "smp-unet": ("Unet", "U-Net", "Ronneberger et al. 2015, arXiv 1505.04597"),
    "smp-unetplusplus": ("UnetPlusPlus", "UNet++", "Zhou et al. 2018, arXiv 1807.10165"),
    "smp-manet": ("MAnet", "MA-Net", "Fan et al. 2020, doi:10.1109/ACCESS.2020.3025372"),
    "smp-linknet": ("Linknet", "LinkNet", "Chaurasia, Culurciello 2017, arXiv 1707.03718"),
    "smp-fpn": ("FPN", "Feature pyramid network", "Kirillov et al. 2019, arXiv 1901.02446"),
    "smp-pspnet": ("PSPNet", "PSPNet", "Zhao et al. 2017, arXiv 1612.01105"),
    "smp-pan": ("PAN", "Pyramid attention network", "Li et al. 2018, arXiv 1805.10180"),
    "smp-deeplabv3plus": ("DeepLabV3Plus", "DeepLabV3+", "Chen et al. 2018, arXiv 1802.02611"),
    "smp-upernet": ("UPerNet", "UPerNet", "Xiao et al. 2018, arXiv 1807.10221"),
    "smp-segformer": ("Segformer", "SegFormer's decoder", "Xie et al. 2021, arXiv 2105.15203"),
}
"""For each name: the library's class, the title, the paper."""


MIN_PX = {"smp-pan": 128}
"""Least sides of pictures, where they are not 32: PAN halves the encoder's last map three times more."""


def _build(order: Order) -> nn.Module:
    from etude.models.networks.smp import build_smp

    assert isinstance(order.params, SmpParams)
    return build_smp(ARCHITECTURES[order.spec.name][0], order.spec, order.params, order.n_outputs)


def _encoder_of(_: ModelSpec, params: Config) -> str:
    assert isinstance(params, SmpParams)
    return params.encoder


for _name, (_, _title, _paper) in ARCHITECTURES.items():
    MODELS.register(_name)(
        Family(
            SmpParams,
            Card(
                name=_name,
                title=f"{_title} on an encoder of timm",
                sentence=f"{_title} as segmentation_models.pytorch has it, on any encoder of timm, pretrained or not.",
                paper=_paper,
                licence_weights="that of each encoder: see `etude models show ENCODER`",
                input_px=256,
                min_px=MIN_PX.get(_name, 32),
                pretrained=("imagenet",),
                normalize="imagenet",
                notes=("Loading timm takes some seconds.", "Pictures are padded to a multiple of 32 px inside."),
            ),
            _build,
            sources=("smp.py",),
            tasks=("segmentation",),
            pretrained_name=_encoder_of,
        )
    )
