"""Generated pictures before the final detector of another study, beside photographs that it did not learn from.

Photographs are brought to the size of the generated pictures first: else the detector would tell them by their detail.

Shapes: N pictures, D networks, K classes, H and W pixels.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from etude.core.counting import how_many
from etude.core.errors import MistakeError, sentence
from etude.core.judgement_record import JudgedPictures, JudgementRecord, Kind
from etude.core.records import fingerprint
from etude.core.run_record import MODEL_FILE
from etude.core.seeds import derive
from etude.core.study_record import RunRef, StudyRecord
from etude.core.words import Part
from etude.data.prepared import PreparedSet, prepare_items
from etude.evaluate.detector import Adjustment
from etude.evaluate.final import final_candidate
from etude.evaluate.predictions import Predictions
from etude.metrics.statistics import bootstrap_interval, wilson
from etude.pictures.prepare import prepare_picture
from etude.pictures.prepare_config import Prepare
from etude.study.file import StudyConfig
from etude.study.folder import StudyFolder, find_study
from etude.study.jobs import make_job
from etude.study.opened import OpenedRun
from etude.study.plan import Order
from etude.study.resolve import Candidate
from etude.study.workspace import Workspace

if TYPE_CHECKING:
    from etude.train.job import Job

JUDGED_EACH: Final = 200
"""Pictures of a generator's run that are judged: more cost time and change little."""

_RULE: Final = 2
"""Raised where the same runs would be judged otherwise than before."""

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]


def find_judge(study: StudyConfig, classes: Sequence[str], results: Path) -> tuple[StudyFolder, StudyRecord]:
    """Find the study whose final detector is asked, and see that it can answer about these classes.

    Args:
        study: the study of generators; `protocol.generation.judge` names the other.
        classes: classes of its pictures.
        results: the folder in which studies lie.

    Raises:
        MistakeError: if there is none, it is of no classes, has no finished run, or knows none of the classes.
    """
    name = study.protocol.generation.judge
    folder = find_study(name, results)
    record = folder.load_study()
    rule = "a study of one class a picture with a finished run"
    if record.task != "classification" or not _final_refs(record):
        found = record.task if record.task != "classification" else "no finished run"
        raise MistakeError(sentence("protocol", "generation.judge", rule, f"{name}: {found}"))
    if not _targets(record.classes, classes):
        known = ", ".join(record.classes)
        rule = f"a study that knows one of {', '.join(classes)}"
        raise MistakeError(sentence("protocol", "generation.judge", rule, f"{name}: {known}"))
    return folder, record


def check_judge(name: str, results: Path) -> None:
    """See that the final detector of a study can be opened: asked before generators are trained, not hours later.

    Raises:
        MistakeError: if the weights of a run are not there, as in records that were packed without them.
    """
    folder = find_study(name, results)
    for ref in _final_refs(folder.load_study()):
        if not (weights := folder.run(ref.identity) / MODEL_FILE).exists():
            rule = "a study whose final runs have their weights"
            remedy = "Delete the folders of such runs, and run that study again: it trains them anew."
            raise MistakeError(sentence("protocol", "generation.judge", rule, f"{name}: no {weights}", remedy))


def judge_generators(
    workspace: Workspace, candidates: Mapping[str, Candidate], record: StudyRecord, results: Path
) -> JudgementRecord:
    """Ask about the finished generators, unless these very runs were judged before, and write `judgement.json`.

    Raises:
        EtudeError: if the data or a network of either study cannot be used.
    """
    folder, judged_by = find_judge(workspace.study, workspace.source.classes, results)
    refs, judges = [ref for ref in record.runs if ref.status == "finished"], _final_refs(judged_by)
    key = fingerprint([[ref.identity for ref in refs], [ref.identity for ref in judges], JUDGED_EACH, _RULE])
    path = workspace.folder.judgement
    if path.exists() and (known := JudgementRecord.load(path)).key == key:
        return known
    judged, by = how_many(len(refs), "generator is", "generators are"), how_many(len(judges), "network")
    workspace.watch.said(f"{judged} judged by {judges[0].candidate} of {judged_by.name} ({by})")
    bench = Bench.open(folder, judged_by, judges, workspace)
    prepares = {one.prepare.height_px: one.prepare for one in candidates.values()}
    targets = _targets(judged_by.classes, workspace.source.classes)
    pictures = [
        *(row for name in candidates for row in _judge_candidate(workspace, candidates[name], refs, bench, targets)),
        *(
            row
            for target in targets
            for prepare in prepares.values()
            for row in bench.judge_photographs(target, prepare)
        ),
    ]
    row = next(row for row in judged_by.leaderboard if row.candidate == judges[0].candidate)
    found = JudgementRecord(
        key=key, generators=tuple(ref.identity for ref in refs), study=judged_by.name, candidate=row.candidate,
        metric=judged_by.metric, score=row.score or 0.0, networks=len(judges), size_px=next(iter(prepares)),
        pictures=tuple(pictures),
    )  # fmt: skip
    found.save(path)
    return found


@dataclass(frozen=True)
class Bench:
    """The finished networks of the final detector, and the pictures that each of them had held out."""

    workspace: Workspace
    """Of the detector's study."""
    jobs: tuple[Job, ...]
    """One a network."""

    @classmethod
    def open(
        cls, folder: StudyFolder, record: StudyRecord, refs: Sequence[RunRef], asked_by: Workspace
    ) -> Bench:  # fmt: skip
        """Open the study of the detector.

        Raises:
            EtudeError: if its pictures or a network cannot be had.
        """
        opened = OpenedRun(folder, record, refs[0], asked_by.base, asked_by.watch, asked_by.device)
        candidate = opened.candidate(refs[0].candidate)
        orders = [Order(ref.candidate, ref.seed, ref.fold, ref.identity) for ref in refs]
        jobs = [make_job(opened.workspace, candidate, order) for order in orders]
        return cls(opened.workspace, tuple(jobs))

    def judge(self, pictures_NHWC: Pixels, target: int) -> tuple[Floats, Floats]:
        """Ask every network about pictures.

        Returns:
            For each picture the share of networks that call it the class (N,), and the mean probability of it (N,).
        """
        answers = [self._ask(job, pictures_NHWC, target) for job in self.jobs]
        called, sure = (np.mean([answer[at] for answer in answers], axis=0) for at in (0, 1))
        return called, sure

    def judge_photographs(self, target: str, prepare: Prepare) -> Iterator[JudgedPictures]:
        """Ask each network about its own test pictures, brought to the size of the generated ones first."""
        source, at = self.workspace.source, self.jobs[0].classes.index(target)
        sums_N2, counts_N = np.zeros((len(source.items.ids), 2)), np.zeros(len(source.items.ids))
        for job in self.jobs:
            indices_N = job.parts("test").indices_N
            small = prepare_items(source, indices_N, prepare, pictures_only=True, unreadable="skip")
            answers = self._ask(job, small.pictures_NHWC, at)
            sums_N2[small.indices_N] += np.stack(answers, axis=1)
            counts_N[small.indices_N] += 1
        is_target_N = source.items.labels == at
        kinds: tuple[tuple[Kind, npt.NDArray[np.bool_]], ...] = (("real", is_target_N), ("other", ~is_target_N))
        for kind, chosen_N in kinds:
            rows = np.flatnonzero(chosen_N & (counts_N > 0))
            if len(rows):
                means_N2 = sums_N2[rows] / counts_N[rows, None]
                yield _told(means_N2[:, 0], means_N2[:, 1], kind=kind, target=target, size_px=prepare.height_px)

    def _ask(self, job: Job, pictures_NHWC: Pixels, target: int) -> tuple[Floats, Floats]:
        """Ask one network, at its temperature and threshold."""
        from etude.train.finish import open_finished
        from etude.train.loop import predict

        run, fitted = open_finished(job, self.workspace.folder.run(job.identity))
        count = len(pictures_NHWC)
        fitting = np.stack([prepare_picture(picture, job.prepare) for picture in pictures_NHWC])
        unknown_N = np.zeros(count, np.int64)
        given = PreparedSet(fitting, unknown_N, None, np.arange(count))
        asked = Predictions(np.arange(count).astype(str), Part.TEST, unknown_N, predict(fitted, job, given))
        answers = Adjustment(run.temperature, run.threshold).apply(asked)
        called_N = (answers.labels == target).astype(np.float64)
        return called_N, answers.probabilities[:, target].astype(np.float64)


def _judge_candidate(
    workspace: Workspace, candidate: Candidate, refs: Sequence[RunRef], bench: Bench, targets: Mapping[str, str]
) -> Iterator[JudgedPictures]:
    """Generate with all finished runs of a candidate, and judge the pictures by the class that was asked for."""
    from etude.train.generation import generate_pictures, open_generator

    pictures: dict[str, list[Pixels]] = {}
    for ref in (ref for ref in refs if ref.candidate == candidate.name):
        job = make_job(workspace, candidate, Order(ref.candidate, ref.seed, ref.fold, ref.identity))
        model = open_generator(job, workspace.folder.run(ref.identity))
        count = min(JUDGED_EACH, job.generation.pictures)
        made_NHWC, classes_N = generate_pictures(job, model, count, derive(job.seed, "judged"))
        if classes_N is None:
            only = job.classes[0] if len(job.classes) == 1 else ""
            pictures.setdefault(only, []).append(made_NHWC)
            continue
        for label in np.unique(classes_N):
            pictures.setdefault(job.classes[label], []).append(made_NHWC[classes_N == label])
    for label, parts in pictures.items():
        for target, of in targets.items():
            if len(targets) > 1 and label not in ("", of):
                continue  # each class before the question that is about it; a detector of one class is asked of all
            called_N, sure_N = bench.judge(np.concatenate(parts), bench.jobs[0].classes.index(target))
            yield _told(
                called_N,
                sure_N,
                kind="generated",
                target=target,
                size_px=candidate.prepare.height_px,
                candidate=candidate.name,
                label=label,
            )


def _told(
    called_N: Floats, sure_N: Floats, *, kind: Kind, target: str, size_px: int, candidate: str = "", label: str = ""
) -> JudgedPictures:
    return JudgedPictures(
        kind=kind, candidate=candidate, label=label, target=target, size_px=size_px, n=len(called_N),
        called=float(called_N.mean()), called_interval=wilson(float(called_N.mean()), len(called_N)),
        confidence=float(sure_N.mean()), confidence_interval=bootstrap_interval(sure_N),
    )  # fmt: skip


def _final_refs(record: StudyRecord) -> list[RunRef]:
    """Return the finished runs of the final candidate."""
    final = final_candidate(record)
    return [ref for ref in record.runs if ref.candidate == final and ref.status == "finished"]


def _targets(known: Sequence[str], generated: Sequence[str]) -> dict[str, str]:
    """Return the classes that the judge is asked about, each with the class of the generators that it is."""
    by_name = {name.casefold(): name for name in generated}
    return {name: by_name[name.casefold()] for name in known if name.casefold() in by_name}
