"""From the folder of a study to what the export room needs: the chosen run, its network, its pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from etude.core.bundle_record import DataSummary, Origin, Rgb, Score
from etude.core.counting import how_many
from etude.core.errors import EtudeError, MistakeError, sentence
from etude.core.generation_record import GENERATION_FILE, GenerationRecord
from etude.core.registry import nearest
from etude.core.run_record import MODEL_FILE, RunRecord
from etude.core.study_record import StudyRecord
from etude.core.words import Part
from etude.data.source import Source, open_source
from etude.data.split_file import read_groups, read_split
from etude.evaluate.answers import read_answers
from etude.evaluate.final import asks_several, final_candidate
from etude.evaluate.pictures import interval_of, interval_over_pictures
from etude.evaluate.predictions import Predictions
from etude.evaluate.run_result import RunResult
from etude.models import card_of
from etude.pictures.palette import palette_of
from etude.pictures.prepare_config import Prepare
from etude.study.alone import rebuild_network
from etude.study.file import CombineConfig
from etude.study.folder import StudyFolder, find_study

if TYPE_CHECKING:
    from torch import nn

    from etude.export.request import Request


def export_request(
    target: str, results: Path, *, run: str = "", name: str = "", data: str = "", keep_temperature: bool = True
) -> Request:
    """Open a finished run of a study for export.

    Args:
        target: name, folder or file of the study.
        results: the folder in which studies lie.
        run: identity of the run, or the beginning of it; by default the best one.
        name: name of the model; by default the study's.
        data: the pictures, where they lie elsewhere now; by default where the study found them.
        keep_temperature: whether a temperature that the study fitted is kept.

    Raises:
        MistakeError: if there is no such study or run, or its pictures are not the same any more.
        ModelError: if the network cannot be built.
    """
    from etude.export.request import Request

    folder = find_study(target, results)
    study = folder.load_study()
    record, chosen = find_run(folder, study, run)
    file = Path(target)
    base = file.resolve().parent if file.is_file() else Path.cwd()
    source = _open_pictures(record, study, base, data)
    config = record.config
    parts_N = read_split(_split_file(folder, config), source.items)[record.fold or 0]
    groups = read_groups(folder.split) if folder.split.is_file() else None
    return Request(
        model=_network(record, folder, study.task),
        task=study.task,
        name=name or study.name,
        classes=record.classes,
        prepare=Prepare.model_validate(config["prepare"]),
        source=source,
        parts_N=parts_N,
        metric=study.metric,
        scores=_scores(record, folder, study.task, groups),
        origin=_origin(record, study, chosen),
        data=_summary(source, parts_N, study, record, _notes_on(record, study, folder)),
        weights=folder.run(record.identity) / MODEL_FILE,
        temperature=record.temperature if keep_temperature else None,
        threshold=_threshold(record),
        palette=_palette(source) if study.task == "segmentation" else (),
        views=CombineConfig.model_validate(config.get("combine", {})).tta,
        recorded=_recorded(record, folder) if study.task == "classification" else None,
        groups=groups,
    )


def find_run(folder: StudyFolder, study: StudyRecord, wanted: str = "") -> tuple[RunRecord, str]:
    """Return a finished run and how it was chosen: the one that is named, or the best one on validation.

    The candidate is that with the best mean on validation of those that one graph can answer, the run its best one.
    Generators have no validation part; theirs is the first of the leaderboard.

    Raises:
        MistakeError: if there is none.
    """
    finished = {ref.identity: ref for ref in study.runs if ref.status == "finished"}
    if wanted:
        named = [identity for identity in finished if identity.startswith(wanted)]
        if len(named) != 1:
            close = nearest(wanted, list(finished))
            hint = f"Did you mean {close[0]}?" if close else f"`etude runs list {study.name}` lists them."
            rule = "the identity of one finished run of the study"
            raise MistakeError(sentence("export", "--run", rule, wanted, hint))
        return _load(folder, named[0]), ""
    runs: dict[str, list[RunRecord]] = {}
    for row in study.leaderboard:
        own = [_load(folder, ref.identity) for ref in finished.values() if ref.candidate == row.candidate]
        if own and row.score is not None:
            runs[row.candidate] = own
    if not runs:
        raise MistakeError(f"{study.name}: has no finished run to export. Run it with `etude run`.")
    best, told = best_run(study, runs)
    return best, f"{told} {_tell_unfinished(study)}".rstrip()


def _tell_unfinished(study: StudyRecord) -> str:
    """Say that the choice may change where runs of the plan are still to come; empty where none are."""
    left = {ref.identity for ref in study.runs if ref.status in ("planned", "running")}
    if not left:
        return ""
    verb = "is" if len(left) == 1 else "are"
    return (
        f"{len(left)} of the {study.n_planned} planned runs {verb} not finished: another may be chosen once the study "
        "is whole."
    )


def best_run(study: StudyRecord, runs: Mapping[str, Sequence[RunRecord]]) -> tuple[RunRecord, str]:
    """Choose a run of the candidate that is handed over.

    Args:
        study: its record.
        runs: the finished runs by candidate, each candidate that has a score among them.
    """
    sign = 1 if study.higher_is_better else -1
    own = runs[final_candidate(study)]
    if study.task == "generation" or not all(math.isfinite(run.validation.get(study.metric, math.nan)) for run in own):
        return own[0], (
            "The candidate is the first of the leaderboard that one graph can answer: by the test part, as none was "
            "scored on validation."
        )
    run = max(own, key=lambda run: sign * run.validation[study.metric])
    among = f"the best of its {len(own)} runs" if len(own) > 1 else "its one run"
    told = f"Chosen on validation: the candidate with the best mean {study.metric} there, and {among}."
    return run, told


def _load(folder: StudyFolder, identity: str) -> RunRecord:
    record = folder.load_run(identity)
    if record is None:
        raise MistakeError(f"{folder.run(identity)}: holds no finished run. Run the study again with `etude run`.")
    return record


def _open_pictures(record: RunRecord, study: StudyRecord, base: Path, elsewhere: str) -> Source:
    """Open the pictures of a run and check that they are the same as when it was trained."""
    config = record.config["data"]
    given = elsewhere or config["source"]
    try:
        source = open_source(
            given, task=study.task, positive=config.get("positive"), base=base,
            labels=config.get("labels", "classes"), classes=config.get("classes"),
        )  # fmt: skip
    except EtudeError as error:
        raise MistakeError(
            f"export: the bundle is compared with the network on the study's own pictures. {error} "
            f"Say where they lie now with --data."
        ) from error
    if source.fingerprint() != config["fingerprint"]:
        remedy = "Give the same pictures with --data, or run the study again on these."
        raise MistakeError(sentence("export", given, "the pictures that the run was trained on", "others", remedy))
    return source


def _split_file(folder: StudyFolder, config: dict[str, Any]) -> Path:
    """Return the file of the split that a run was trained on."""
    own = folder.split.with_name(f"split.{config['data']['split'].get('train_items')}.parquet")
    return own if own.exists() else folder.split


def _network(record: RunRecord, folder: StudyFolder, task: str) -> nn.Module:
    """Build the network of a run and load its weights, where one graph can give its answers."""
    _check_combined(record)
    return rebuild_network(record, folder.run(record.identity) / MODEL_FILE, task)


def _check_combined(record: RunRecord) -> None:
    """Refuse a run whose answers one graph cannot give: of several networks, or of windows over a picture.

    Raises:
        MistakeError: if it is one; the text names what to export in its place.
    """
    if odd := odd_combination(record):
        remedy = f"Give --run with a run of the candidate that {record.candidate} extends."
        raise MistakeError(
            sentence("export", "combine", "what one graph can answer: tta, or averaged weights", odd, remedy)
        )


def odd_combination(record: RunRecord) -> dict[str, Any]:
    """Return what of a run's combination one graph cannot give."""
    return asks_several(record.config.get("combine") or {})


def _threshold(record: RunRecord) -> float | None:
    """Return from which probability a detector says yes: as the study chose, else one half; none for other models."""
    if record.threshold is None and record.config["data"].get("positive"):
        return 0.5
    return record.threshold


def _recorded(record: RunRecord, folder: StudyFolder) -> Callable[[Part], Predictions]:
    """Return what reads the answers that a run of classes left."""
    path = folder.run(record.identity) / "predictions.parquet"
    return lambda part: Predictions.read(path, part)


def _scores(record: RunRecord, folder: StudyFolder, task: str, groups: Mapping[str, str] | None) -> tuple[Score, ...]:
    """Return the scores of the run on validation and test, those on test with intervals where answers are kept."""
    if task == "generation":
        return tuple(
            Score(part="test", metric=measure.name, value=measure.value, interval=measure.interval)
            for measure in _generated(record, folder).measures
        )
    path = folder.run(record.identity) / "predictions.parquet"
    result = RunResult(record, lambda: read_answers(path, Part.TEST), groups=groups)
    validated = [read_answers(path, Part.VALIDATION)] if record.validation else []
    told = [
        Score(part="validation", metric=name, value=value, interval=interval_of(validated, name, groups=groups))
        for name, value in record.validation.items()
    ]
    for name, value in record.test.items():
        interval = interval_over_pictures([result], name)
        told.append(Score(part="test", metric=name, value=value, interval=interval))
    return tuple(told)


def _origin(record: RunRecord, study: StudyRecord, chosen: str) -> Origin:
    model = record.config["model"]
    card = card_of(model["name"]) if model.get("python") is None else None
    start = model.get("weights") or model.get("checkpoint") or ""
    return Origin(
        study=study.name,
        question=study.question,
        candidate=record.candidate,
        run=record.identity,
        network=card.title if card else f"a network of the study's own, {Path(model['python']).name}",
        paper=card.paper if card else "",
        pretrained=" of ".join(filter(None, (Path(start).name, model.get("name")))) if start else "",
        licence_code=card.licence_code if card else "",
        licence_weights=card.licence_weights if card and start else "",
        trained_at=record.finished_at,
        precision=record.precision,
        chosen=chosen,
    )


def _generated(record: RunRecord, folder: StudyFolder) -> GenerationRecord:
    return GenerationRecord.load(folder.run(record.identity) / GENERATION_FILE)


def _notes_on(record: RunRecord, study: StudyRecord, folder: StudyFolder) -> tuple[str, ...]:
    """Return what a reader must know of a run: what the study says of it and of its data, and of which fold it is."""
    others = {ref.candidate for ref in study.runs} - {record.candidate}
    told = [note for note in study.notes if _is_of(note) not in others and ", seed " not in note.partition(":")[0]]
    if record.fold is not None:
        told.append(
            f"This is the network of one fold: it learned from {how_many(record.n_train, 'picture')}, and was tested "
            "on those of its own fold, which it never saw. The study's score is the mean over the folds."
        )
    if study.task == "generation":
        found = _generated(record, folder)
        compared = "the pixels, made small" if found.features == "pixels" else f"the features of {found.features}"
        told.append(
            f"The measures are over {compared}, {found.n_generated} generated pictures against "
            f"{found.n_real} held-out ones: values over other features, and published FIDs, are not comparable with "
            "them."
        )
        if not any(note.endswith(found.note) for note in record.notes):
            told.append(found.note)
    return tuple(dict.fromkeys(note for note in (*told, *record.notes) if note))


def _is_of(note: str) -> str:
    """Return the candidate that a note names first, if it does."""
    return note.partition(":")[0].partition(", seed ")[0]


def _summary(
    source: Source, parts_N: npt.NDArray[np.int8], study: StudyRecord, record: RunRecord, notes: tuple[str, ...]
) -> DataSummary:
    return DataSummary(
        source=source.name,
        fingerprint=record.config["data"]["fingerprint"],
        licence=study.licence or source.licence,
        counts=_counts(source, parts_N, study.task),
        notes=tuple(dict.fromkeys((*source.notes, *notes))),
    )


def _counts(source: Source, parts_N: npt.NDArray[np.int8], task: str) -> dict[str, dict[str, int]]:
    """Count the pictures of each part of a run's split, by class where a picture has one."""
    counts: dict[str, dict[str, int]] = {}
    for part in (Part.TRAIN, Part.VALIDATION, Part.TEST):
        own = parts_N == part
        if not own.any():
            continue
        if task == "segmentation":
            counts[part.label] = {"": int(own.sum())}
        else:
            found = np.bincount(source.items.labels[own], minlength=len(source.classes)).tolist()
            counts[part.label] = dict(zip(source.classes, found, strict=True))
    return counts


def _palette(source: Source) -> tuple[Rgb, ...]:
    """Return the source's colours of its classes, or those that the note shows them in."""
    given = getattr(source, "palette", None)
    if given is None or len(given) < len(source.classes):
        given = palette_of(source.classes)
    return tuple((int(r), int(g), int(b)) for r, g, b in given[: len(source.classes)])
