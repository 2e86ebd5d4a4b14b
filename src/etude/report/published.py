"""What others published, beside a leaderboard: a small table, and the sentence that says how to read it."""

from __future__ import annotations

from dataclasses import dataclass

from etude.core.published import PublishedValue
from etude.core.study_record import StudyRecord
from etude.core.translated import in_language
from etude.report.tables import Cell, Column, Table
from etude.report.words import METRIC_NAMES, MetricWords, Words


@dataclass(frozen=True)
class PublishedPart:
    """What a report shows of values that others published."""

    told: str
    """Whose they are, and that nothing was compared with them."""
    table: Table
    """Each value with its conditions and its source."""
    caption: str
    """What the table holds."""


def gather_published(record: StudyRecord, words: Words) -> PublishedPart | None:
    """Set out what others published of this source; none where the study states nothing of it."""
    if not record.published_here:
        return None
    return PublishedPart(
        words.say(
            "These values were measured by others under the conditions named, on other pictures, splits or budgets "
            "than this study's: no verdict compares with them."
        ),
        _tabulate(record.published_here, words),
        words.say("What others reached, and under which conditions."),
    )


def _tabulate(entries: tuple[PublishedValue, ...], words: Words) -> Table:
    """Set out each value; a metric that all of them share stands in the head of its column."""
    say, language = words.say, words.language
    metrics = [_head_metric(entry, words) for entry in entries]
    is_shared = len(set(metrics)) == 1
    columns = (
        Column(say("name"), numeric=False),
        *(() if is_shared else (Column(say("metric"), numeric=False),)),
        Column(metrics[0] if is_shared else say("value")),
        Column(say("measured on"), numeric=False),
        Column(say("source"), numeric=False),
    )
    body = tuple(
        (
            Cell(in_language(entry.name, language)),
            *(() if is_shared else (Cell(metric),)),
            Cell(_write_value(entry, words), entry.ends[0]),
            Cell(in_language(entry.measured_on, language)),
            Cell(in_language(entry.source, language), link=entry.url),
        )
        for entry, metric in zip(entries, metrics, strict=True)
    )
    return Table(columns, body)


def _metric_of(entry: PublishedValue, words: Words) -> MetricWords | None:
    """Return how the values of one of our metrics are written; none for another one."""
    known = isinstance(entry.metric, str) and entry.metric in METRIC_NAMES
    return MetricWords(words, str(entry.metric)) if known else None


def _head_metric(entry: PublishedValue, words: Words) -> str:
    """Name a metric with its unit; one that is not ours as it was given."""
    metric = _metric_of(entry, words)
    return metric.heading if metric else in_language(entry.metric, words.language)


def _write_value(entry: PublishedValue, words: Words) -> str:
    """Write a value or a range with the decimals that it was published with, no more; and its deviation."""
    metric = _metric_of(entry, words)
    write = metric.tick if metric else words.tick
    ends = [write(end) for end in entry.ends]
    told = words.say("{low} to {high}", low=ends[0], high=ends[1]) if len(ends) > 1 else ends[0]
    return told if entry.spread is None else f"{told}\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}{write(entry.spread)}"
