"""What reports show of generators: samples, the nearest training pictures, and trivial generators beside them."""

from __future__ import annotations

import base64
import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from etude.core.generation_record import GENERATION_FILE, GenerationRecord
from etude.core.interval import Interval
from etude.core.study_record import LeaderboardRow
from etude.figures.sheets import draw_sheets
from etude.metrics.generation import GENERATION_METRICS, NEAR_COPIES
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

_MOST_BYTES: Final = 4_000_000
"""Of a film that a note takes in."""


@dataclass(frozen=True)
class GeneratedPictures:
    """The part of a report about generated pictures."""

    candidate: str
    features: str
    """What the measures are over."""
    n_generated: int
    n_real: str
    """Held-out photographs of a run; of folds of several sizes the fewest and the most."""
    samples: Drawing
    """The first run of each candidate."""
    nearest: Drawing
    """The generated pictures nearest to a training picture, of the best candidate's first run."""
    film: str
    """The best candidate's film from sample to sample, of its first run, as a data URI of a GIF; empty without one."""
    sheets: tuple[tuple[str, Drawing], ...]
    """The same sheets one by one, by candidate, the best first."""
    plain: tuple[str, ...]
    """What the measures say in plain words: of what everyone could do, then of each candidate, the best first."""
    ratios: tuple[str, ...]
    """A sentence for each candidate: its score over the baseline's."""
    measures: Table
    """Candidates and trivial generators (rows), measures (columns)."""
    training: Table
    """The same measures against the training pictures, and how near to them the generated ones lie."""
    training_told: str
    """What that table holds and how it is read."""
    classes: Table | None
    """Measures by class of conditional generators; none where there is none."""


@dataclass(frozen=True)
class Measured:
    """A candidate as it was measured, its runs taken together."""

    candidate: str
    values: dict[str, float]
    """Mean over the runs of each measure against held-out pictures."""
    intervals: dict[str, Interval]
    """95 % interval over the held-out pictures of all runs, of the measures that have one."""
    photographs: Interval | None
    """Between what ends its share of near copies would lie if it gave fresh photographs; none where nobody counted."""
    records: tuple[GenerationRecord, ...]
    """What was found of each run; one or more."""

    def mean(self, name: str) -> float:
        """Return the mean over the runs of a number of their records."""
        return statistics.fmean(getattr(record, name) for record in self.records)

    def trivial(self) -> dict[str, dict[str, float]]:
        """Return what trivial generators get, by generator and measure, mean over the runs."""
        found = [(one.name, one.scores) for record in self.records for one in record.trivial]
        return {
            name: _mean_each([scores for other, scores in found if other == name])
            for name in dict.fromkeys(name for name, _ in found)
        }

    def trivial_intervals(self, name: str) -> dict[str, Interval]:
        """Return the intervals of a trivial generator by measure, their ends the means over the runs.

        Pictures differ from fold to fold, so the interval of the mean is narrower: these are on the safe side.
        """
        found = [one.intervals for record in self.records for one in record.trivial if one.name == name]
        shared = [metric for metric in found[0] if all(metric in entry for entry in found)] if found else []
        return {
            metric: Interval(
                low=statistics.fmean(entry[metric].low for entry in found),
                high=statistics.fmean(entry[metric].high for entry in found),
            )
            for metric in shared
        }

    def trivial_count(self, name: str) -> float | None:
        """Return how many pictures of a trivial generator were measured, mean over the runs; none if unknown."""
        counts = [one.n for record in self.records for one in record.trivial if one.name == name and one.n is not None]
        return statistics.fmean(counts) if counts else None

    def against_training(self) -> dict[str, float]:
        """Return the measures against the training pictures, mean over the runs."""
        return _mean_each(
            [
                {one.name: one.against_training for one in record.measures if one.against_training is not None}
                for record in self.records
            ]
        )

    def classes(self) -> dict[str, dict[str, float]]:
        """Return the measures by class, mean over the runs that have it; nothing where classes were not asked for."""
        names = dict.fromkeys(name for record in self.records for name in record.classes)
        return {
            name: _mean_each([record.classes[name] for record in self.records if name in record.classes])
            for name in names
        }


def gather_generated(study: StudyResults, words: Words, artist: Artist) -> GeneratedPictures | None:
    """Set out what there is to see of generated pictures; none in a study of another task, or before the first run.

    Raises:
        MistakeError: if a record cannot be read.
    """
    if study.record.task != "generation":
        return None
    rows = [row for row in study.record.leaderboard if row.score is not None]
    found = [one for row in rows if (one := _read_measured(study, row)) is not None]
    if not found:
        return None
    best = found[0]
    first = {one.candidate: study.folder / "runs" / study.runs_of(one.candidate)[0].identity for one in found}
    sheets = [(name, folder / "samples" / "final.png") for name, folder in first.items()]
    nearest = first[best.candidate] / "samples" / "nearest.png"
    names = list(dict.fromkeys((study.record.metric, *(name for row in rows for name in row.also))))
    return GeneratedPictures(
        candidate=best.candidate,
        features=_name_features(best.records[0].features, words),
        n_generated=best.records[0].n_generated,
        n_real=_tell_range([record.n_real for record in best.records], words),
        samples=_draw("samples", words.say("Samples of each candidate, not chosen"), sheets, artist),
        nearest=_draw(
            "nearest",
            words.say("Generated pictures above the training picture that is nearest"),
            [(best.candidate, nearest)],
            artist,
        ),
        film=_embed_film(first[best.candidate] / "samples" / "interpolation.gif"),
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
        plain=(*tell_trivial(best, words), *(" ".join(tell_plainly(one, words)) for one in found)),
        ratios=tuple(_tell_ratios(study, words)),
        measures=_tabulate(names, found, words),
        training=_tabulate_training(names, found, words),
        training_told=_tell_training(found, words),
        classes=_tabulate_classes(names, found, words),
    )


def _name_features(name: str, words: Words) -> str:
    return (
        words.say("the pixels, made small")
        if name == "pixels"
        else words.say("the features of {network}", network=name)
    )


def _tell_range(counts: Sequence[int], words: Words) -> str:
    low, high = words.count(min(counts)), words.count(max(counts))
    return low if low == high else words.say("{low} to {high}", low=low, high=high)


def _read_measured(study: StudyResults, row: LeaderboardRow) -> Measured | None:
    """Read what was found of a candidate's runs; none where nothing was kept."""
    paths = [study.folder / "runs" / run.identity / GENERATION_FILE for run in study.runs_of(row.candidate)]
    records = tuple(GenerationRecord.load(path) for path in paths if path.is_file())
    if not records:
        return None
    metric, ranked = study.record.metric, {} if row.score is None else {study.record.metric: row.score}
    values = _mean_each([{one.name: one.value for one in record.measures} for record in records])
    of_one = {one.name: one.interval for one in records[0].measures} if row.n_runs == 1 else {}
    of_one[metric] = row.interval_pictures
    intervals = {name: interval for name, interval in of_one.items() if interval is not None}
    return Measured(
        row.candidate, values | row.also | ranked, intervals, row.of_photographs.get(NEAR_COPIES), records
    )  # fmt: skip


def _mean_each(scores: Sequence[dict[str, float]]) -> dict[str, float]:
    """Average by name over those that have it."""
    names = dict.fromkeys(name for entry in scores for name in entry)
    return {name: statistics.fmean(entry[name] for entry in scores if name in entry) for name in names}


def tell_trivial(best: Measured, words: Words) -> Iterator[str]:
    """Say for people who do not know it what the KID is, and what everyone could do."""
    trivial = best.trivial()
    if "kid" in best.values and TRIVIAL_WORDS.keys() <= trivial.keys():
        yield words.say(
            "The KID is a distance from photographs that the generator has never seen; it is read beside what everyone "
            "could do. The training pictures themselves get {training}, blurred {blurred}, noise {noise}.",
            **{name: words.significant(trivial[name]["kid"]) for name in TRIVIAL_WORDS},
        )


def tell_plainly(of: Measured, words: Words) -> Iterator[str]:
    """Say what the measures of a candidate, over all its runs, come to, for people who do not know them."""
    say = words.say
    if collapsed := sum(bool(record.note) for record in of.records):
        yield words.say_count(
            "{candidate} collapsed in {n} run of {runs}: for three looks in a row its samples hardly differed.",
            "{candidate} collapsed in {n} runs of {runs}: for three looks in a row its samples hardly differed.",
            collapsed,
            candidate=of.candidate,
            runs=words.count(len(of.records)),
        )
    if "kid" in of.values:
        told = words.significant(of.values["kid"])
        if (interval := of.intervals.get("kid")) is not None:
            told = _over_pictures(told, interval, words.significant, words)
        yield say("{candidate} gets a KID of {kid}.", candidate=of.candidate, kid=told)
        if interval is not None:
            yield from _tell_nearness(interval, {name: scores["kid"] for name, scores in of.trivial().items()}, words)
    if "coverage" in of.values:
        yield say(
            "Of the held-out photographs, {share} have a generated picture near them: that much of the variety is "
            "there.",
            share=words.percent(of.values["coverage"], 0),
        )
    if "near_copies" in of.values:
        yield _tell_copies(of.values["near_copies"], of.photographs, words)
    yield say(
        "Half of its pictures lie nearer than {generated} to a training picture, half of the held-out photographs "
        "nearer than {real}.",
        generated=words.significant(of.mean("nearest_generated")),
        real=words.significant(of.mean("nearest_real")),
    )


def _tell_nearness(kid: Interval, trivial: dict[str, float], words: Words) -> Iterator[str]:
    """Say where a generator stands between blurred photographs and noise, as far as its interval shows it."""
    if not {"blurred", "noise"} <= trivial.keys():
        return
    if kid.high < trivial["blurred"]:
        yield words.say("Its pictures are nearer to photographs than blurred photographs are.")
    elif kid.low > trivial["noise"]:
        yield words.say("Its pictures are further from photographs than noise is: nothing was learnt.")
    elif kid.high >= trivial["noise"]:
        yield words.say("It was not shown that its pictures are nearer to photographs than noise is.")
    elif kid.low > trivial["blurred"]:
        yield words.say("Its pictures are further from photographs than blurred photographs are.")


def _tell_copies(share: float, photographs: Interval | None, words: Words) -> str:
    """Say whether a generator copies more than fresh photographs would seem to."""
    told = words.say(
        "{share} of its pictures lie as near to one training picture, beside the next ones, as 5% of photographs do",
        share=words.percent(share, 0),
    )
    if photographs is None:
        return told + "."
    told += " " + words.say(
        "(fresh photographs: {low} to {high} in 95 of 100 draws)",
        low=words.percent(photographs.low, 0),
        high=words.percent(photographs.high, 0),
    )
    if share > photographs.high:
        return words.say("{told}: it copies.", told=told)
    if share < photographs.low:
        return words.say("{told}: fewer than photographs would.", told=told)
    return words.say("{told}: as photographs would. That it copies was not shown.", told=told)


def _over_pictures(value: str, interval: Interval, write: Callable[[float], str], words: Words) -> str:
    return words.say(
        "{value} (95% over pictures: {low} to {high})", value=value, low=write(interval.low), high=write(interval.high)
    )


def _tell_training(found: Sequence[Measured], words: Words) -> str:
    """Say what the table against the training pictures holds and how it is read."""
    told = words.say(
        "Against the training pictures in the place of the held-out ones, mean of the runs: where the KID is much "
        "lower than above, the generator has learnt its pictures by heart. Nearness is that of the median picture to "
        "its nearest training picture; below the limit lie 5% of the held-out photographs."
    )
    near_by = {record.near_by for one in found for record in one.records}
    if near_by <= {"ratio", "pixels", "zooms"}:
        told += " " + words.say(
            "It is the distance to the nearest over the mean distance to the next nine: 0 for a copy, near 1 for a "
            "picture that is about as far from many."
        )
    if near_by == {"pixels"}:
        told += " " + words.say(
            "Distances are between the pictures themselves, made small; training pictures are tried mirrored and moved "
            "by up to an eighth of their side too."
        )
    if near_by == {"zooms"}:
        told += " " + words.say(
            "Distances are between the pictures themselves, made small; training pictures are tried mirrored, moved by "
            "up to an eighth of their side and enlarged by half too."
        )
    return told


def _tell_ratios(study: StudyResults, words: Words) -> Iterator[str]:
    """Say how many times the baseline's score each candidate has, or that it cannot be said."""
    for verdict in study.record.verdicts:
        metric = words.say(METRIC_NAMES.get(verdict.metric, verdict.metric))
        names = {"metric": metric, "candidate": verdict.candidate, "baseline": verdict.baseline}
        if verdict.ratio is None:
            if GENERATION_METRICS[verdict.metric].resampling != "none":
                yield words.say(
                    "{metric}: no ratio of {candidate} to {baseline} is given, as over the held-out pictures the value "
                    "of {baseline} is not shown to lie above 0.",
                    **names,
                )
            continue
        yield words.say(
            "{metric}: {candidate} has {ratio} times the value of {baseline} (95% over pictures: {low} to {high}).",
            **names,
            ratio=words.number(verdict.ratio.value, 2),
            low=words.number(verdict.ratio.interval.low, 2),
            high=words.number(verdict.ratio.interval.high, 2),
        )


def _draw(name: str, label: str, sheets: list[tuple[str, Path]], artist: Artist) -> Drawing:
    found = [(caption, _read(path)) for caption, path in sheets if path.is_file()]
    drawing = artist.draw_twice(name, label, lambda width_in: draw_sheets(found, width_in=width_in))
    files = [path for _, path in sheets if path.is_file()]
    return replace(drawing, file=files[0]) if len(files) == 1 else drawing


def _embed_film(path: Path) -> str:
    if not path.is_file() or path.stat().st_size > _MOST_BYTES:
        return ""
    return "data:image/gif;base64," + base64.b64encode(path.read_bytes()).decode()


def _read(path: Path) -> npt.NDArray[np.uint8]:
    from PIL import Image

    return np.asarray(Image.open(path).convert("RGB"))


def _tabulate(names: Sequence[str], found: Sequence[Measured], words: Words) -> Table:
    """Set the candidates' means, and how many pictures they are of, beside the best one's trivial generators."""
    best = found[0]
    columns = (Column(words.say("generator"), numeric=False), Column(words.say("pictures")), *_columns(names, words))
    rows: list[tuple[str, float | None, dict[str, float], dict[str, Interval]]] = [
        (one.candidate, one.mean("n_generated"), one.values, one.intervals) for one in found
    ]
    rows += [
        (words.say(TRIVIAL_WORDS[name]), best.trivial_count(name), scores, best.trivial_intervals(name))
        for name, scores in best.trivial().items()
    ]
    body = []
    for name, count, scores, intervals in rows:
        counted = Cell(ABSENT) if count is None else Cell(words.number(count, 0), count)
        body.append((Cell(name), counted, *_cells(names, scores, words, intervals)))
    return Table(columns, tuple(body))


def _tabulate_training(names: Sequence[str], found: Sequence[Measured], words: Words) -> Table:
    """Set out the measures against the training pictures, and how near to them the generated pictures lie."""
    shown = [name for name in names if any(name in one.against_training() for one in found)]
    medians = {
        "nearest_generated": Column(words.say("nearness")),
        "nearest_real": Column(words.say("nearness of photographs")),
        "near_limit": Column(words.say("limit")),
    }
    columns = (Column(words.say("generator"), numeric=False), *_columns(shown, words), *medians.values())
    return Table(
        columns,
        tuple(
            (
                Cell(one.candidate),
                *_cells(shown, one.against_training(), words),
                *(Cell(words.significant(value), value) for value in map(one.mean, medians)),
            )
            for one in found
        ),
    )


def _tabulate_classes(names: Sequence[str], found: Sequence[Measured], words: Words) -> Table | None:
    """Set out the measures of each class that a conditional generator was asked for."""
    body = [(one.candidate, name, scores) for one in found for name, scores in one.classes().items()]
    if not body:
        return None
    shown = [name for name in names if any(name in scores for _, _, scores in body)]
    columns = (
        Column(words.say("generator"), numeric=False),
        Column(words.say("class"), numeric=False),
        *_columns(shown, words),
    )
    return Table(
        columns,
        tuple((Cell(candidate), Cell(name), *_cells(shown, scores, words)) for candidate, name, scores in body),
    )


def _columns(names: Iterable[str], words: Words) -> Iterator[Column]:
    return (Column(words.say(METRIC_NAMES.get(name, name))) for name in names)


def _cells(
    names: Iterable[str], scores: dict[str, float], words: Words, intervals: dict[str, Interval] | None = None
) -> Iterator[Cell]:
    return (_cell(scores.get(name), name, words, (intervals or {}).get(name)) for name in names)


def _cell(value: float | None, metric: str, words: Words, interval: Interval | None = None) -> Cell:
    if value is None:
        return Cell(ABSENT)

    def write(number: float) -> str:
        return words.percent(number) if metric in PERCENT_METRICS else words.significant(number)

    ends = "" if interval is None else f" {words.interval(write(interval.low), write(interval.high))}"
    return Cell(f"{write(value)}{ends}", value)
