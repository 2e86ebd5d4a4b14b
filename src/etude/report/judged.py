"""What the note shows of a detector's judgement on generated pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from etude.core.class_names import rename_classes
from etude.core.interval import Interval
from etude.core.judgement_record import JUDGEMENT_FILE, JudgedPictures, JudgementRecord
from etude.report.reading import StudyResults
from etude.report.tables import Cell, Column, Table
from etude.report.words import MetricWords, Words


@dataclass(frozen=True)
class Judged:
    """The judgement, in a sentence and a table."""

    told: str
    """Who judges, and how good that one is."""
    plain: list[str]
    """What came of it for each generator, in a sentence beside photographs."""
    table: Table
    """Generated pictures by candidate, then photographs (rows)."""
    caption: str
    """What the table holds."""
    caution: str
    """How far the judgement is to be trusted."""


def gather_judged(study: StudyResults, words: Words) -> Judged | None:
    """Set out `judgement.json`; none where no detector was asked.

    Raises:
        MistakeError: if it cannot be read.
    """
    path = study.folder / JUDGEMENT_FILE
    if not path.is_file():
        return None
    record = rename_classes(JudgementRecord.load(path), words.called)
    missing = _unjudged(study, record, words)
    metric = MetricWords(words, record.metric, [])
    sizes = sorted({pictures.size_px for pictures in record.pictures if pictures.size_px is not None})
    told = words.say_count(
        "{n} finished network of {candidate}, the final candidate of the study {study}, is asked; its {metric} on its "
        "own test pictures is {score}. Photographs are brought to {size} px first.",
        "{n} finished networks of {candidate}, the final candidate of the study {study}, are asked; their mean "
        "{metric} on their own test pictures is {score}. Photographs are brought to {size} px first.",
        record.networks,
        candidate=record.candidate,
        study=record.study,
        metric=metric.name,
        score=metric.score(record.score),
        size=words.listing(str(size) for size in sizes or [record.size_px]),
    )
    columns = (
        Column(words.say("pictures"), numeric=False),
        Column(words.say("number")),
        Column(words.say("asked about"), numeric=False),
        Column(words.say("called so")),
        Column(words.say("probability")),
    )
    return Judged(
        f"{told} {missing}".rstrip(),
        list(_tell_plainly(record, words)),
        Table(columns, tuple(_row(pictures, words, with_size=len(sizes) > 1) for pictures in record.pictures)),
        words.say(
            "How many pictures are called what was asked about, and with what mean probability; 95% intervals over "
            "the pictures of these very generators. Photographs are answered by networks that did not learn from them, "
            "after they were brought to the size of the generated pictures."
        ),
        words.say(
            "A detector may have learnt from the photographs that the generator learnt from: what is copied from them "
            "it knows. And it was never shown a generated picture: it says what looks like its class to it, not what "
            "would to a person."
        ),
    )


def _unjudged(study: StudyResults, record: JudgementRecord, words: Words) -> str:
    """Say that runs were finished after the judgement; empty where all were judged, or it is not known which were."""
    finished = {ref.identity for ref in study.record.runs if ref.status == "finished"}
    judged = finished & set(record.generators)
    if not record.generators or judged == finished:
        return ""
    return words.say(
        "It was asked about {n} of the {of} finished generators: `etude run` with the judge asks about all.",
        n=words.count(len(judged)),
        of=words.count(len(finished)),
    )


def _tell_plainly(record: JudgementRecord, words: Words) -> Iterator[str]:
    """Say of each generator how often it is taken for the class, beside photographs of it and of others."""
    photographs = {(one.kind, one.target, one.size_px): one for one in record.pictures if one.kind != "generated"}
    for made in record.pictures:
        real, other = (photographs.get((kind, made.target, made.size_px)) for kind in ("real", "other"))
        if made.kind != "generated" or real is None or other is None:
            continue
        told = words.say(
            "Of the pictures of {generator}, {share} are called {target}; of photographs of that class {real} are, of "
            "photographs of others {other}.",
            generator=f"{made.label}, {made.candidate}" if made.label else made.candidate,
            share=words.percent(made.called, 0),
            target=made.target,
            real=words.percent(real.called, 0),
            other=words.percent(other.called, 0),
        )
        if made.called_interval.low <= other.called_interval.high:
            told += " " + words.say("It was not shown that they are called so more often than photographs of others.")
        elif made.called_interval.high < real.called_interval.low:
            told += " " + words.say("That is more often than photographs of others, and less often than those of it.")
        else:
            told += " " + words.say(
                "That is more often than photographs of others; it was not shown that it is less often than those of "
                "it."
            )
        yield told


def _row(pictures: JudgedPictures, words: Words, *, with_size: bool) -> tuple[Cell, ...]:
    name = _name(pictures, words)
    return (
        Cell(f"{name}, {pictures.size_px} px" if with_size else name),
        Cell(words.count(pictures.n), pictures.n),
        Cell(pictures.target),
        _cell(pictures.called, pictures.called_interval, words),
        _cell(pictures.confidence, pictures.confidence_interval, words),
    )


def _name(pictures: JudgedPictures, words: Words) -> str:
    if pictures.kind == "real":
        return words.say("photographs of that class")
    if pictures.kind == "other":
        return words.say("photographs of others")
    if pictures.label:
        return words.say("{label}, generated by {candidate}", label=pictures.label, candidate=pictures.candidate)
    return words.say("generated by {candidate}", candidate=pictures.candidate)


def _cell(value: float, interval: Interval, words: Words) -> Cell:
    ends = words.interval(words.percent(interval.low), words.percent(interval.high))
    return Cell(f"{words.percent(value)} {ends}", value)
