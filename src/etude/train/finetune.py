"""How a pretrained network is trained further: what of it, in what stages, at what rates by depth. No torch here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from etude.core.records import Config
from etude.train.config import TrainConfig

_GRADUAL_DECAY = 0.9


class FinetuneConfig(Config):
    """What of a network is trained; `finetune: head`, `last-3`, `all` or `gradual` alone is accepted too."""

    name: Literal["all", "head", "last", "gradual"] = "all"
    """all: every layer; head: the last layer only; last: the head and the last blocks; gradual: head, last blocks, all,
    one after the other, each stage kept only where validation gains."""
    blocks: Annotated[int, Field(ge=1)] = 3
    """For last and gradual: how many of the last blocks are trained beside the head."""
    norm: Literal["frozen", "trained"] | None = None
    """Running statistics of normalisations: frozen keeps those of the weights and normalises by them while training,
    trained takes those of each batch and follows them. By default frozen for a classifier with pretrained weights
    or a checkpoint: with few pictures in small batches the features would shift under the head."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] | None = None
    """Factor on the learning rate from one block to the one before it; by default 1, and 0.9 for gradual."""
    head_epochs: Annotated[int, Field(ge=1)] = 30
    """For gradual: passes of the head over the features of the frozen network, which are computed once."""
    last_share: Annotated[float, Field(gt=0, lt=1)] = 0.25
    """For gradual: share of train.epochs that trains the last blocks; the rest trains all."""
    last_lr_scale: Annotated[float, Field(gt=0)] = 0.3
    """For gradual: highest learning rate while the last blocks are trained, as a share of the optimiser's."""
    all_lr_scale: Annotated[float, Field(gt=0)] = 0.3
    """For gradual: highest learning rate while all is trained, as a share of the optimiser's, before the decay."""

    @property
    def gradual_decay(self) -> float:
        """The factor by depth of the later stages of gradual."""
        return _GRADUAL_DECAY if self.layer_decay is None else self.layer_decay

    def identity(self) -> dict[str, Any]:
        """Return what a run depends on; the rates of gradual as they are, so that a changed default is another run."""
        if self.name != "gradual":
            return self.model_dump(mode="json", exclude_defaults=True)
        return self.model_dump(mode="json", exclude_none=True) | {"layer_decay": self.gradual_decay}


def _read_finetune(given: Any) -> Any:  # noqa: ANN401 - raw input
    """Accept a name for `{name: …}`, and `last-3` for `{name: last, blocks: 3}`."""
    if not isinstance(given, str):
        return given
    numbered = re.fullmatch(r"last-(\d+)", given)
    return {"name": "last", "blocks": int(numbered[1])} if numbered else {"name": given}


Finetune = Annotated[FinetuneConfig, BeforeValidator(_read_finetune, json_schema_input_type=FinetuneConfig | str)]


@dataclass(frozen=True)
class Stage:
    """One part of a training: what is trained, for how long, at what share of the learning rate."""

    name: str
    """all, head or last-N; empty where the training has one stage that trains all."""
    epochs: int
    blocks: int | None
    """Blocks before the head that are trained; none: all of them."""
    cached: bool = False
    """Whether the head is trained on the features of the pictures as they are, computed once."""
    lr_scale: float = 1.0
    layer_decay: float = 1.0
    share: float | None = 1.0
    """Share of `train.steps`, where the training is counted in steps; none for a stage with epochs of its own."""

    @property
    def freezes(self) -> bool:
        """Whether a part of the network is left as it is."""
        return self.blocks is not None


def plan_stages(config: FinetuneConfig, train: TrainConfig, *, augmented: bool) -> tuple[Stage, ...]:
    """Return the stages of a training, none of them empty.

    The head alone is trained on cached features where the pictures are not augmented. The first stage of `gradual`
    always is: what augmentation gives comes with the later stages.

    >>> [(s.name, s.epochs) for s in plan_stages(FinetuneConfig(name="gradual"), TrainConfig(epochs=9), augmented=True)]
    [('head', 30), ('last-3', 2), ('all', 7)]
    """
    decay = config.layer_decay if config.layer_decay is not None else 1.0
    if config.name == "all":
        return (Stage("", train.epochs, None, layer_decay=decay),)
    if config.name == "head":
        return (Stage("head", train.epochs, 0, cached=not augmented),)
    if config.name == "last":
        return (Stage(f"last-{config.blocks}", train.epochs, config.blocks, layer_decay=decay),)
    decay = config.gradual_decay
    share = config.last_share
    last_epochs = round(train.epochs * share)
    if train.epochs > 1:  # a short training has both stages too
        last_epochs = min(max(last_epochs, 1), train.epochs - 1)
    stages = (
        Stage("head", config.head_epochs, 0, cached=True, share=None),
        Stage(f"last-{config.blocks}", last_epochs, config.blocks, False, config.last_lr_scale, decay, share),
        Stage("all", train.epochs - last_epochs, None, False, config.all_lr_scale, decay, 1 - share),
    )
    return tuple(stage for stage in stages if stage.epochs > 0 or train.steps is not None)
