"""What the note shows of masks: pictures with their answers, and each class by itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from etude.core.mask_examples_record import MaskExample, MaskExamples
from etude.core.study_record import LeaderboardRow
from etude.evaluate.final import final_candidate
from etude.figures.masks import MaskRow, draw_class_curves, draw_masks
from etude.pictures.palette import palette_of
from etude.report.drawings import Artist, Drawing
from etude.report.messages import mark
from etude.report.reading import StudyResults
from etude.report.tables import ABSENT, Cell, Column, Table
from etude.report.words import Words

KIND_WORDS = {"spread": mark("evenly drawn"), "worst": mark("among the worst"), "best": mark("among the best")}
_FEW = 4
_OF_EACH = 2
"""Pictures of each kind that stand in the note; all that are kept lie in the run's folder."""


@dataclass(frozen=True)
class Masks:
    """The part of the note about masks."""

    candidate: str
    drawing: Drawing | None
    """Pictures of the final candidate's first run."""
    curves: Drawing | None
    """Its classes from epoch to epoch."""
    classes: Table
    """IoU of each class and candidate; whichever are fewer are the columns."""
    categories: Table | None
    """The same of the categories of classes."""
    few: Table
    """IoU of each class of the first candidates and the baseline, class by class."""


def gather_masks(study: StudyResults, words: Words, artist: Artist) -> Masks | None:
    """Set out what there is to see of masks; none in a study of another task, or before the first run."""
    rows = [row for row in study.record.leaderboard if row.class_scores]
    if study.record.task != "segmentation" or not rows:
        return None
    final = final_candidate(study.record)
    categories = _tabulate(rows, words, words.say("category"), of_categories=True) if rows[0].category_scores else None
    return Masks(
        candidate=final,
        drawing=_draw_examples(study, words, artist, final),
        curves=_draw_curves(study, words, artist, final),
        classes=_tabulate(rows, words, words.say("class"), of_categories=False),
        categories=categories,
        few=_tabulate(_first(rows, study.record.baseline), words, words.say("class"), of_categories=False),
    )


def _first(rows: list[LeaderboardRow], baseline: str | None) -> list[LeaderboardRow]:
    """Return the first candidates, and the baseline after them where it is none of them."""
    return rows[:_FEW] + [row for row in rows[_FEW:] if row.candidate == baseline]


def _tabulate(rows: list[LeaderboardRow], words: Words, heading: str, *, of_categories: bool) -> Table:
    scores = {row.candidate: row.category_scores if of_categories else row.class_scores for row in rows}
    names = next(iter(scores.values()))
    if len(scores) > len(names):
        columns = (Column(words.say("candidate"), numeric=False), *(Column(name) for name in names))
        return Table(
            columns, tuple((Cell(of), *(_cell(own.get(name), words) for name in names)) for of, own in scores.items())
        )
    columns = (Column(heading, numeric=False), *(Column(name) for name in scores))
    body = tuple((Cell(name), *(_cell(of.get(name), words) for of in scores.values())) for name in names)
    return Table(columns, body)


def _cell(score: float | None, words: Words) -> Cell:
    return Cell(ABSENT if score is None else words.percent(score), score)


def _draw_curves(study: StudyResults, words: Words, artist: Artist, candidate: str) -> Drawing | None:
    histories = study.histories_of(candidate)
    if not histories or len(histories[0]) < 2 or not histories[0][0].validation_classes:
        return None
    return artist.draw_twice(
        "classes",
        words.say("IoU of each class on validation by epoch"),
        lambda width_in: draw_class_curves(
            histories[0],
            study.record.classes,
            score_label=words.say("IoU, validation"),
            epoch_label=words.say("epoch"),
            number=lambda share: words.percent(share, 0),
            width_in=width_in,
        ),
    )


def _draw_examples(study: StudyResults, words: Words, artist: Artist, candidate: str) -> Drawing | None:
    """Draw the pictures that the first run of a candidate kept."""
    runs = study.runs_of(candidate)
    folder = study.folder / "runs" / runs[0].identity / "masks" if runs else study.folder
    if not (folder / "examples.json").is_file():
        return None
    record = MaskExamples.load(folder / "examples.json")
    chosen = [
        example for kind in KIND_WORDS for example in [e for e in record.examples if e.kind == kind][:_OF_EACH]
    ]  # fmt: skip
    headings = (words.say("picture"), words.say("truth"), words.say("answer"), words.say("errors"))
    return artist.draw_twice(
        "masks",
        words.say("Pictures of the test part with truth, answer and errors"),
        lambda width_in: draw_masks(
            [_read(folder, example, words) for example in chosen],
            [words.called(name) for name in record.classes],
            palette_of(record.classes),
            headings,
            width_in=width_in,
        ),
    )


def _read(folder: Path, example: MaskExample, words: Words) -> MaskRow:
    """Read one picture with its masks."""
    from PIL import Image

    picture, truth, answer = (
        np.asarray(Image.open(folder / f"{example.stem}{ending}")) for ending in (".jpg", ".truth.png", ".answer.png")
    )
    score = ABSENT if example.score is None else words.percent(example.score)
    caption = words.say("{kind}: {score}", kind=words.say(KIND_WORDS[example.kind]), score=score)
    return MaskRow(picture, truth, answer, caption)
