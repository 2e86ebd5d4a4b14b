"""The record of a hyper-parameter search, and of each of its trials."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from etude.core.records import Config, Record

TrialState = Literal["running", "complete", "pruned", "failed"]
ParameterKind = Literal["uniform", "log", "integer", "choice"]


class TrialRecord(Record):
    """One configuration that a search has tried, scored on validation only (`trial.json` beside its history)."""

    FORMAT: ClassVar[int] = 1

    number: int
    """Number of the trial in its search, from 0."""
    state: TrialState
    """running, complete, pruned (stopped early on validation), or failed."""
    settings: dict[str, Any] = {}
    """What it tried: values by dotted field of the candidate."""
    search: str = ""
    """Name of the search in its storage."""
    phase: str = ""
    """random, grid or tpe: how its settings were chosen."""
    score: float | None = None
    """Validation score of the epoch that was kept, in the study's metric; of a pruned trial the best so far."""
    epochs: int = 0
    """Epochs that were trained."""
    seconds: float = 0.0
    """Training time in seconds that this search spent on it, summed over interruptions."""
    identity: str = ""
    """Name of its run's folder under `runs/`."""
    is_reused: bool = False
    """Whether the same training was there already, so that nothing was trained."""
    failure: str = ""
    """The sentence of the error, for a failed trial."""
    scores: dict[int, float] = {}
    """Validation score by epoch."""


class ParameterRecord(Config):
    """One parameter of the space."""

    name: str
    """The dotted field; with its condition, where a field has several ranges."""
    field: str
    """The dotted field of the candidate."""
    kind: ParameterKind
    """How it is drawn."""
    low: float | None = None
    """Lower end of a range."""
    high: float | None = None
    """Upper end."""
    choices: tuple[Any, ...] = ()
    """The values of a choice."""
    importance: float | None = None
    """Share of what tells the good trials from the others that lies in this parameter (PED-ANOVA), from 0 to 1; none
    with too few trials."""


class SearchRecord(Record):
    """A search: its space, its trials, what it found and what it cost (`search/NAME.json`)."""

    FORMAT: ClassVar[int] = 1

    study: str
    """Name of the study."""
    candidate: str
    """The candidate that its best settings make."""
    of: str
    """The candidate that it varies."""
    fold: int | None = None
    """The fold on whose training part it searched; none without folds."""
    metric: str
    """The metric of its scores, on validation."""
    higher_is_better: bool
    """Direction of the metric."""
    sampler: str
    """random, grid, random-then-grid or tpe."""
    pruner: str
    """none, median or hyperband."""
    n_trials: int
    """Trials that it is to have."""
    seed: int
    """Seed of every trial's training."""
    parameters: tuple[ParameterRecord, ...]
    """The space, with the importance of each parameter."""
    importances_of: str = ""
    """The trials that importances are counted over: all, or those drawn at random; empty in earlier records."""
    trials: tuple[TrialRecord, ...]
    """All trials so far, in the order in which they were started."""
    best: int | None = None
    """Number of the best complete trial; none while there is none."""
    settings: dict[str, Any] = {}
    """The settings of the best trial."""
    seconds: float = 0.0
    """Training time in seconds of all its trials."""

    @property
    def best_score(self) -> float | None:
        """The validation score of the best trial; none while there is none."""
        return next((trial.score for trial in self.trials if trial.number == self.best), None)

    def count(self, state: TrialState) -> int:
        """Return how many trials are in a state."""
        return sum(trial.state == state for trial in self.trials)
