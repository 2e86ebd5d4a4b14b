"""Generated pictures as further training data of a candidate: `data.generated` in a study file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Self

from pydantic import BeforeValidator, Field, model_validator

from etude.core.errors import MistakeError
from etude.core.records import Config
from etude.core.registry import unknown
from etude.models import ModelSpec
from etude.study.merging import merge
from etude.study.tasks import check_generator_training, training_defaults
from etude.train.config import TrainConfig

_STEPS = 4000
_TRAIN = {
    "batch": 8,
    "average": {"name": "ema", "decay": 0.998},
    "adversarial": {"augment": ("color", "translation", "cutout")},
}
_WIDTH = 16
"""Of the light generator by default: half its own, as the steps count more than the channels in so short a training."""


def _read_model(given: Any) -> Any:  # noqa: ANN401 - raw input
    return {"name": given} if isinstance(given, str) else given


def _read_train(given: Any) -> Any:  # noqa: ANN401 - raw input
    """Fill in what a generator's training starts from."""
    if not isinstance(given, dict):
        return given
    length = {} if given.keys() & {"steps", "epochs", "budget"} else {"steps": _STEPS}
    return merge({**training_defaults("generation"), **_TRAIN, **length}, given)


class GeneratedConfig(Config):
    """Pictures of each class that a generator makes, put into the training part beside the photographs.

    The generator is trained for each run, on the photographs of the class in that run's own training part: those of a
    study of generators may have learnt from what is held out here.
    """

    pictures: Annotated[int, Field(ge=1, le=100_000)] = 100
    """Generated pictures of each class."""
    of: tuple[str, ...] | None = None
    """The classes; by default a detector's one, else all."""
    size_px: Annotated[int, Field(ge=8, le=512)] = 64
    """Side at which they are generated, before they are brought to the size of the candidate's pictures."""
    model: Annotated[ModelSpec, BeforeValidator(_read_model, json_schema_input_type=ModelSpec | str)] = ModelSpec(
        name="fastgan", width=_WIDTH
    )
    """The generator; by default the light one at half its width."""
    train: Annotated[TrainConfig, BeforeValidator(_read_train)] = TrainConfig.model_validate(_read_train({}))
    """How it is trained; fields that are left out are those of a study of generators, but for 4,000 steps
    of 8 pictures, an average over 500 of them, and pictures changed alike before they are judged."""

    @model_validator(mode="after")
    def _can_be_made(self) -> Self:
        if self.train.budget is not None:
            raise ValueError("train.budget must be left out for generated pictures: give train.steps.")
        if mistakes := list(check_generator_training(self.train)):
            raise ValueError(" ".join(mistakes))
        return self

    def labels(self, classes: Sequence[str], positive: str | None) -> list[int]:
        """Return the positions of the classes that are generated.

        Raises:
            MistakeError: if there is none of a name.
        """
        if self.of is None:
            return [1] if positive is not None else list(range(len(classes)))
        for name in self.of:
            if name not in classes:
                raise MistakeError(unknown("data.generated.of", name, classes))
        return [classes.index(name) for name in dict.fromkeys(self.of)]
