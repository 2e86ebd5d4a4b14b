"""A search as a study file gives it."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from etude.core.durations import Seconds
from etude.core.records import Config

Sampler = Literal["random", "grid", "random-then-grid", "tpe"]
DEFAULT_TRIALS = 20


class ParameterConfig(Config):
    """The values of one field: one of `uniform`, `log`, `integer` and `choice`."""

    uniform: tuple[float, float] | None = None
    """Any number between two."""
    log: tuple[float, float] | None = None
    """Any number between two, each power of ten as likely as the next."""
    integer: tuple[int, int] | None = None
    """Any whole number between two, both included."""
    choice: Annotated[tuple[Any, ...], Field(min_length=1)] | None = None
    """One of these values, whatever they are."""
    points: Annotated[int, Field(ge=2)] = 3
    """For a grid: points of a range, its ends included."""
    when: dict[str, Any] = {}
    """The field is varied only where other fields of the space have these values, each a value or a list of them."""

    @model_validator(mode="after")
    def _one_kind(self) -> Self:
        given = [kind for kind in ("uniform", "log", "integer", "choice") if getattr(self, kind) is not None]
        if len(given) != 1:
            told = " and ".join(given) or "none of them"
            raise ValueError(f"must have one of uniform, log, integer and choice. Got {told}.")
        self._check_range(given[0])
        return self

    def _check_range(self, kind: str) -> None:
        if kind == "choice":
            return
        low, high = getattr(self, kind)
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise ValueError(f"{kind} must be two numbers, the smaller first. Got [{low}, {high}].")
        if kind == "log" and low <= 0:
            raise ValueError(f"log must start above 0. Got [{low}, {high}].")


def _read_branches(given: Any) -> Any:  # noqa: ANN401 - raw input
    """Accept one range for a list of one."""
    return [given] if isinstance(given, dict | ParameterConfig) else given


Branches = Annotated[
    tuple[ParameterConfig, ...],
    BeforeValidator(_read_branches, json_schema_input_type=ParameterConfig | list[ParameterConfig]),
    Field(min_length=1),
]


class PrunerConfig(Config):
    """When a trial is stopped early, on validation; `pruner: hyperband` alone is accepted too."""

    name: Literal["none", "median", "hyperband"] = "median"
    """median: a trial that is worse than half of the earlier ones at the same epoch; hyperband: successive halving with
    several budgets."""
    startup: Annotated[int, Field(ge=0)] = 5
    """For median: complete trials before any is stopped."""
    warmup: Annotated[int, Field(ge=0)] = 1
    """For median: epochs of a trial before it can be stopped."""
    factor: Annotated[int, Field(ge=2)] = 3
    """For hyperband: of so many trials one goes on to so many times the epochs."""


def _read_pruner(given: Any) -> Any:  # noqa: ANN401 - raw input
    return {"name": given} if isinstance(given, str) else given


Pruner = Annotated[PrunerConfig, BeforeValidator(_read_pruner, json_schema_input_type=PrunerConfig | str)]


class SearchConfig(Config):
    """A search over fields of one candidate; its best settings make another, which is trained like all others."""

    of: str
    """The candidate whose fields are varied."""
    space: Annotated[dict[str, Branches], Field(min_length=1)]
    """The values by dotted field, such as `train.optimizer.lr: {log: [0.001, 1]}`; a list of ranges where they depend
    on other fields."""
    name: str | None = None
    """Name of the candidate that the best settings make; by default that of `of` with `-searched`."""
    sampler: Sampler = "random-then-grid"
    """random; grid; random-then-grid (a finer grid around the best of the random ones); tpe (Bergstra et al. 2011)."""
    trials: Annotated[int, Field(ge=1)] | None = None
    """Trials in all, with folds in each; by default 20, for a grid its points."""
    random_share: Annotated[float, Field(gt=0, lt=1)] = 0.6
    """For random-then-grid: share of the trials that is random."""
    pruner: Pruner = PrunerConfig()
    """When a trial is stopped early, on validation."""
    budget: Seconds | None = None
    """Training time for all trials together, such as 30min; once it is spent no further trial starts."""
    seed: Annotated[int, Field(ge=0)] = 1000
    """Seed of the draws and of every trial's training. None of the protocol's: settings that were lucky with one seed
    would otherwise be shown with that very seed."""
    storage: str | None = None
    """An Optuna storage URL; by default a journal file in the study's folder."""

    @property
    def candidate(self) -> str:
        """The name of the candidate that its best settings make."""
        return self.name or f"{self.of}-searched"
