"""Explaining a finished run: its network is opened on the study's pictures; what is found is written beside."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from etude.core.errors import MistakeError, ModelError, sentence
from etude.core.registry import nearest
from etude.core.seeds import derive
from etude.core.study_record import RunRef, StudyRecord
from etude.core.watch import Watcher
from etude.core.words import Part
from etude.evaluate.final import final_candidate
from etude.evaluate.mask_counts import MaskCounts
from etude.evaluate.predictions import Predictions
from etude.explain.records import DISCRIMINATOR_FILE, LAYERS_FILE, LayersRecord
from etude.metrics import SEGMENTATION_METRICS
from etude.metrics.segmentation import pixel_confusion
from etude.study.attributions import explain_why
from etude.study.data_maps import explain_map
from etude.study.deploying import best_run
from etude.study.folder import StudyFolder
from etude.study.mask_errors import explain_mask_mistakes
from etude.study.opened import OpenedRun, Wishes, mixed
from etude.study.sights import explain_mistakes, explain_sight

if TYPE_CHECKING:
    import torch

    from etude.data.prepared import PreparedSet
    from etude.explain.falls import ToAnswers

    Integers = npt.NDArray[np.int64]


FOLDER = "explain"
PARTS = ("layers", "sight", "why", "map", "errors")
"""What can be explained, in the order in which it is."""
_LAYER_PICTURES, _LAYER_PICTURES_OF_MASKS = 512, 32
_LEAST_SCORED, _LEAST_SCORED_OF_MASKS = 64, 8
_LATENTS, _PICTURES_OF_DISCRIMINATOR = 64, 8
_NO_ANSWER = (
    "A generator gives no answer to a picture: only its layers are explained. `etude report` shows samples, measures "
    "and the nearest training pictures, and `etude generate` draws more."
)
_MOST_PIXELS = 2**25  # of the pictures that are held together as floats: 400 MB


def explain_run(
    folder: StudyFolder,
    identity: str | None,
    base: Path,
    watch: Watcher,
    *,
    parts: Sequence[str] = (),
    device: str = "auto",
    wishes: Wishes | None = None,
    leave_out: bool = False,
    outcomes: list[tuple[str, str | ModelError | None]] | None = None,
) -> Path:
    """Explain one finished run and return the folder that the records are written to.

    Nothing is chosen on what is found; activations and falls are measured on validation pictures.

    Args:
        folder: the study's folder.
        identity: the run, or the beginning of its name; by default the one that `etude export` takes.
        base: the folder that relative paths in the study start from.
        watch: hears where the work stands.
        parts: what to explain; by default all that the task has.
        device: auto, cpu, cuda or mps.
        wishes: what else is asked for, such as a picture of one's own.
        leave_out: whether a part that is asked for and cannot be had is left out, in place of an error.
        outcomes: where each part is put down, with why it is left out; none where it is there.

    Raises:
        MistakeError: if there is no such run, part, picture or layer, or a part that is asked for cannot be had: of
            generators there are the layers alone.
        EtudeError: if the data or the network cannot be used.
    """
    record = folder.load_study()
    for part in parts:
        if part not in PARTS:
            close = nearest(part, PARTS)
            hint = f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(PARTS)}."
            raise MistakeError(f"explain: there is no part {part!r}. {hint}")
    ref = find_handed_over(folder, record) if identity is None else choose_run(record, identity)
    opened = OpenedRun(folder, record, ref, base, watch, device)
    target = folder.run(ref.identity) / FOLDER
    deeds = _DEEDS_OF_GENERATORS if record.task == "generation" else _DEEDS
    had = [part for part in PARTS if deeds[part] is not _leave_out]
    if not parts and len(had) < len(PARTS):
        watch.said(f"{', '.join(part for part in PARTS if part not in had)}: left out. {_NO_ANSWER}")
    for part in parts or had:
        watch.said(f"{part} of {ref.candidate}, seed {ref.seed}")
        left_out: str | ModelError | None
        try:
            left_out = deeds[part](opened, target, wishes or Wishes())
        except ModelError as error:
            if not leave_out:
                raise
            left_out = error
        if outcomes is not None:
            outcomes.append((part, left_out))
        if left_out and part in parts and not leave_out:
            raise MistakeError(f"explain: {part} is left out: {left_out}")
        if left_out:
            watch.said(f"{part} is left out: {left_out}")
    return target


def explain_candidates(
    folder: StudyFolder,
    base: Path,
    watch: Watcher,
    *,
    parts: Sequence[str] = (),
    device: str = "auto",
    wishes: Wishes | None = None,
) -> list[Path]:
    """Explain a finished run of every candidate; what one cannot have is left out.

    The run that is handed over comes first, then the first runs of the others, by the leaderboard.

    Returns:
        The folders that the records are written to.

    Raises:
        MistakeError: as `explain_run`, if no run is finished, or if no network has a layer that is asked for.
        EtudeError: if the data or a network cannot be used.
    """
    record = folder.load_study()
    places = {row.candidate: place for place, row in enumerate(record.leaderboard)}
    firsts: dict[str, RunRef] = {}
    for ref in record.runs:
        if ref.status == "finished":
            firsts.setdefault(ref.candidate, ref)
    final = find_handed_over(folder, record) if final_candidate(record) or not firsts else None
    if final is not None:  # without a score no candidate is handed over, and the first runs are explained
        firsts[final.candidate] = final
    in_order = sorted(firsts.values(), key=lambda ref: (ref is not final, places.get(ref.candidate, len(places))))
    outcomes: list[tuple[str, str | ModelError | None]] = []
    explain = functools.partial(
        explain_run, parts=parts, device=device, wishes=wishes, leave_out=True, outcomes=outcomes
    )
    targets = [explain(folder, ref.identity, base, watch) for ref in in_order]
    seen = [left_out for part, left_out in outcomes if part == "sight"]
    refused = [why for why in seen if isinstance(why, ModelError)]
    if refused and all(seen):
        raise refused[0]
    return targets


def choose_run(record: StudyRecord, identity: str) -> RunRef:
    """Return the finished run that is asked for.

    Raises:
        MistakeError: if there is none, or several are meant.
    """
    finished = [ref for ref in record.runs if ref.status == "finished"]
    found = [ref for ref in finished if ref.identity.startswith(identity)]
    if not found:
        raise MistakeError(
            f"{record.name}: there is no finished run {identity!r}. `etude runs list {record.name}` names them."
        )
    if len({ref.identity for ref in found}) > 1 and identity not in (ref.identity for ref in found):
        named = ", ".join(f"{ref.identity} ({ref.candidate}, seed {ref.seed})" for ref in found)
        rule = "the beginning of one run's name"
        raise MistakeError(sentence("explain", "--run", rule, identity, f"So begin {named}."))
    return next((ref for ref in found if ref.identity == identity), found[0])


def find_handed_over(folder: StudyFolder, record: StudyRecord) -> RunRef:
    """Return the run that `etude export` takes: what is explained is what is deployed.

    Raises:
        MistakeError: if no run is finished, or none has a score.
    """
    final = final_candidate(record)
    refs = [ref for ref in record.runs if ref.status == "finished" and ref.candidate == final]
    runs = [run for ref in refs if (run := folder.load_run(ref.identity)) is not None]
    if not runs:
        if any(ref.status == "finished" for ref in record.runs):
            remedy = "Name a run with --run, or ask for --all-candidates."
            raise MistakeError(f"{record.name}: no candidate has a score, so none is handed over. {remedy}")
        raise MistakeError(f"{record.name}: no run is finished. Run the study first with `etude run`.")
    best, _ = best_run(record, {final: runs})
    return next(ref for ref in refs if ref.identity == best.identity)


def explain_layers(opened: OpenedRun, target: Path, wishes: Wishes) -> str | None:
    """Write `layers.json`; of a network without layers, return why there is none.

    Where no falls are asked for, a table that has them is kept as it is.
    """
    from etude.explain.falls import Asked
    from etude.explain.layers import describe_layers

    path = target / LAYERS_FILE
    if wishes.most_seconds <= 0 and path.is_file() and LayersRecord.load(path).n_pictures:
        return None
    prepared = opened.part("validation", "train")
    of_masks = prepared.masks_NHW is not None
    least = _LEAST_SCORED_OF_MASKS if of_masks else _LEAST_SCORED
    affordable = max(least, _MOST_PIXELS // int(np.prod(prepared.pictures_NHWC.shape[1:3])))
    chosen = mixed(prepared, min(affordable, _LAYER_PICTURES_OF_MASKS if of_masks else _LAYER_PICTURES))
    metric, to_answers = (
        _score_masks(opened, prepared, chosen) if of_masks else _score_classes(opened, prepared, chosen)
    )
    record = describe_layers(
        opened.network,
        opened.images(prepared, chosen),
        network=opened.network_name,
        asked=None
        if wishes.most_seconds <= 0
        else Asked(
            to_answers=to_answers,
            metric=metric,
            higher_is_better=opened.record.higher_is_better,
            most_seconds=wishes.most_seconds,
            groups=opened.workspace.groups,
            least_scored=least,
        ),
        device=opened.job.execution.words(),
        member=opened.member,
    )
    if not record.rows:
        return f"{opened.network_name} has no layer."
    record.model_copy(update={"of_training": not len(opened.part("validation"))}).save(path)
    return None


def explain_adversaries(opened: OpenedRun, target: Path, wishes: Wishes) -> None:
    """Write `layers.json` of a generator, and `layers-discriminator.json` of what it was trained against.

    Activations are looked at over latent vectors, of classes in the proportions of the training part. A discriminator
    has no weights but those that it started from: a run keeps its generator's alone.
    """
    import torch

    from etude.explain.given import Given
    from etude.explain.layers import describe_adversary
    from etude.train.generation import open_generator
    from etude.train.samples import draw_wanted

    model = open_generator(opened.job, opened.folder.run(opened.ref.identity))
    prepared, device = opened.part("train"), opened.job.execution.device
    labels_N = torch.from_numpy(np.asarray(prepared.labels_N))
    chosen = mixed(prepared, _PICTURES_OF_DISCRIMINATOR)
    wanted = draw_wanted(model, _LATENTS, derive(0, "explain", "latents"), labels_N)
    asked = () if wanted.classes_N is None else (wanted.classes_N.to(device),)
    shown = () if wanted.classes_N is None else (labels_N[chosen].to(device),)
    about: dict[str, Any] = {
        "network": opened.network_name,
        "size_px": (model.size_px, model.size_px),
        "device": opened.job.execution.words(),
    }
    latents = Given((wanted.latents_NZ.to(device), *asked))
    generator = describe_adversary(model.generator, latents, side="generator", **about)
    pictures = Given((opened.images(prepared, chosen), *shown), {"redraw": True})
    with torch.random.fork_rng(devices=[]):  # which part is redrawn is drawn by chance
        discriminator = describe_adversary(
            model.discriminator, pictures, side="discriminator", is_trained=False, **about
        )  # fmt: skip
    discriminator.save(target / DISCRIMINATOR_FILE)
    generator.save(target / LAYERS_FILE)


def _leave_out(opened: OpenedRun, target: Path, wishes: Wishes) -> str:
    return _NO_ANSWER


def _score_classes(opened: OpenedRun, prepared: PreparedSet, chosen: Integers) -> tuple[str, ToAnswers]:
    """Return the study's metric and what makes answers of the logits of the first of these pictures."""
    ids_N, truth_N = opened.workspace.item_ids(prepared.indices_N[chosen]), prepared.labels_N[chosen]

    def to_answers(logits_NK: torch.Tensor) -> Predictions:
        answers_NK = opened.fitted.task.answer(logits_NK).cpu().numpy()
        count = len(answers_NK)
        return opened.adjustment.apply(Predictions(ids_N[:count], Part.VALIDATION, truth_N[:count], answers_NK))

    return opened.record.metric, to_answers


def _score_masks(opened: OpenedRun, prepared: PreparedSet, chosen: Integers) -> tuple[str, ToAnswers]:
    """Return the study's metric, or mean IoU where it is not one of pixels, and what makes counts of logits.

    Masks are compared at the size at which the network takes them.
    """
    assert prepared.masks_NHW is not None
    masks_NHW, n_classes = np.asarray(prepared.masks_NHW[chosen]), len(opened.job.classes)
    ids_N = opened.workspace.item_ids(prepared.indices_N[chosen])
    metric = opened.record.metric if SEGMENTATION_METRICS[opened.record.metric].from_confusion else "miou"

    def to_answers(logits_NKHW: torch.Tensor) -> MaskCounts:
        found_NHW = opened.fitted.task.answer(logits_NKHW).cpu().numpy()
        counted = [pixel_confusion(*both, n_classes) for both in zip(masks_NHW, found_NHW, strict=False)]
        return MaskCounts(ids_N[: len(found_NHW)], Part.VALIDATION, np.stack(counted))

    return metric, to_answers


def _explain_errors(opened: OpenedRun, target: Path, wishes: Wishes) -> None:
    """Write where the run errs, as its task has it."""
    deed = explain_mask_mistakes if opened.record.task == "segmentation" else explain_mistakes
    deed(opened, target, wishes)


_DEEDS: dict[str, Callable[[OpenedRun, Path, Wishes], str | None]] = {
    "layers": explain_layers,
    "sight": explain_sight,
    "why": explain_why,
    "map": explain_map,
    "errors": _explain_errors,
}
"""What writes each part; where it cannot be had, nothing is written, and why is returned."""
_DEEDS_OF_GENERATORS = dict.fromkeys(PARTS, _leave_out) | {"layers": explain_adversaries}
