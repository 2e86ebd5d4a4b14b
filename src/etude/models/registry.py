"""The registry of families: a record of parameters, a card and a builder under one name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from etude.core.records import Config
from etude.core.registry import Registry
from etude.models.card import Card
from etude.models.model_spec import ModelSpec

if TYPE_CHECKING:
    from torch import nn


class Order(NamedTuple):
    """What a builder is asked for."""

    spec: ModelSpec
    """The specification, its paths absolute."""
    params: Config
    """The parameters, an instance of the family's record."""
    n_outputs: int
    """Number of logits."""
    size_px: tuple[int, int]
    """Height and width of the pictures in pixels."""


@dataclass(frozen=True)
class Family:
    """A family of networks. The builder imports torch; nothing else here does."""

    params: type[Config]
    card: Card
    build: Callable[[Order], nn.Module]


MODELS: Registry[Family] = Registry("model")
