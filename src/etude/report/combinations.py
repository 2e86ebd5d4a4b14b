"""The part of the note on the best score possible: what several answers, networks or epochs together gain and cost."""

from __future__ import annotations

from dataclasses import dataclass

from etude.core.study_record import Combination, LeaderboardRow, StudyRecord, VerdictWord
from etude.report.messages import mark
from etude.report.sentences import VERDICT_WORDS, Teller
from etude.report.tables import ABSENT, Cell, Column, Table, tell_latency
from etude.report.words import MetricWords, Words

VIEW_WORDS = {
    "flip": mark("answers to the picture and its mirror image"),
    "shifts": mark("answers to the picture and four small moves of it"),
    "flip-shifts": mark("answers to the picture, its mirror image and small moves of both"),
}


@dataclass(frozen=True)
class CombinedPart:
    """What a report shows of combinations."""

    told: str
    """What is compared here."""
    sentences: list[tuple[VerdictWord, str]]
    """Each gain: its verdict, and the sentence."""
    table: Table
    """What is averaged, its gain and its cost, beside what is combined."""
    caption: str
    """What the table holds."""


def gather_combinations(record: StudyRecord, words: Words, metric: MetricWords, teller: Teller) -> CombinedPart | None:
    """Set out the candidates that combine trainings of others; none where no such candidate has a run."""
    rows = {row.candidate: row for row in record.leaderboard if row.score is not None}
    known = [entry for entry in record.combinations if entry.candidate in rows and entry.of in rows]
    if not known:
        return None
    verdicts = [record.verdict_between(entry.candidate, entry.of) for entry in known]
    sentences = [(verdict.verdict, teller.tell_verdict(verdict)) for verdict in verdicts if verdict is not None]
    return CombinedPart(
        words.say(
            "What several answers, networks or epochs together gain over one network that answers once, and what that "
            "costs for each picture."
        ),
        sentences,
        _tabulate(known, rows, record, words, metric),
        words.say("Combined candidates, each below the one that it combines, which is set off."),
    )


def _tabulate(
    known: list[Combination],
    rows: dict[str, LeaderboardRow],
    record: StudyRecord,
    words: Words,
    metric: MetricWords,
) -> Table:
    """Set out each combined candidate below the one that it combines."""
    say = words.say
    columns = (
        Column(say("candidate"), numeric=False),
        Column(say("what is averaged"), numeric=False),
        Column(metric.heading, hint=say("mean on the test part")),
        Column(metric.gain_heading),
        Column(say("95% interval")),
        Column(say("verdict"), numeric=False),
        Column(say("latency (ms)"), hint=say("one picture, in this process")),
        Column(say("training time"), hint=say("mean of a run")),
        Column(say("size (MB)"), hint=say("weights")),
    )
    body: list[tuple[Cell, ...]] = []
    marked = set[int]()
    for of in dict.fromkeys(entry.of for entry in known):
        marked.add(len(body))
        body.append(_row(rows[of], ABSENT, (ABSENT, ABSENT, ABSENT), words, metric))
        for entry in (entry for entry in known if entry.of == of):
            verdict = record.verdict_between(entry.candidate, of)
            told = (ABSENT, ABSENT, ABSENT) if verdict is None else (
                metric.signed(verdict.gain),
                metric.interval(verdict.low, verdict.high) or ABSENT,
                say(VERDICT_WORDS[verdict.verdict]),
            )  # fmt: skip
            body.append(_row(rows[entry.candidate], tell_combined(entry, words), told, words, metric))
    return Table(columns, tuple(body), frozenset(marked))


def _row(
    row: LeaderboardRow, combined: str, gain: tuple[str, str, str], words: Words, metric: MetricWords
) -> tuple[Cell, ...]:
    costs = (
        (row.seconds, words.duration),
        (row.size_mb, words.significant),
    )
    return (
        Cell(row.candidate),
        Cell(combined),
        Cell(metric.bare(row.score or 0.0), row.score),
        *(Cell(text) for text in gain),
        Cell(tell_latency(row, words) or ABSENT, row.latency_ms),
        *(Cell(ABSENT if value is None else write(value), value) for value, write in costs),
    )


def tell_combined(entry: Combination, words: Words) -> str:
    """Say what a combined candidate averages."""
    given, told = entry.combine, []
    if (count := given.get("members")) is not None:
        if given.get("average") == "weights":
            told.append(words.say("weights of {count} networks of other seeds", count=words.count(count)))
        else:
            told.append(words.say("answers of {count} networks of other seeds", count=words.count(count)))
    if (count := given.get("folds")) is not None:
        told.append(words.say("answers of {count} networks over folds", count=words.count(count)))
    if (count := given.get("last_epochs")) is not None:
        told.append(words.say("weights after the last {count} epochs", count=words.count(count)))
    if (views := VIEW_WORDS.get(given.get("tta", ""))) is not None:
        told.append(words.say(views))
    if given.get("windows") == "sliding":
        told.append(words.say("answers of overlapping windows"))
    return words.listing(told)
