"""`fast-scnn`: masks in real time on embedded machines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from etude.core.records import Config
from etude.models.card import Card
from etude.models.families.words import Rate
from etude.models.registry import MODELS, Family, Order

if TYPE_CHECKING:
    from torch import nn


class FastScnnParams(Config):
    """Parameters of `fast-scnn`."""

    width: Annotated[float, Field(gt=0, le=4)] = 1.0
    """Factor on the channels of every layer; 1 is the paper's."""
    dropout: Rate = 0.1
    """Share of the channels before the logits that is dropped while training."""


def _build(order: Order) -> nn.Module:
    from etude.models.networks.fast_scnn import FastScnn

    assert isinstance(order.params, FastScnnParams)
    return FastScnn(order.params, order.n_outputs)


MODELS.register("fast-scnn")(
    Family(
        FastScnnParams,
        Card(
            name="fast-scnn",
            title="Fast-SCNN",
            sentence="A network for masks in real time: a shared way down to an eighth of the resolution, then one "
            "branch for the scene and one for its detail.",
            paper="Poudel, Liwicki, Cipolla, Fast-SCNN: fast semantic segmentation network, 2019, arXiv 1902.04502",
            input_px=512,
            min_px=32,
            notes=("It was drawn for pictures of 1024 × 2048 px; on small ones thin things are lost at an eighth.",),
        ),
        _build,
        sources=("fast_scnn.py",),
        tasks=("segmentation",),
    )
)
