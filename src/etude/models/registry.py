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
    task: str = "classification"
    """What the logits are of: pictures, (B, n_outputs); or for `segmentation` pixels, (B, n_outputs, H, W); for
    `generation` there are none, and `n_outputs` is the number of classes."""


@dataclass(frozen=True)
class Family:
    """A family of networks. The builder imports torch; nothing else here does."""

    params: type[Config]
    card: Card
    build: Callable[[Order], nn.Module]
    sources: tuple[str, ...]
    """The files of `networks/` that a reader of its networks opens, the first one first."""
    tasks: tuple[str, ...] = ("classification",)
    """What it can be asked for."""
    pretrained_name: Callable[[ModelSpec, Config], str] | None = None
    """The timm name of the network whose weights it takes; none where the family has no pretrained weights."""
    always_told: tuple[str, ...] = ()
    """Parameters that a run's identity has also at their default, as the network was another before it had them."""


MODELS: Registry[Family] = Registry("model")
