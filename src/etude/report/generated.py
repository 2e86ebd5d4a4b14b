"""What the note shows of generators: samples, the nearest training pictures, and trivial generators beside them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from etude.core.generation_record import GenerationRecord
from etude.core.study_record import LeaderboardRow
from etude.figures.sheets import draw_sheets
from etude.metrics.generation import NEAR_QUANTILE
from etude.report.drawings import Artist, Drawing
from etude.report.messages import mark
from etude.report.reading import StudyResults
from etude.report.tables import ABSENT, Cell, Column, Table
from etude.report.words import METRIC_NAMES, PERCENT_METRICS, Words

TRIVIAL_WORDS = {
    "training": mark("the training pictures themselves"),
    "blurred": mark("training pictures, blurred"),
    "noise": mark("noise"),
}


@dataclass(frozen=True)
class GeneratedPictures:
    """The part of the note about generated pictures."""

    candidate: str
    features: str
    n_generated: int
    n_real: int
    samples: Drawing
    """The first run of each candidate."""
    nearest: Drawing
    """The generated pictures nearest to a training picture, of the best candidate's first run."""
    sheets: tuple[tuple[str, Drawing], ...]
    """The same sheets one by one, by candidate, the best first."""
    plain: tuple[str, ...]
    """What the measures of the best candidate say in plain words."""
    ratios: tuple[str, ...]
    """A sentence for each candidate: its score over the baseline's."""
    measures: Table
    """Candidates and trivial generators (rows), measures (columns)."""


def gather_generated(study: StudyResults, words: Words, artist: Artist) -> GeneratedPictures | None:
    """Set out what there is to see of generated pictures; none in a study of another task, or before the first run."""
    rows = [row for row in study.record.leaderboard if row.score is not None and study.runs_of(row.candidate)]
    if study.record.task != "generation" or not rows:
        return None
    first = {row.candidate: study.folder / "runs" / study.runs_of(row.candidate)[0].identity for row in rows}
    best = rows[0].candidate
    if not (first[best] / "generation.json").is_file():
        return None
    record = GenerationRecord.load(first[best] / "generation.json")
    sheets = [(name, folder / "samples" / "final.png") for name, folder in first.items()]
    return GeneratedPictures(
        candidate=best,
        features=record.features,
        n_generated=record.n_generated,
        n_real=record.n_real,
        samples=_draw("samples", words.say("Samples of each candidate, not chosen"), sheets, artist),
        nearest=_draw(
            "nearest",
            words.say("Generated pictures above the training picture that is nearest"),
            [(best, first[best] / "samples" / "nearest.png")],
            artist,
        ),
        sheets=tuple(
            (
                name,
                _draw(
                    f"samples-{place}",
                    words.say("Samples of {candidate}, not chosen", candidate=name),
                    [(name, path)],
                    artist,
                ),
            )
            for place, (name, path) in enumerate(sheets)
            if path.is_file()
        ),
        plain=tuple(tell_plainly(best, record, words)),
        ratios=tuple(_tell_ratios(study, words)),
        measures=_tabulate(study.record.metric, rows, record, words),
    )


def tell_plainly(candidate: str, record: GenerationRecord, words: Words) -> Iterator[str]:
    """Say what the measures of a candidate's first run come to, for people who do not know them."""
    say, measures = words.say, {measure.name: measure for measure in record.measures}
    trivial = {entry.name: entry.scores for entry in record.trivial}
    if "kid" in measures and {"training", "blurred", "noise"} <= trivial.keys():
        kid = measures["kid"]
        places: dict[str, object] = {name: words.significant(scores["kid"]) for name, scores in trivial.items()}
        places |= {"candidate": candidate, "kid": words.significant(kid.value)}
        yield say(
            "The KID is a distance from photographs that the generator has never seen; it is read beside what everyone "
            "could do. The training pictures themselves get {training}, blurred {blurred}, noise {noise}; {candidate} "
            "gets {kid}.",
            **places,
        )
        if kid.interval.high < trivial["blurred"]["kid"]:
            yield say("Its pictures are nearer to photographs than blurred photographs are.")
        elif kid.interval.low > trivial["noise"]["kid"]:
            yield say("Its pictures are further from photographs than noise is: nothing was learnt.")
        elif kid.interval.low > trivial["blurred"]["kid"]:
            yield say(
                "Its pictures are further from photographs than blurred photographs are: one sees that they are made."
            )
    if "coverage" in measures:
        share = words.percent(measures["coverage"].value, 0)
        yield say(
            "Of the held-out photographs, {share} have a generated picture near them: that much of the variety is "
            "there.",
            share=share,
        )
    if "near_copies" in measures:
        copies = measures["near_copies"]
        share = words.percent(copies.value, 0)
        if copies.interval.low > NEAR_QUANTILE:
            yield say(
                "{share} of its pictures lie as near to one training picture, beside the next ones, as 5% of "
                "photographs do: it copies.",
                share=share,
            )
        else:
            yield say(
                "{share} of its pictures lie as near to one training picture, beside the next ones, as 5% of "
                "photographs do: that it copies was not shown.",
                share=share,
            )


def _tell_ratios(study: StudyResults, words: Words) -> Iterator[str]:
    for verdict in study.record.verdicts:
        if verdict.ratio is None:
            continue
        low, high = verdict.ratio.interval.low, verdict.ratio.interval.high
        yield words.say(
            "The {metric} of {candidate} is {ratio} times that of {baseline} (95% over pictures: {low} to {high}).",
            metric=words.say(METRIC_NAMES.get(verdict.metric, verdict.metric)),
            candidate=verdict.candidate,
            baseline=verdict.baseline,
            ratio=words.number(verdict.ratio.value, 2),
            low=words.number(low, 2),
            high=words.number(high, 2),
        )


def _draw(name: str, label: str, sheets: list[tuple[str, Path]], artist: Artist) -> Drawing:
    found = [(caption, _read(path)) for caption, path in sheets if path.is_file()]
    return artist.draw_twice(name, label, lambda width_in: draw_sheets(found, width_in=width_in))


def _read(path: Path) -> npt.NDArray[np.uint8]:
    from PIL import Image

    return np.asarray(Image.open(path).convert("RGB"))


def _tabulate(metric: str, rows: list[LeaderboardRow], record: GenerationRecord, words: Words) -> Table:
    """Set the candidates' means beside the trivial generators of one run."""
    names = [metric, *rows[0].also]
    columns = (
        Column(words.say("generator"), numeric=False),
        *(Column(words.say(METRIC_NAMES.get(name, name))) for name in names),
    )
    body = [(row.candidate, {metric: row.score, **row.also}) for row in rows]
    body += [(words.say(TRIVIAL_WORDS[one.name]), dict(one.scores)) for one in record.trivial]
    return Table(columns, tuple((Cell(name), *(_cell(of.get(key), key, words) for key in names)) for name, of in body))


def _cell(value: float | None, metric: str, words: Words) -> Cell:
    if value is None:
        return Cell(ABSENT)
    return Cell(words.percent(value) if metric in PERCENT_METRICS else words.significant(value), value)
