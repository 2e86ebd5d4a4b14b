"""One training, with everything resolved: what the study hands to the loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from etude.data.augment import AugmentConfig
from etude.evaluate.detector import ThresholdConfig
from etude.evaluate.generation_config import GenerationConfig
from etude.pictures.prepare_config import Prepare
from etude.train.config import TrainConfig
from etude.train.finetune import FinetuneConfig

if TYPE_CHECKING:
    from torch import nn

    from etude.data.prepared import PreparedSet
    from etude.models.execution import Execution
    from etude.train.views import ViewName


@dataclass(frozen=True)
class Extra:
    """Pictures of one class that a generator makes for the training part of a job."""

    job: Job
    """The training of the generator; its one part is 'train', the photographs of the class in the job's own."""
    label: int
    """The class."""
    count: int
    """Generated pictures."""
    folder: Path
    """Where the generator is trained and its pictures are kept."""


@dataclass(frozen=True)
class Job:
    """One training to be done."""

    identity: str
    """Hash of the resolved configuration; name of the run's folder."""
    study: str
    candidate: str
    seed: int
    fold: int | None
    config: dict[str, Any]
    """The whole resolved configuration, for the record."""
    task: str
    classes: tuple[str, ...]
    metric: str
    """The metric that chooses the epoch, on validation."""
    also: tuple[str, ...]
    """Other metrics to record."""
    prepare: Prepare
    augment: AugmentConfig
    train: TrainConfig
    build: Callable[[], nn.Module]
    """Makes the network, from its seed."""
    execution: Execution
    parts: Callable[[str], PreparedSet]
    """Gives the prepared pictures of 'train', 'validation' or 'test'."""
    item_ids: Callable[[np.ndarray], np.ndarray]
    """Gives the ids of items by their positions."""
    groups: Mapping[str, str] | None = None
    """Group of each picture by its id, where the source has groups: intervals take those of one together."""
    finetune: FinetuneConfig = field(default_factory=FinetuneConfig)
    """What of the network is trained, in what stages."""
    threshold: ThresholdConfig | None = None
    """How a detector's threshold is chosen on validation; none: the likelier class is the answer."""
    calibrate: bool = False
    """Whether a temperature is fitted on validation."""
    views: ViewName = "none"
    """Views of a picture over which the finished network's answers are averaged."""
    trained_as: str = ""
    """Run whose weights are taken where it is finished, as it differs in the views only; none: it is trained."""
    members: tuple[Job, ...] = ()
    """Trainings that are made into one, in place of one of its own."""
    joined: Literal["answers", "weights"] = "answers"
    """Whether its members answer together, or their weights are averaged: of several members the weights that each has
    kept, of one member those of its last epochs."""
    over_folds: bool = False
    """Whether each member has a validation part of its own, of pictures that the others are trained on."""
    last_epochs: int = 0
    """Epochs at the end of its one member whose weights are averaged."""
    keep_epochs: int = 0
    """Epochs at the end of the training whose weights are kept beside those of the best."""
    extras: tuple[Extra, ...] = ()
    """Generated pictures that are put into the training part."""
    data_key: str = ""
    """Fingerprint of the source, in whose positions the prepared pictures are numbered."""
    features: Path | None = None
    """Folder where features of frozen networks are kept for other runs; none: in the run's own."""
    windows: Literal["whole", "sliding"] = "whole"
    """Whether the finished network answers a picture whole, or in overlapping windows of the size that it was trained
    on; between epochs it is validated on whole pictures, so that its weights are those of the run without windows."""
    truth: Callable[[int], np.ndarray] | None = None
    """Gives the mask of an item at its own size, uint8 (H, W); none: masks are compared as prepared."""
    picture: Callable[[int], np.ndarray] | None = None
    """Gives the picture of an item at its own size, uint8 (H, W, 3), for people to look at; none: as prepared."""
    generation: GenerationConfig = field(default_factory=GenerationConfig)
    """How generated pictures are measured."""
    position: tuple[int, int] = (1, 1)
    """Number of this run in the plan, and runs of the plan."""
    command: str = ""
    notes: tuple[str, ...] = ()

    @property
    def n_generated(self) -> int:
        """Generated pictures in the training part."""
        return sum(extra.count for extra in self.extras)

    @property
    def keeps_norm(self) -> bool:
        """Whether the running statistics of normalisations stay those of the weights that training starts from."""
        return self.finetune.norm == "frozen"

    @property
    def is_augmented(self) -> bool:
        """Whether the training pictures are not just the photographs as they are: features of them cannot be kept."""
        return bool(self.augment.use) or bool(self.extras)

    @property
    def label(self) -> str:
        """The run's name for people, such as 'cnn, seed 1, fold 2'."""
        fold = "" if self.fold is None else f", fold {self.fold}"
        return f"{self.candidate}, seed {self.seed}{fold}"
