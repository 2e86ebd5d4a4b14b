"""Any network of timm, by its name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from pydantic import Field, model_validator

from etude.core.records import Config
from etude.models.card import Card
from etude.models.families.words import Rate
from etude.models.registry import MODELS, Family, Order

if TYPE_CHECKING:
    from torch import nn


class HeadParams(Config):
    """A new head, from the last maps to the logits."""

    pool: str = ""
    """How the last maps become one vector: avg, max, avgmax, token (transformers); empty: the network's own way."""
    hidden: Annotated[int, Field(ge=0, le=8192)] = 0
    """Units of a hidden layer before the logits; 0: none."""
    dropout: Rate = 0.0
    """Share of the units before each layer of the head that is dropped while training."""


class TimmParams(Config):
    """Parameters of a network of timm."""

    head: HeadParams = HeadParams()
    """A new head in the place of the network's own."""
    drop_blocks: Annotated[int, Field(ge=0, le=64)] = 0
    """How many of the last blocks are left out: levels of a convolutional network, layers of a transformer."""

    dropout: Rate = 0.0
    """Share of the units before the logits that is dropped while training (timm's drop_rate)."""
    drop_path: Rate = 0.0
    """Share of the residual branches that is skipped while training, where the network has them (drop_path_rate)."""
    options: dict[str, Any] = Field(default_factory=dict)
    """Other keyword arguments of timm.create_model, as timm's documentation has them."""

    @model_validator(mode="after")
    def _one_dropout(self) -> TimmParams:
        if self.dropout and self.head.dropout:
            raise ValueError("dropout and head.dropout are the same: leave one of them out.")
        return self


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
        sources=("timm.py", "shortened.py"),
        pretrained_name=lambda spec, _: spec.name,
    )
)
