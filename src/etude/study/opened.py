"""A finished run, opened: its network and the study's pictures as it takes them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from etude.core.errors import MistakeError
from etude.core.seeds import derive
from etude.core.study_record import RunRef, StudyRecord
from etude.core.watch import Watcher
from etude.data.subsets import in_proportion
from etude.evaluate.detector import Adjustment
from etude.study.file import StudyConfig
from etude.study.folder import StudyFolder
from etude.study.jobs import make_job
from etude.study.plan import Order
from etude.study.resolve import Candidate, as_written
from etude.study.workspace import Workspace

if TYPE_CHECKING:
    import torch

    from etude.data.prepared import PreparedSet
    from etude.explain.records import Member
    from etude.train.job import Job
    from etude.train.loop import Fitted


@dataclass(frozen=True)
class Wishes:
    """What is asked of an explanation beyond its parts."""

    most_seconds: float = 60.0
    """About how long the falls of layers may take; 0: none is measured."""
    picture: str | None = None
    """The picture whose feature maps are shown, by its id or its file; none: a validation picture answered rightly."""
    layers: tuple[str, ...] = ()
    """The layers whose feature maps and most exciting pictures are shown; none: all that give maps, of many an even
    choice, and of those few whose pictures are shown."""
    most_layers: int = 24
    """How many layers' maps are shown at the most where none is named; 0: every layer's."""
    pictures: int = 2000
    """About how many pictures are laid on the maps of the data."""
    place: Path | None = None
    """A folder of new pictures to be placed on the maps; maps that are drawn stay as they are."""


@dataclass(frozen=True)
class OpenedRun:
    """A finished run with its network and the study's pictures."""

    folder: StudyFolder
    record: StudyRecord
    ref: RunRef
    base: Path
    watch: Watcher
    device: str

    @cached_property
    def study(self) -> StudyConfig:
        """The study as it was resolved when it was run.

        Raises:
            MistakeError: if it is not there.
        """
        candidates = {name: as_written(dumped) for name, dumped in self._resolved.get("candidates", {}).items()}
        try:
            return StudyConfig.model_validate(
                self._resolved | {"candidates": candidates, "ablations": (), "search": ()}
            )  # fmt: skip
        except ValidationError as error:
            raise MistakeError(f"{self.folder.resolved}: cannot be read as a study ({error}).") from error

    @cached_property
    def _resolved(self) -> dict[str, Any]:
        try:
            return dict(json.loads(self.folder.resolved.read_bytes()))
        except (OSError, ValueError, TypeError) as error:
            raise MistakeError(f"{self.folder.resolved}: cannot be read as a study ({error}).") from error

    def candidate(self, name: str) -> Candidate:
        """Return a candidate as it was resolved, with what a search found in each fold.

        Raises:
            MistakeError: if the study has none of this name.
        """
        try:
            return Candidate.of_dump(name, self._resolved["candidates"][name])
        except (KeyError, ValidationError) as error:
            raise MistakeError(f"{self.folder.resolved}: holds no candidate {name} ({error}).") from error

    @cached_property
    def workspace(self) -> Workspace:
        """The opened data."""
        return Workspace(self.study, self.base, self.folder, self.device, self.watch)

    @cached_property
    def job(self) -> Job:
        """The run with everything resolved."""
        return make_job(
            self.workspace,
            self.candidate(self.ref.candidate),
            Order(self.ref.candidate, self.ref.seed, self.ref.fold, self.ref.identity),
        )

    @cached_property
    def fitted(self) -> Fitted:
        """The finished network, with the views and the windows in which it answers."""
        from etude.train.finish import open_finished

        return open_finished(self.job, self.folder.run(self.ref.identity))[1]

    @cached_property
    def adjustment(self) -> Adjustment:
        """Temperature and threshold that were chosen for the run's answers."""
        run = self.folder.load_run(self.ref.identity)
        return Adjustment() if run is None else Adjustment(run.temperature, run.threshold)

    @property
    def answers_path(self) -> Path:
        """The file of the run's answers.

        Raises:
            MistakeError: if it is not there.
        """
        path = self.folder.run(self.ref.identity) / "predictions.parquet"
        if not path.exists():
            raise MistakeError(f"{path}: is not there, so nothing can be said of its answers.")
        return path

    @property
    def other_answers_paths(self) -> list[Path]:
        """The files of the answers of the candidate's other runs on the same fold, those that are there."""
        refs = (
            ref
            for ref in self.record.runs
            if ref.candidate == self.ref.candidate and ref.fold == self.ref.fold and ref.identity != self.ref.identity
        )
        paths = (self.folder.run(ref.identity) / "predictions.parquet" for ref in refs)
        return [path for path in paths if path.exists()]

    @cached_property
    def own_job(self) -> Job:
        """The training of the network that is explained: of several that answer together, that of the first."""
        return self.job.members[0] if self.member else self.job

    @property
    def member(self) -> Member | None:
        """Which network is explained of several that answer together; none where there is but one."""
        from etude.explain.records import Member

        n_members = len(self.job.members) if self.job.joined == "answers" else 0
        return Member(number=1, of=n_members) if n_members else None

    @property
    def network(self) -> torch.nn.Module:
        """The network itself, without the views and the windows in which it answers: of several, the first."""
        from etude.train.ensemble import Ensemble
        from etude.train.views import Views
        from etude.train.windows import Windows

        model = self.fitted.model
        while isinstance(model, (Views, Windows)):
            model = model.model
        return model.members[0] if isinstance(model, Ensemble) else model

    @property
    def network_name(self) -> str:
        """What the network is called."""
        return str(self.job.config["model"]["name"])

    def part(self, *names: str) -> PreparedSet:
        """Return the pictures of the first of these parts that has any, as the network that is explained had them.

        Of several networks over folds each has validation pictures of its own: those that it was not trained on.
        """
        parts = [self.own_job.parts(name) for name in names]
        return next((prepared for prepared in parts if len(prepared)), parts[0])

    def images(self, prepared: PreparedSet, chosen: np.ndarray | None = None) -> torch.Tensor:
        """Return pictures as the network takes them, (N, 3, H, W) on its device."""
        import torch

        from etude.pictures.prepare import normalisation

        pictures_NHWC = prepared.pictures_NHWC if chosen is None else prepared.pictures_NHWC[chosen]
        mean, std = (torch.tensor(values) for values in normalisation(self.job.prepare))
        images_NHWC = (torch.from_numpy(np.ascontiguousarray(pictures_NHWC)).float() / 255 - mean) / std
        return images_NHWC.permute(0, 3, 1, 2).contiguous().to(self.job.execution.device)


def mixed(prepared: PreparedSet, count: int) -> np.ndarray:
    """Return up to `count` places of a set, classes in proportion, in an order whose first ones are so too.

    A source that is sorted by class has all of one class at its beginning.
    """
    chance = np.random.Generator(np.random.PCG64(derive(0, "explain", "pictures")))
    return in_proportion(np.arange(len(prepared)), prepared.labels_N, chance)[:count]


def spread(n: int, count: int) -> np.ndarray:
    """Return up to `count` of `n` places, evenly spread."""
    return np.unique(np.linspace(0, n - 1, min(n, count)).round().astype(np.int64))
