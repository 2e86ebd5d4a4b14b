"""Reading what a study left behind: its records, histories, predictions and data check."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from etude.core.class_names import rename_classes
from etude.core.errors import MistakeError
from etude.core.run_record import Epoch, RunRecord
from etude.core.study_record import RunRef, StudyRecord
from etude.core.translated import in_language
from etude.core.words import Part
from etude.report.class_names import call_classes_in
from etude.report.recorded import tell_finding
from etude.report.words import Words

_NOT_COMPARED = (
    "Near duplicates were not looked for",
    "The pictures were not opened",
    "The search for near duplicates",
)
"""Beginnings of what the data check tells where it did not compare all pictures."""


@dataclass(frozen=True)
class Finding:
    """One thing that the data check found."""

    sentence: str
    """What was found."""
    kind: str = ""
    """Name of the check."""
    count: int | None = None
    """Pictures concerned, where the check counts them."""
    severity: str = ""
    """error, warning or note; empty where the check did not tell."""


@dataclass(frozen=True)
class StudyResults:
    """A study's folder, read."""

    folder: Path
    record: StudyRecord
    runs: dict[str, RunRecord]
    """Finished runs by identity."""
    histories: dict[str, list[Epoch]]
    """Epochs by identity, of every run that has begun."""
    findings: tuple[Finding, ...] | None
    """What the data check found; none where the data were not checked."""
    sizes: dict[str, int] = field(default_factory=dict)
    """Pictures by size, such as 64x48 (width × height), the most frequent ones; empty where they were not checked."""
    twins_sought: bool = True
    """Whether the data check compared all pictures with each other, near twins and parts of others included."""
    class_names: dict[str, str] = field(default_factory=dict)
    """What classes are called in the records here, by their own names; those that keep theirs are not there."""

    def called(self, name: str) -> str:
        """Return what a class is called here; any other text as it is."""
        return self.class_names.get(name, name)

    def runs_of(self, candidate: str) -> list[RunRecord]:
        """Return the finished runs of a candidate, in the order of the plan."""
        # A run was trained under the name, seed and fold that it had then: a candidate may have been renamed since.
        return [
            self.runs[ref.identity].model_copy(update={"candidate": ref.candidate, "seed": ref.seed, "fold": ref.fold})
            for ref in self._refs_of(candidate)
            if ref.identity in self.runs
        ]

    def histories_of(self, candidate: str) -> list[list[Epoch]]:
        """Return the histories of a candidate's runs that have one, failed ones included."""
        return [self.histories[ref.identity] for ref in self._refs_of(candidate) if self.histories.get(ref.identity)]

    def _refs_of(self, candidate: str) -> Iterator[RunRef]:
        return (ref for ref in self.record.runs if ref.candidate == candidate)

    def count_answers(self, candidate: str) -> np.ndarray | None:
        """Return the confusion matrix of a candidate on the test part, summed over its runs; of masks, in pixels.

        Returns:
            int64 (K, K), true class × answer; None where no run of it left predictions.
        """
        from etude.evaluate.answers import read_answers
        from etude.evaluate.mask_counts import MaskCounts
        from etude.evaluate.predictions import Predictions
        from etude.metrics.confusion import confusion_matrix

        total: np.ndarray | None = None
        for run in self.runs_of(candidate):
            path = self.folder / "runs" / run.identity / "predictions.parquet"
            if not path.is_file():
                continue
            answers = read_answers(path, Part.TEST)
            if isinstance(answers, MaskCounts):
                counts_KK = answers.confusions.sum(0)
            elif not isinstance(answers, Predictions):
                return None
            else:
                counts_KK = confusion_matrix(answers.truth, answers.labels, answers.n_classes)
            total = counts_KK if total is None else total + counts_KK
        return total


def read_study(folder: Path, language: str = "") -> StudyResults:
    """Read a study's folder.

    Args:
        folder: what `etude run` left.
        language: of the question, where the study asks it in several, of the findings and of the classes' names; none:
            as recorded.

    Raises:
        MistakeError: if there is no study in it, or a record of it cannot be read.
    """
    path = folder / "study.json"
    if not path.is_file():
        raise MistakeError(f"{folder}: holds no study.json. Give the folder that `etude run` left, under results/.")
    record = StudyRecord.load(path)
    record = record.model_copy(
        update={"question": in_language(record.questions, language) if record.questions else record.question}
    )
    names = call_classes_in(record, language) if language else {}
    runs: dict[str, RunRecord] = {}
    histories: dict[str, list[Epoch]] = {}
    for ref in record.runs:
        run_folder = folder / "runs" / ref.identity
        if ref.status == "finished" and (run_folder / "run.json").is_file():
            runs[ref.identity] = RunRecord.load(run_folder / "run.json")
        if (run_folder / "history.jsonl").is_file():
            histories[ref.identity] = read_history(run_folder / "history.jsonl")
    findings, sizes, twins_sought = _read_check(folder / "check.json")
    if language:
        words = Words(language, names)
        record = rename_classes(record, words.called)
        runs = {identity: rename_classes(run, words.called) for identity, run in runs.items()}
        findings = findings and tuple(_in_language(finding, words) for finding in findings)
    return StudyResults(folder, record, runs, histories, findings, sizes, twins_sought, names)


def read_results(folder: Path, language: str) -> tuple[StudyResults, Words]:
    """Read a study's folder for a report, with the words of a language, which know what its classes are called.

    Raises:
        MistakeError: as `read_study`, or if the language is unknown.
    """
    study = read_study(folder, language)
    return study, Words(language, study.class_names)


def _in_language(finding: Finding, words: Words) -> Finding:
    return replace(finding, sentence=tell_finding(finding.sentence, finding.kind, finding.count, words))


def read_versions(study: StudyResults) -> dict[str, str]:
    """Return the versions of the libraries that the study was made with, local parts cut off: those of its last run."""
    runs = sorted(study.runs.values(), key=lambda run: run.finished_at)
    recorded = study.record.versions or (runs[-1].versions if runs else {})
    return {name: version.split("+")[0] for name, version in recorded.items()}


def read_history(path: Path) -> list[Epoch]:
    """Read the epochs of a run; a last line that was cut by a crash is left out.

    Raises:
        MistakeError: if another line is not an epoch.
    """
    lines = path.read_text("utf-8").splitlines()
    epochs: list[Epoch] = []
    for number, line in enumerate(lines, 1):
        try:
            epochs.append(Epoch.model_validate_json(line))
        except ValidationError as error:
            if number < len(lines):
                raise MistakeError(f"{path}: line {number} is not an epoch ({error.error_count()} faults).") from error
    return epochs


def _read_check(path: Path) -> tuple[tuple[Finding, ...] | None, dict[str, int], bool]:
    """Read what the data check found, how large the pictures are, and whether near twins were looked for."""
    if not path.is_file():
        return None, {}, False
    try:
        content = json.loads(path.read_bytes())
        whole = content if isinstance(content, dict) else {"findings": content}
        findings = tuple(_read_finding(entry) for entry in whole["findings"])
        sizes = {str(size): int(n) for size, n in whole.get("sizes", {}).items()}
        return (
            findings,
            sizes,
            not any(str(left_out).startswith(_NOT_COMPARED) for left_out in whole.get("skipped", ())),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise MistakeError(f"{path}: cannot be read as a data check ({error}).") from error


def _read_finding(entry: str | dict[str, Any]) -> Finding:
    """Read one finding."""
    if isinstance(entry, str):
        return Finding(entry)
    return Finding(
        str(entry["sentence"]), str(entry.get("kind", "")), entry.get("count"), str(entry.get("severity", ""))
    )
