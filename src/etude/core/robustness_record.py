"""The record of how scores hold when test pictures are worse than the others (`robustness.json`)."""

from __future__ import annotations

from typing import Annotated, ClassVar

from etude.core.class_names import CLASS_NAMES
from etude.core.records import Config, Record


class CorruptedScore(Config):
    """The score of one run on corrupted test pictures."""

    corruption: str
    """noise, blur, brightness or jpeg."""
    severity: int
    """1, slight, to 5, strong."""
    score: float
    """In the study's metric."""


class SliceScore(Config):
    """The share of right answers in one class or group of the test part."""

    name: str
    """Name of the class or group."""
    n: int
    """Test pictures in it."""
    clean: float
    """Share of right answers on the pictures as they are."""
    corrupted: float
    """Mean share of right answers over all corruptions and severities."""


class RunRobustness(Config):
    """What corruption does to one finished run."""

    identity: str
    """Name of the run's folder."""
    candidate: str
    """Name of the candidate."""
    clean: float
    """Score on the pictures as they are."""
    scores: tuple[CorruptedScore, ...]
    """One score a corruption and severity."""
    classes: Annotated[tuple[SliceScore, ...], CLASS_NAMES]
    """Every class that has test pictures, the worst under corruption first."""
    groups: tuple[SliceScore, ...] = ()
    """Groups of at least five test pictures, the worst under corruption first, at most fifty."""


class RobustnessRecord(Record):
    """Scores under corruption of the final candidate and of the baseline."""

    FORMAT: ClassVar[int] = 1

    metric: str
    """The metric of the scores."""
    runs: tuple[RunRobustness, ...]
    """One entry a run that was measured."""
