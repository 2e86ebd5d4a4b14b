"""How a model is trained: every field of `train:` in a study file, each with its default."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from etude.core.durations import Seconds
from etude.core.records import Config
from etude.train.adversarial_config import AdversarialConfig


def _read_name(given: Any) -> Any:  # noqa: ANN401 - raw input
    """Accept `optimizer: adamw` for `optimizer: {name: adamw}`."""
    return {"name": given} if isinstance(given, str) else given


_DEFAULT_LR = {"sgd": 0.1, "adamw": 1e-3, "muon": 0.02}


class OptimizerConfig(Config):
    """The optimiser; `optimizer: adamw` alone is accepted too."""

    name: Literal["sgd", "adamw", "muon"] = "sgd"
    """sgd (Nesterov momentum), adamw, or muon (orthogonalised updates for matrices and filters, AdamW for the rest)."""
    lr: Annotated[float, Field(gt=0)] | None = None
    """Highest learning rate of the schedule; by default 0.1 for sgd, 0.001 for adamw, 0.02 for muon."""
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    """Momentum of sgd and muon; first beta of adamw."""
    nesterov: bool = True
    """Nesterov's form of momentum, for sgd and muon."""
    weight_decay: Annotated[float, Field(ge=0)] = 5e-4
    """L2 penalty (sgd) or decoupled decay (adamw, muon); never on biases and norms."""
    bias_lr_scale: Annotated[float, Field(gt=0)] = 1.0
    """Factor on the learning rate of biases of normalisation layers (64 in the airbench recipe)."""
    head_lr_scale: Annotated[float, Field(gt=0)] = 1.0
    """Factor on the learning rate of the last layer."""

    @property
    def peak_lr(self) -> float:
        """The highest learning rate, default resolved."""
        return self.lr if self.lr is not None else _DEFAULT_LR[self.name]


class ScheduleConfig(Config):
    """The learning rate over the steps; `schedule: cosine` alone is accepted too."""

    name: Literal["onecycle", "cosine", "poly", "step", "constant"] = "onecycle"
    """onecycle: linear up, then linear down; cosine: linear up, then half a cosine; poly: down by a power of what is
    left, as street scenes are often trained; step: times gamma at milestones."""
    warmup: Annotated[float, Field(ge=0, lt=1)] | None = None
    """Share of the steps that rise; by default 0.23 for onecycle, 0.05 for cosine, none for the others."""
    start: Annotated[float, Field(ge=0, le=1)] = 0.2
    """Learning rate of the first step, as a share of the highest."""
    end: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Learning rate after the last step, as a share of the highest."""
    milestones: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = (0.5, 0.75)
    """For step: the shares of the training after which the rate falls."""
    gamma: Annotated[float, Field(gt=0, lt=1)] = 0.1
    """For step: the factor by which it falls."""
    power: Annotated[float, Field(gt=0)] = 0.9
    """For poly: the power of the share of the steps that is left."""


class AverageConfig(Config):
    """An average of the weights along the training; `average: ema` alone is accepted too."""

    name: Literal["none", "ema", "lookahead"] = "none"
    """ema: validated and kept in place of the weights; lookahead: every few steps the weights go back to it."""
    decay: Annotated[float, Field(gt=0, lt=1)] = 0.99
    """Share of the average that is kept at each update."""
    every: Annotated[int, Field(ge=1)] = 1
    """Steps between updates."""


Optimizer = Annotated[OptimizerConfig, BeforeValidator(_read_name, json_schema_input_type=OptimizerConfig | str)]
Schedule = Annotated[ScheduleConfig, BeforeValidator(_read_name, json_schema_input_type=ScheduleConfig | str)]
Average = Annotated[AverageConfig, BeforeValidator(_read_name, json_schema_input_type=AverageConfig | str)]


class TrainConfig(Config):
    """Everything that turns a network and pictures into weights."""

    epochs: Annotated[int, Field(ge=0, le=100_000)] = 10
    """Passes over the training part."""
    steps: Annotated[int, Field(ge=1)] | None = None
    """Optimiser steps in all, in place of epochs."""
    budget: Seconds | None = None
    """Time for one training, such as 5min, in place of epochs: measured once in the study's folder, it becomes a number
    of steps."""
    batch: Annotated[int, Field(ge=1, le=65_536)] = 128
    """Pictures a step."""
    optimizer: Optimizer = OptimizerConfig()
    """The optimiser and its learning rate."""
    schedule: Schedule = ScheduleConfig()
    """The learning rate over the steps."""
    accumulate: Annotated[int, Field(ge=1)] = 1
    """Parts that a batch is cut into, whose gradients are summed before the step: less memory, the same batch."""
    crop_px: tuple[Annotated[int, Field(ge=8)], Annotated[int, Field(ge=8)]] | None = None
    """For masks, height and width of the window that is drawn from each prepared picture; none: the whole picture."""
    balanced_crops: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of the windows laid about a pixel of a class drawn evenly among those of the picture: rare ones come more
    often."""
    loss: Literal[
        "cross-entropy", "dice", "tversky", "focal", "lovasz", "cross-entropy+dice", "non-saturating", "hinge"
    ] = "cross-entropy"
    """The loss: cross-entropy or focal of one class a picture; non-saturating or hinge of generators; all but
    those two of masks."""
    focal_gamma: Annotated[float, Field(ge=0, le=10)] = 2.0
    """For focal: the power by which what is answered well weighs less; 0: cross-entropy."""
    tversky_missed: Annotated[float, Field(gt=0, lt=1)] = 0.7
    """For tversky: what a missed pixel weighs; a wrongly found one weighs the rest to 1."""
    label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of each target that is spread evenly over the classes."""
    class_weights: Literal["none", "balanced", "log"] = "none"
    """balanced: a class weighs by the inverse of its frequency in the training part (of masks, of its pixels, up to 20
    times another); log: of masks, by 1 / ln(1.02 + frequency), which is milder."""
    clip_norm: Annotated[float, Field(gt=0)] | None = None
    """Largest norm of the gradient; a longer one is scaled down."""
    early_stopping: Annotated[int, Field(ge=1)] | None = None
    """Epochs without gain on validation after which training stops."""
    keep: Literal["best", "last"] = "best"
    """The weights that are kept: those of the epoch with the best validation score, or the last."""
    average: Average = AverageConfig()
    """An average of the weights along the training."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """auto: the lower precision where this machine measured it faster."""
    memory_format: Literal["auto", "contiguous", "channels_last"] = "auto"
    """auto: the one that this machine measured faster; it changes the speed and not the result."""
    adversarial: AdversarialConfig = AdversarialConfig()
    """For generators, how the two networks are trained against each other."""

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if self.steps is not None and self.budget is not None:
            raise ValueError("steps must be left out where budget is given: it becomes a number of steps.")
        return self

    def check_whole(self) -> None:
        """Check what only a whole configuration can tell: a part of one leaves the rest to what it is laid over.

        Raises:
            ValueError: if two fields do not go together.
        """
        if self.accumulate > self.batch:
            raise ValueError(f"train.accumulate must be at most train.batch ({self.batch}). Got {self.accumulate}.")
        if self.balanced_crops and self.crop_px is None:
            raise ValueError("train.balanced_crops must go with train.crop_px, the size of the windows.")
        if self.early_stopping is not None and self.keep == "last":
            raise ValueError("train.early_stopping must go with train.keep: best: with last, the last epoch is kept.")
