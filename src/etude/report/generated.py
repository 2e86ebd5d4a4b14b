"""What reports show of generators: samples, the nearest training pictures, and trivial generators beside them."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt

from etude.core.interval import Interval
from etude.figures.sheets import draw_sheets
from etude.report.drawings import Artist, Drawing
from etude.report.generated_measured import Measured, read_measured
from etude.report.generated_told import (
    TRIVIAL_WORDS,
    tell_beside,
    tell_plainly,
    tell_ratios,
    tell_training,
    tell_trivial,
)
from etude.report.reading import StudyResults
from etude.report.tables import ABSENT, Cell, Column, Table
from etude.report.words import METRIC_NAMES, PERCENT_METRICS, Words

_MOST_BYTES: Final = 4_000_000
"""Of a film that a note takes in."""
_TIMES_SMALLER: Final = 8
"""How often a film is made smaller at most; each time by a tenth of its side or more."""
_COLOURS: Final = 256


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
    nearest: tuple[tuple[str, Drawing], ...]
    """The generated pictures nearest to a training picture, of the first run of each candidate, the best first."""
    film: str
    """The best candidate's film from sample to sample, of its first run, as a data URI of a GIF, smaller than its file
    where that is large; empty without one."""
    sheets: tuple[tuple[str, Drawing], ...]
    """The same sheets one by one, by candidate, the best first."""
    plain: tuple[str, ...]
    """What the measures say in plain words: of what everyone could do, then of each candidate, the best first."""
    ratios: tuple[str, ...]
    """A sentence for each candidate: its score over the baseline's."""
    beside: str
    """Where the first candidate stands beside blurred photographs and noise; empty where that was not measured."""
    measures: Table
    """Candidates and trivial generators (rows), measures (columns)."""
    training: Table
    """The same measures against the training pictures, and how near to them the generated ones lie."""
    training_told: str
    """What that table holds and how it is read."""
    classes: Table | None
    """Measures by class of conditional generators; none where there is none."""


def gather_generated(study: StudyResults, words: Words, artist: Artist) -> GeneratedPictures | None:
    """Set out what there is to see of generated pictures; none in a study of another task, or before the first run.

    Raises:
        MistakeError: if a record cannot be read.
    """
    if study.record.task != "generation":
        return None
    rows = [row for row in study.record.leaderboard if row.score is not None]
    found = [one for row in rows if (one := read_measured(study, row)) is not None]
    if not found:
        return None
    best = found[0]
    first = {one.candidate: study.folder / "runs" / study.runs_of(one.candidate)[0].identity for one in found}
    sheets = [(name, folder / "samples" / "final.png") for name, folder in first.items()]
    names = list(dict.fromkeys((study.record.metric, *(name for row in rows for name in row.also))))
    return GeneratedPictures(
        candidate=best.candidate,
        features=_name_features(best.records[0].features, words),
        n_generated=best.records[0].n_generated,
        n_real=_tell_range([record.n_real for record in best.records], words),
        samples=_draw("samples", words.say("Samples of each candidate, not chosen"), sheets, artist),
        nearest=_draw_each(
            "nearest",
            [(name, folder / "samples" / "nearest.png") for name, folder in first.items()],
            lambda _: words.say("Generated pictures above the training picture that is nearest"),
            artist,
        ),
        film=_embed_film(first[best.candidate] / "samples" / "interpolation.gif"),
        sheets=_draw_each(
            "samples", sheets, lambda name: words.say("Samples of {candidate}, not chosen", candidate=name), artist
        ),
        plain=(*tell_trivial(best, words), *(" ".join(tell_plainly(one, words)) for one in found)),
        ratios=tuple(tell_ratios(study, words)),
        beside=tell_beside(best, words),
        measures=_tabulate(names, found, words),
        training=_tabulate_training(names, found, words),
        training_told=tell_training(found, words),
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


def _draw(name: str, label: str, sheets: list[tuple[str, Path]], artist: Artist) -> Drawing:
    found = [(caption, _read(path)) for caption, path in sheets if path.is_file()]
    drawing = artist.draw_twice(name, label, lambda width_in: draw_sheets(found, width_in=width_in))
    files = [path for _, path in sheets if path.is_file()]
    return replace(drawing, file=files[0]) if len(files) == 1 else drawing


def _draw_each(
    stem: str, sheets: list[tuple[str, Path]], label: Callable[[str], str], artist: Artist
) -> tuple[tuple[str, Drawing], ...]:
    """Draw sheets one by one, as far as they are there."""
    return tuple(
        (name, _draw(f"{stem}-{place}", label(name), [(name, path)], artist))
        for place, (name, path) in enumerate(sheets)
        if path.is_file()
    )


def _embed_film(path: Path) -> str:
    """Return a film as a data URI, made smaller where it is too large for a note; empty without one."""
    if not path.is_file():
        return ""
    content = path.read_bytes()
    for _ in range(_TIMES_SMALLER):
        if len(content) <= _MOST_BYTES:
            break
        content = _make_smaller(content, min(0.9, math.sqrt(_MOST_BYTES / len(content))))
    return "data:image/gif;base64," + base64.b64encode(content).decode()


def _make_smaller(film: bytes, share: float) -> bytes:
    """Return a GIF with sides of that share, as fast, as long, and with what it says of itself."""
    from PIL import Image, ImageSequence

    with Image.open(io.BytesIO(film)) as opened:
        about = {name: opened.info[name] for name in ("duration", "loop", "comment") if name in opened.info}
        size = (max(1, round(share * opened.width)), max(1, round(share * opened.height)))
        frames = [frame.convert("RGB").resize(size) for frame in ImageSequence.Iterator(opened)]
    some = np.concatenate([np.asarray(frame) for frame in frames[:: max(1, len(frames) // 8)]])
    palette = Image.fromarray(some).quantize(_COLOURS)
    flat = [frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in frames]
    content = io.BytesIO()
    flat[0].save(content, "GIF", save_all=True, append_images=flat[1:], **about)
    return content.getvalue()


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
                *_cells(shown, one.against_training(), words, one.intervals_against_training()),
                *(Cell(words.significant(value), value) for value in map(one.mean, medians)),
            )
            for one in found
        ),
    )


def _tabulate_classes(names: Sequence[str], found: Sequence[Measured], words: Words) -> Table | None:
    """Set out the measures of each class that a conditional generator was asked for."""
    body = [(one, name, scores) for one in found for name, scores in one.classes().items()]
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
        tuple(
            (Cell(one.candidate), Cell(name), *_cells(shown, scores, words, one.class_intervals(name)))
            for one, name, scores in body
        ),
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
