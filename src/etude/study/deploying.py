"""From the folder of a study to what the export room needs: the chosen run, its network, its pictures."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from etude.core.bundle_record import DataSummary, Origin, Rgb, Score
from etude.core.errors import EtudeError, MistakeError, sentence
from etude.core.generation_record import GENERATION_FILE, GenerationRecord
from etude.core.registry import nearest
from etude.core.run_record import RunRecord
from etude.core.study_record import StudyRecord
from etude.core.words import Part
from etude.data.source import Source, open_source
from etude.data.split_file import read_groups, read_split
from etude.evaluate.answers import read_answers
from etude.evaluate.pictures import interval_over_pictures
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
    record = find_run(folder, study, run)
    file = Path(target)
    base = file.resolve().parent if file.is_file() else Path.cwd()
    source = _open_pictures(record, study, base, data)
    config = record.config
    return Request(
        model=_network(record, folder, study.task),
        task=study.task,
        name=name or study.name,
        classes=record.classes,
        prepare=Prepare.model_validate(config["prepare"]),
        source=source,
        parts_N=read_split(_split_file(folder, config), source.items)[record.fold or 0],
        metric=study.metric,
        scores=_scores(record, folder, study.task),
        origin=_origin(record, study),
        data=_summary(source, study, config, _notes_on(record, folder) if study.task == "generation" else ()),
        weights=folder.run(record.identity) / "model.safetensors",
        temperature=record.temperature if keep_temperature else None,
        threshold=record.threshold,
        palette=_palette(source) if study.task == "segmentation" else (),
        views=CombineConfig.model_validate(config.get("combine", {})).tta,
    )


def find_run(folder: StudyFolder, study: StudyRecord, wanted: str = "") -> RunRecord:
    """Return a finished run: the one that is named, or that of the best candidate with the best validation score.

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
        return _load(folder, named[0])
    ranked = [row.candidate for row in study.leaderboard if row.score is not None]
    for candidate in ranked:
        runs = [_load(folder, ref.identity) for ref in finished.values() if ref.candidate == candidate]
        if runs:
            sign = 1 if study.higher_is_better else -1
            return max(runs, key=lambda run: sign * run.validation.get(study.metric, 0.0))
    raise MistakeError(f"{study.name}: has no finished run to export. Run it with `etude run`.")


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
    return rebuild_network(record, folder.run(record.identity) / "model.safetensors", task)


def _check_combined(record: RunRecord) -> None:
    """Refuse a run whose answers one graph cannot give: of several networks, or of windows over a picture.

    Raises:
        MistakeError: if it is one; the text names what to export in its place.
    """
    combine = CombineConfig.model_validate(record.config.get("combine", {}))
    given = combine.model_dump(mode="json", exclude_defaults=True)
    # Averaged weights are those of one network, and that is what the run has kept.
    one_graph = {"tta", "last_epochs", *(("members", "average") if combine.average == "weights" else ())}
    odd = {key: value for key, value in given.items() if key not in one_graph}
    if odd:
        remedy = f"Give --run with a run of the candidate that {record.candidate} extends."
        raise MistakeError(
            sentence("export", "combine", "what one graph can answer: tta, or averaged weights", odd, remedy)
        )


def _scores(record: RunRecord, folder: StudyFolder, task: str) -> tuple[Score, ...]:
    """Return the scores of the run on validation and test, those on test with intervals where answers are kept."""
    if task == "generation":
        return tuple(
            Score(part="test", metric=measure.name, value=measure.value, interval=measure.interval)
            for measure in _generated(record, folder).measures
        )
    path = folder.run(record.identity) / "predictions.parquet"
    groups = read_groups(folder.split) if folder.split.is_file() else None
    result = RunResult(record, lambda: read_answers(path, Part.TEST), groups=groups)
    told = [Score(part="validation", metric=name, value=value) for name, value in record.validation.items()]
    for name, value in record.test.items():
        interval = interval_over_pictures([result], name)
        told.append(Score(part="test", metric=name, value=value, interval=interval))
    return tuple(told)


def _origin(record: RunRecord, study: StudyRecord) -> Origin:
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
        pretrained=Path(start).name if start else "",
        licence_code=card.licence_code if card else "",
        licence_weights=card.licence_weights if card and start else "",
        trained_at=record.finished_at,
    )


def _generated(record: RunRecord, folder: StudyFolder) -> GenerationRecord:
    return GenerationRecord.load(folder.run(record.identity) / GENERATION_FILE)


def _notes_on(record: RunRecord, folder: StudyFolder) -> tuple[str, ...]:
    """Say what the measures of a generator are over, and why it stopped where it did."""
    found = _generated(record, folder)
    told = (
        f"The measures are over the features of {found.features}, {found.n_generated} generated pictures against "
        f"{found.n_real} held-out ones: values over other features, and published FIDs, are not comparable with them."
    )
    return (told, found.note) if found.note else (told,)


def _summary(source: Source, study: StudyRecord, config: dict[str, Any], notes: tuple[str, ...]) -> DataSummary:
    return DataSummary(
        source=source.name,
        fingerprint=config["data"]["fingerprint"],
        licence=source.licence,
        counts=study.counts,
        notes=(*source.notes, *notes),
    )


def _palette(source: Source) -> tuple[Rgb, ...]:
    """Return the source's colours of its classes, or those that the note shows them in."""
    given = getattr(source, "palette", None)
    if given is None or len(given) < len(source.classes):
        given = palette_of(source.classes)
    return tuple((int(r), int(g), int(b)) for r, g, b in given[: len(source.classes)])
