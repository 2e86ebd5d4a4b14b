"""The part of the note on robustness: scores on corrupted pictures, and the class and group that suffer most."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from etude.core.class_names import rename_classes
from etude.core.robustness_record import RobustnessRecord, RunRobustness, SliceScore
from etude.evaluate.corruptions import CORRUPTIONS, SEVERITIES
from etude.report.messages import mark
from etude.report.reading import StudyResults
from etude.report.tables import Cell, Column, Table
from etude.report.words import MetricWords, Words

CORRUPTION_NAMES = {
    "noise": mark("noise"),
    "blur": mark("blur"),
    "brightness": mark("less light"),
    "jpeg": mark("JPEG of low quality"),
}
_Slices = Literal["classes", "groups"]
_WORST: dict[_Slices, str] = {
    "classes": mark(
        "{candidate}: under corruption the class {name} does worst: {corrupted} of its pictures are recognised, and "
        "{clean} as they are."
    ),
    "groups": mark(
        "{candidate}: of the groups of at least five pictures {name} does worst under corruption: {corrupted} of its "
        "pictures are recognised, and {clean} as they are."
    ),
}
"""What is said of the slice that suffers most, by kind of slice."""


@dataclass(frozen=True)
class Robustness:
    """What the note shows of robustness."""

    table: Table
    sentences: list[str]
    """Of which runs the scores are means; then for each candidate, the class and the group that suffer most."""


def gather_robustness(study: StudyResults, words: Words, metric: MetricWords) -> Robustness | None:
    """Set out `robustness.json`; none where it was not measured.

    Raises:
        MistakeError: if it cannot be read.
    """
    path = study.folder / "robustness.json"
    if not path.is_file():
        return None
    record = rename_classes(RobustnessRecord.load(path), words.called)
    candidates = {
        run.candidate: [other for other in record.runs if other.candidate == run.candidate] for run in record.runs
    }
    if not candidates:
        return None
    finished = {row.candidate: row.n_runs for row in study.record.leaderboard}
    counts = {name: (len(runs), finished.get(name, len(runs))) for name, runs in candidates.items()}
    worst = [told for name, runs in candidates.items() for told in _tell_worst(name, runs, words)]
    return Robustness(_tabulate(candidates, words, metric), [_tell_measured(counts, words), *worst])


def _tell_measured(counts: Mapping[str, tuple[int, int]], words: Words) -> str:
    """Say of how many runs the scores are means, where it is not all of them, and what corruption is taken together.

    Args:
        counts: of each candidate the runs that were measured, and those of the leaderboard.
        words: the language.
    """
    if all(measured >= finished for measured, finished in counts.values()):
        return words.say("'Under corruption' is the mean over all corruptions and severities.")
    if len(set(counts.values())) == 1:
        measured, finished = next(iter(counts.values()))
        return words.say(
            "Means of the first {n} of {of} runs of each, so the scores as they are differ a little from the "
            "leaderboard; 'under corruption' is the mean over all corruptions and severities.",
            n=words.count(measured),
            of=words.count(finished),
        )
    return words.say(
        "Means of the first runs of each ({counts}), so the scores as they are differ a little from the leaderboard; "
        "'under corruption' is the mean over all corruptions and severities.",
        counts=words.apart(f"{name} {measured}/{finished}" for name, (measured, finished) in counts.items()),
    )


def _tabulate(candidates: dict[str, list[RunRobustness]], words: Words, metric: MetricWords) -> Table:
    columns = (
        Column(words.say("candidate"), numeric=False),
        Column(words.say("corruption"), numeric=False),
        Column(words.say("as they are")),
        *(Column(str(severity), hint=words.say("severity, 1 slight to 5 strong")) for severity in SEVERITIES),
    )
    rows = []
    for name, runs in candidates.items():
        clean = statistics.fmean(run.clean for run in runs)
        for corruption in CORRUPTIONS:
            scores = [
                statistics.fmean(
                    entry.score
                    for run in runs
                    for entry in run.scores
                    if (entry.corruption, entry.severity) == (corruption, severity)
                )
                for severity in SEVERITIES
            ]
            cells = [Cell(metric.bare(value), value) for value in (clean, *scores)]
            rows.append((Cell(name), Cell(words.say(CORRUPTION_NAMES[corruption])), *cells))
    return Table(columns, tuple(rows))


def _tell_worst(candidate: str, runs: list[RunRobustness], words: Words) -> Iterable[str]:
    """Name the class and the group of which the fewest pictures are recognised under corruption."""
    for field, sentence in _WORST.items():
        worst = _worst(runs, field)
        if worst is not None:
            yield words.say(
                sentence,
                candidate=candidate,
                name=worst.name,
                corrupted=words.percent(worst.corrupted),
                clean=words.percent(worst.clean),
            )


def _worst(runs: list[RunRobustness], field: _Slices) -> SliceScore | None:
    """Return the slice with the smallest mean share under corruption over the runs that have it."""
    found: dict[str, list[SliceScore]] = {}
    for run in runs:
        for entry in getattr(run, field):
            found.setdefault(entry.name, []).append(entry)
    means = [
        SliceScore(
            name=name,
            n=sum(entry.n for entry in entries),
            clean=statistics.fmean(entry.clean for entry in entries),
            corrupted=statistics.fmean(entry.corrupted for entry in entries),
        )
        for name, entries in found.items()
    ]
    return min(means, key=lambda entry: entry.corrupted, default=None)
