"""Any network of timm, by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field

from etude.core.records import Config
from etude.models.card import Card
from etude.models.families.words import Rate
from etude.models.registry import MODELS, Family, Order

if TYPE_CHECKING:
    from torch import nn


class TimmParams(Config):
    """Parameters of a network of timm."""

    dropout: Rate = 0.0
    """Share of the units before the logits that is dropped while training (timm's drop_rate)."""
    drop_path: Rate = 0.0
    """Share of the residual branches that is skipped while training, where the network has them (drop_path_rate)."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Other keyword arguments of timm.create_model, as timm's documentation has them."""


def _build(order: Order) -> nn.Module:
    from etude.models.networks.timm import build_timm

    assert isinstance(order.params, TimmParams)
    return build_timm(order.spec, order.params, order.n_outputs, order.size_px)


MODELS.register("timm")(
    Family(
        TimmParams,
        Card(
            name="timm",
            title="Any network of timm",
            sentence="More than a thousand published networks, many with pretrained weights: give timm's own name, "
            "such as `mobilenetv2_100`, `resnet50` or `vgg16`.",
            paper="Wightman, PyTorch Image Models, 2019, doi:10.5281/zenodo.4414861",
            licence_code="Apache-2.0",
            licence_weights="that of each file: see `etude models show NAME`",
            input_px=224,
            min_px=32,
            pretrained=("imagenet",),
            notes=(
                "`weights: imagenet` is looked for in $ETUDE_WEIGHTS, then in the hub's cache, then on the hub.",
                "Loading timm takes some seconds.",
            ),
        ),
        _build,
    )
)
