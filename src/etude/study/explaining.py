"""Explaining a finished run: its network is opened on the study's pictures; what is found is written beside."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from etude.core.errors import MistakeError
from etude.core.registry import nearest
from etude.core.study_record import RunRef, StudyRecord
from etude.core.watch import Watcher
from etude.metrics import METRICS
from etude.study.folder import StudyFolder
from etude.study.opened import OpenedRun, spread
from etude.study.sights import explain_map, explain_mistakes, explain_sight, explain_why

if TYPE_CHECKING:
    import torch


FOLDER = "explain"
PARTS = ("layers", "sight", "why", "map", "errors")
"""What can be explained, in the order in which it is."""
_OF_ANY_TASK = ("layers",)
_LAYER_PICTURES = 512


def explain_run(
    folder: StudyFolder,
    identity: str | None,
    base: Path,
    watch: Watcher,
    *,
    parts: Sequence[str] = (),
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
        parts: what to explain; by default all that the task has: of a segmentation, its layers.
        device: auto, cpu, cuda or mps.
        most_seconds: about how long the falls of layers may take.

    Raises:
        MistakeError: if there is no such run, or a part is unknown.
        EtudeError: if the data or the network cannot be used.
    """
    record = folder.load_study()
    known = PARTS if record.task == "classification" else _OF_ANY_TASK
    for part in parts:
        if part in PARTS and part not in known:
            raise MistakeError(f"explain: {part} is made for classification, and {record.name} is a {record.task}.")
        if part not in PARTS:
            close = nearest(part, PARTS)
            hint = f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(PARTS)}."
            raise MistakeError(f"explain: there is no part {part!r}. {hint}")
    ref = choose_run(record, identity)
    opened = OpenedRun(folder, record, ref, base, watch, device)
    target = folder.run(ref.identity) / FOLDER
    for part in parts or known:
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


def _explain_layers(opened: OpenedRun, target: Path, most_seconds: float) -> None:
    """Write `layers.json`."""
    from etude.explain.layers import describe_layers

    prepared = opened.part("validation", "train")
    chosen = spread(len(prepared), _LAYER_PICTURES)
    labels_N = prepared.labels_N[chosen]
    is_scored = opened.record.task == "classification"

    def score(logits_NK: torch.Tensor) -> float:
        answers_NK = opened.fitted.task.answer(logits_NK).cpu().numpy()
        return float(METRICS[opened.record.metric].function(labels_N[: len(answers_NK)], answers_NK))

    describe_layers(
        opened.network,
        opened.images(prepared, chosen),
        network=opened.network_name,
        score=score if is_scored else None,
        metric=opened.record.metric,
        higher_is_better=opened.record.higher_is_better,
        most_seconds=most_seconds,
        device=opened.job.execution.words(),
    ).save(target / "layers.json")


_DEEDS: dict[str, Callable[[OpenedRun, Path, float], None]] = {
    "layers": _explain_layers,
    "sight": explain_sight,
    "why": explain_why,
    "map": explain_map,
    "errors": explain_mistakes,
}
