"""Studies side by side: one leaderboard, and verdicts where they were made on the very same split."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from etude.core.errors import MistakeError, sentence
from etude.core.generation_record import GENERATION_FILE, GenerationRecord
from etude.core.records import Config
from etude.core.registry import nearest
from etude.core.study_record import LeaderboardRow, StudyRecord, Verdict
from etude.evaluate.leaderboard import leaderboard_row
from etude.evaluate.run_result import RunResult
from etude.evaluate.scores import metric_of
from etude.evaluate.verdicts import compare
from etude.metrics.statistics import AutoSeeds
from etude.study.folder import StudyFolder
from etude.study.summary import flatten_row, load_runs, table_csv


class StudyComparison(Config):
    """Several studies side by side; candidates are named STUDY/CANDIDATE."""

    name: str
    """Names of the studies."""
    metric: str
    """The metric that ranks and compares."""
    baseline: str
    """What the candidates of the other studies are compared with."""
    leaderboard: tuple[LeaderboardRow, ...]
    """The rows of all studies, best first."""
    verdicts: tuple[Verdict, ...]
    """One comparison for each candidate of another study on the same split."""
    notes: tuple[str, ...] = ()
    """What was not compared, and why."""

    def csv(self) -> str:
        """Return the leaderboard as CSV, the study in a column of its own."""
        rows = []
        for row in self.leaderboard:
            study, _, candidate = row.candidate.partition("/")
            rows.append({"study": study, **flatten_row(row), "candidate": candidate})
        return table_csv(rows)


@dataclass(frozen=True)
class _Opened:
    """One study, read."""

    label: str
    record: StudyRecord
    runs: dict[str, list[RunResult]]
    split: tuple[str, ...]
    """What two studies must share to be compared: pictures, labels, classes and parts."""
    measured: frozenset[tuple[object, ...]] = frozenset()
    """Of generators, over which features of what weights, normalised how, how many pictures were measured, by what
    nearness and the rules of which format of the record."""
    sizes: frozenset[str] = frozenset()
    """Of generators, the sizes of their pictures, beside photographs of which they were measured."""


def compare_studies(
    folders: Sequence[StudyFolder], *, metric: str | None = None, baseline: str | None = None
) -> StudyComparison:
    """Set studies side by side.

    Each candidate of the other studies is compared with the baseline over the seeds and folds that both have, where
    pictures, classes and split are the same; Holm's correction goes over all of these comparisons.

    Args:
        folders: the studies' folders, two or more.
        metric: the metric that ranks and compares; that of the first study by default.
        baseline: STUDY/CANDIDATE; the baseline of the first study by default.

    Raises:
        MistakeError: if a folder holds no study, a name is unknown, or there are fewer than two studies.
        DataError: if a score does not exist.
    """
    if len(folders) < 2:
        raise MistakeError(sentence("compare", "studies", "two or more", len(folders), "Name another study."))
    opened = [_open(folder, label) for folder, label in zip(folders, _labels(folders), strict=True)]
    metric = metric or opened[0].record.metric
    sign = -1.0 if metric_of(metric).higher_is_better else 1.0
    rows = [row for study in opened for row in _rows(study, metric)]
    home, of = _find_baseline(opened, baseline)
    verdicts, notes = _compare(opened, home, of, metric)
    return StudyComparison(
        name=", ".join(study.label for study in opened),
        metric=metric,
        baseline=f"{home.label}/{of}",
        leaderboard=tuple(sorted(rows, key=lambda row: math.inf if row.score is None else sign * row.score)),
        verdicts=tuple(verdicts),
        notes=tuple(notes),
    )


def _labels(folders: Sequence[StudyFolder]) -> list[str]:
    """Name the studies by their folders, with the folder above where two have one name."""
    names = [folder.root.name for folder in folders]
    return [
        name if names.count(name) == 1 else f"{folder.root.resolve().parent.name}:{name}"
        for name, folder in zip(names, folders, strict=True)
    ]


def _open(folder: StudyFolder, label: str) -> _Opened:
    record = folder.load_study()
    names = list(dict.fromkeys(ref.candidate for ref in record.runs))
    runs = load_runs(folder, record.runs, names)
    split = (*_data_and_split(folder, record, runs), *record.classes)
    if record.task != "generation":
        return _Opened(label, record, runs, split)
    records = [run.record for entries in runs.values() for run in entries]
    found = [GenerationRecord.load(folder.run(one.identity) / GENERATION_FILE) for one in records]
    measured = frozenset(
        (one.features, one.weights, one.statistics, one.n_generated, one.near_by, one.format) for one in found
    )
    sizes = frozenset(str(one.config.get("prepare", {}).get("size_px")) for one in records)
    return _Opened(label, record, runs, split, measured, sizes)


def _data_and_split(
    folder: StudyFolder, record: StudyRecord, runs: Mapping[str, list[RunResult]]
) -> tuple[str, ...]:  # fmt: skip
    """Return the hashes of pictures and split; for a record of an earlier version from the files beside it."""
    if record.split_digests:
        return (record.data_fingerprint, *record.split_digests)
    configs = [run.record.config for entries in runs.values() for run in entries]
    data = configs[0].get("data", {}).get("fingerprint", folder.root.name) if configs else folder.root.name
    beside = folder.split.with_suffix(".json")
    digests = json.loads(beside.read_text())["digests"] if beside.exists() else [str(folder.root)]
    return (data, *digests)


def _rows(study: _Opened, metric: str) -> list[LeaderboardRow]:
    """Return the rows of a study under their long names, scored anew where the study has another metric."""
    if metric == study.record.metric:
        rows = list(study.record.leaderboard)
    else:
        rows = [leaderboard_row(name, runs, metric) for name, runs in study.runs.items()]
    return [row.model_copy(update={"candidate": f"{study.label}/{row.candidate}"}) for row in rows]


def _find_baseline(opened: Sequence[_Opened], asked: str | None) -> tuple[_Opened, str]:
    """Return the study and the candidate that the others are compared with."""
    known = {f"{study.label}/{name}": (study, name) for study in opened for name in study.runs}
    first = opened[0]
    asked = asked or f"{first.label}/{first.record.baseline}"
    if asked not in known:
        close = nearest(asked, list(known))
        hint = f"Did you mean {close[0]!r}?" if close else "Give STUDY/CANDIDATE with --baseline."
        raise MistakeError(f"compare: there is no candidate {asked!r} in these studies. {hint}")
    return known[asked]


def _compare(opened: Sequence[_Opened], home: _Opened, of: str, metric: str) -> tuple[list[Verdict], list[str]]:
    """Compare the candidates of the other studies with the baseline; say what could not be compared."""
    baseline = f"{home.label}/{of}"
    sides = {baseline: home.runs[of]}
    notes = []
    own = {run.record.identity for run in home.runs[of]}
    for study in opened:
        if study is home:
            continue
        if study.split != home.split:
            notes.append(f"{study.label}: no verdict against {baseline}, as its pictures or its split are others.")
            continue
        if study.sizes != home.sizes:
            notes.append(f"{study.label}: no verdict against {baseline}, as its pictures are of another size.")
            continue
        if study.measured != home.measured:
            notes.append(
                f"{study.label}: no verdict against {baseline}, as its pictures were measured otherwise. `etude run` "
                f"measures finished runs again and trains nothing."
            )
            continue
        for name, runs in study.runs.items():
            if runs and {run.record.identity for run in runs} <= own:
                notes.append(f"{study.label}/{name}: is the same training as {baseline}.")
            else:
                sides[f"{study.label}/{name}"] = runs
    return compare(sides, baseline, metric, auto=_auto(opened, sides)), notes


def _auto(opened: Sequence[_Opened], sides: Mapping[str, Sequence[RunResult]]) -> AutoSeeds | None:
    """Return the rule that allows for looking, where the seeds of any study were added while looking."""
    rules = [study.record.config.get("protocol", {}).get("seeds") for study in opened]
    plans = [(rule["first"], rule["most"]) for rule in rules if isinstance(rule, dict)]
    if not plans:
        return None
    n_seeds = max((len({run.record.seed for run in runs}) for runs in sides.values()), default=0)
    return AutoSeeds(min(first for first, _ in plans), max(n_seeds, *(most for _, most in plans)))
