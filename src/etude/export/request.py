"""What is to be exported, with everything resolved: what the study hands to this room."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from etude.core.bundle_record import DataSummary, Origin, Rgb, Score
from etude.core.errors import MistakeError, sentence
from etude.core.interval import Interval
from etude.core.words import Part
from etude.data.source import Source
from etude.evaluate.pictures import interval_of
from etude.evaluate.predictions import Predictions
from etude.evaluate.scores import Answers
from etude.pictures.prepare_config import Prepare

if TYPE_CHECKING:
    from torch import nn

Told = Callable[[str], None]
"""Hears where the work stands."""


@dataclass(frozen=True, eq=False)
class Request:
    """A finished run, its pictures, and what has to be told of it."""

    model: nn.Module
    """The network with its weights, on the CPU, in float32: pictures (B, 3, H, W), normalised, to logits (B, K), or
    (B, K, H, W) for masks; for a generation both networks, the generator's weights alone being its own."""
    task: str
    """classification, segmentation or generation."""
    name: str
    """Name under which the model will be offered."""
    classes: tuple[str, ...]
    prepare: Prepare
    source: Source
    parts_N: npt.NDArray[np.int8]
    """The part of each of the source's items, in the run's fold."""
    metric: str
    """The study's metric."""
    scores: tuple[Score, ...]
    origin: Origin
    data: DataSummary
    weights: Path
    """The file of the run's weights."""
    temperature: float | None = None
    """What the run's logits were divided by."""
    threshold: float | None = None
    """A detector's threshold, at the run's temperature."""
    called: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """What pages call the classes, by language and name, where it is not the name."""
    palette: tuple[Rgb, ...] = field(default=())
    """Colours of the classes, for masks."""
    views: str = "none"
    """The views of a picture whose probabilities the network averages, such as flip."""
    recorded: Callable[[Part], Predictions] | None = None
    """Reads what the run answered about the pictures of a part; none for masks and generators."""
    groups: Mapping[str, str] | None = None
    """Group of each picture by its id, where the source has groups: an interval draws those of one together."""

    def interval_of(self, answers: Answers, metric: str) -> Interval | None:
        """Return the 95 % interval over the pictures of a score, drawn as the study draws them."""
        return interval_of([answers], metric, groups=self.groups)

    def indices(self, part: Part) -> npt.NDArray[np.int64]:
        """Return the positions of the pictures of a part.

        Raises:
            MistakeError: if there are none.
        """
        chosen = np.flatnonzero(self.parts_N == part)
        if not len(chosen):
            remedy = "An export is compared with the network there: set data.split.validation to 0.1, say."
            raise MistakeError(sentence("export", f"the {part.label} part", "of at least 1 picture", 0, remedy))
        return chosen


@dataclass(frozen=True)
class Wishes:
    """How it is to be exported."""

    to: Path
    """The file or folder to write; a folder where the name has no suffix and `as_folder` is set."""
    int8: bool = False
    """Whether to compute with 8 bits."""
    logits: bool = False
    """Whether the graph gives the logits beside its answers."""
    max_loss: float = 1.0
    """The most that 8 bits may lose, in points: of right answers or mIoU, and of the study's metric."""
    sure: float = 0.95
    """Share of right answers that sure answers must have on validation."""
    familiar: float = 0.95
    """Share of the validation pictures that count as like those of the training."""
    measure: bool = True
    """Whether to measure latency, throughput and memory."""
    as_folder: bool = False
    """Whether to write a folder in place of a zip file."""
    calibration_pictures: int = 256
    """Training pictures that the ranges of 8 bits are taken from."""
