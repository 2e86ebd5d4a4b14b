"""`majority`: the frequencies of the classes, whatever the picture; for masks, those at each position."""

from __future__ import annotations

from typing import TYPE_CHECKING

from etude.core.records import Config
from etude.models.card import Card
from etude.models.registry import MODELS, Family, Order

if TYPE_CHECKING:
    from torch import nn


class MajorityParams(Config):
    """Parameters of `majority`: it has none."""


def _build(order: Order) -> nn.Module:
    from etude.models.networks.majority import Majority, PositionMajority

    if order.task == "segmentation":
        return PositionMajority(order.n_outputs, order.size_px)
    return Majority(order.n_outputs)


MODELS.register("majority")(
    Family(
        MajorityParams,
        Card(
            name="majority",
            title="Majority class",
            sentence="Gives every picture the frequencies of the classes in the training part (of masks: those at each "
            "position): the score that a model must beat to have learnt anything.",
            input_px=32,
            min_px=1,
            notes=("It has no parameter to train: its frequencies are counted once.",),
        ),
        _build,
        sources=("majority.py",),
        tasks=("classification", "segmentation"),
    )
)
