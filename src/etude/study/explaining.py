"""Explaining a finished run: its network is opened on the study's pictures; what is found is written beside."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import ValidationError

from etude.core.errors import MistakeError
from etude.core.registry import nearest
from etude.core.study_record import RunRef, StudyRecord
from etude.core.watch import Watcher
from etude.metrics import METRICS
from etude.study.file import StudyConfig
from etude.study.folder import StudyFolder
from etude.study.jobs import make_job
from etude.study.plan import Order
from etude.study.resolve import resolve_candidates
from etude.study.workspace import Workspace

if TYPE_CHECKING:
    import torch

    from etude.data.prepared import PreparedSet
    from etude.train.job import Job
    from etude.train.loop import Fitted

FOLDER = "explain"
PARTS = ("layers",)
"""What can be explained, in the order in which it is."""
_LAYER_PICTURES = 512


def explain_run(
    folder: StudyFolder,
    identity: str | None,
    base: Path,
    watch: Watcher,
    *,
    parts: Sequence[str] = PARTS,
    device: str = "auto",
    most_seconds: float = 60.0,
) -> Path:
    """Explain one finished run and return the folder that the records are written to.

    Nothing is chosen on what is found; activations and falls are measured on validation pictures.

    Args:
        folder: the study's folder.
        identity: the run, or the beginning of its name; by default the first of the best candidate.
        base: the folder that relative paths in the study start from.
        watch: hears where the work stands.
        parts: what to explain.
        device: auto, cpu, cuda or mps.
        most_seconds: about how long the falls of layers may take.

    Raises:
        MistakeError: if there is no such run, or a part is unknown.
        EtudeError: if the data or the network cannot be used.
    """
    for part in parts:
        if part not in PARTS:
            close = nearest(part, PARTS)
            hint = f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(PARTS)}."
            raise MistakeError(f"explain: there is no part {part!r}. {hint}")
    record = folder.load_study()
    ref = choose_run(record, identity)
    opened = OpenedRun(folder, record, ref, base, watch, device)
    target = folder.run(ref.identity) / FOLDER
    for part in parts:
        watch.said(f"{part} of {ref.candidate}, seed {ref.seed}")
        _DEEDS[part](opened, target, most_seconds)
    return target


def choose_run(record: StudyRecord, identity: str | None) -> RunRef:
    """Return the run that is asked for, or the first finished run of the best candidate.

    Raises:
        MistakeError: if there is none.
    """
    finished = [ref for ref in record.runs if ref.status == "finished"]
    if identity is not None:
        found = [ref for ref in finished if ref.identity.startswith(identity)]
        if not found:
            raise MistakeError(
                f"{record.name}: there is no finished run {identity!r}. `etude runs list {record.name}` names them."
            )
        return found[0]
    best = next((row.candidate for row in record.leaderboard if row.score is not None), None)
    chosen = [ref for ref in finished if ref.candidate == best]
    if not chosen:
        raise MistakeError(f"{record.name}: no run is finished. Run the study first with `etude run`.")
    return chosen[0]


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
        try:
            content = json.loads(self.folder.resolved.read_bytes())
            return StudyConfig.model_validate(content | {"ablations": ()})
        except (OSError, ValueError, ValidationError) as error:
            raise MistakeError(f"{self.folder.resolved}: cannot be read as a study ({error}).") from error

    @cached_property
    def workspace(self) -> Workspace:
        """The opened data."""
        return Workspace(self.study, self.base, self.folder, self.device, self.watch)

    @cached_property
    def job(self) -> Job:
        """The run with everything resolved."""
        candidate = resolve_candidates(self.study)[self.ref.candidate]
        return make_job(
            self.workspace, candidate, Order(self.ref.candidate, self.ref.seed, self.ref.fold, self.ref.identity)
        )

    @cached_property
    def fitted(self) -> Fitted:
        """The finished network, with the views over which its answers are averaged."""
        from etude.train.finish import open_finished

        return open_finished(self.job, self.folder.run(self.ref.identity))[1]

    @property
    def network(self) -> torch.nn.Module:
        """The network itself."""
        from etude.train.views import Views

        model = self.fitted.model
        return model.model if isinstance(model, Views) else model

    @property
    def network_name(self) -> str:
        """What the network is called."""
        return str(self.job.config["model"]["name"])

    def part(self, *names: str) -> PreparedSet:
        """Return the pictures of the first of these parts that has any."""
        parts = [self.job.parts(name) for name in names]
        return next((prepared for prepared in parts if len(prepared)), parts[0])

    def images(self, prepared: PreparedSet, chosen: np.ndarray | None = None) -> torch.Tensor:
        """Return pictures as the network takes them, (N, 3, H, W) on its device."""
        import torch

        from etude.pictures.prepare import normalisation

        pictures_NHWC = prepared.pictures_NHWC if chosen is None else prepared.pictures_NHWC[chosen]
        mean, std = (torch.tensor(values) for values in normalisation(self.job.prepare))
        images_NHWC = (torch.from_numpy(np.ascontiguousarray(pictures_NHWC)).float() / 255 - mean) / std
        return images_NHWC.permute(0, 3, 1, 2).contiguous().to(self.job.execution.device)


def spread(n: int, count: int) -> np.ndarray:
    """Return up to `count` of `n` places, evenly spread."""
    return np.unique(np.linspace(0, n - 1, min(n, count)).round().astype(np.int64))


def _explain_layers(opened: OpenedRun, target: Path, most_seconds: float) -> None:
    """Write `layers.json`."""
    from etude.explain.layers import describe_layers

    prepared = opened.part("validation", "train")
    chosen = spread(len(prepared), _LAYER_PICTURES)
    labels_N = prepared.labels_N[chosen]
    metric = METRICS[opened.record.metric]

    def score(logits_NK: torch.Tensor) -> float:
        answers_NK = opened.fitted.task.answer(logits_NK).cpu().numpy()
        return float(metric.function(labels_N[: len(answers_NK)], answers_NK))

    describe_layers(
        opened.network,
        opened.images(prepared, chosen),
        network=opened.network_name,
        score=score,
        metric=opened.record.metric,
        higher_is_better=opened.record.higher_is_better,
        most_seconds=most_seconds,
        device=opened.job.execution.words(),
    ).save(target / "layers.json")


_DEEDS: dict[str, Any] = {"layers": _explain_layers}
