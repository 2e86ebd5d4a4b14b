"""The presentation: 5 + 10 + 10 minutes, for those who decide and for the one who deploys; PPTX that can be edited.

Text and tables are PowerPoint's own; figures are pictures with a description. Every number is read from a record.
"""

from __future__ import annotations

import tempfile
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etude.core.errors import MissingPartError
from etude.core.files import writing
from etude.core.study_record import LeaderboardRow
from etude.figures.theme import Look, assign_looks, to_png
from etude.report.again import portable
from etude.report.combinations import CombinedPart
from etude.report.drawings import Drawing
from etude.report.failures import join_pieces
from etude.report.generated import GeneratedPictures
from etude.report.generated_told import TRIVIAL_WORDS
from etude.report.judged import Judged
from etude.report.limits import tell_few_runs
from etude.report.note import gather
from etude.report.path import tell_runs, tell_trials
from etude.report.proposals import tell_proposals
from etude.report.published import PublishedPart
from etude.report.reading import StudyResults, read_study
from etude.report.searches import SearchPart
from etude.report.tables import Cell, Table
from etude.report.words import MetricWords, Words

if TYPE_CHECKING:
    from pptx.slide import Slide

_INK, _MUTED, _BLUE, _TINT = "1F2328", "5D6570", "0072B2", "F4F5F7"
_WIDTH_IN, _HEIGHT_IN, _MARGIN_IN, _TOP_IN = 13.333, 7.5, 0.7, 1.45
_BODY_IN = _HEIGHT_IN - _TOP_IN - 0.65
_FULL_IN = _WIDTH_IN - 2 * _MARGIN_IN
_DPI = 170
_EM, _BOLD_EM, _LINE, _AFTER = 0.5, 0.56, 1.2, 0.55
"""In sizes of the letters: mean width of one, and of a bold one; height of a line, and what follows a paragraph."""
_SIZES_PT, _LEAST_PT = (*range(20, 11, -1), 11, 10, 9), 12
"""Sizes of sentences; below the least, only what has nothing left that could go into the notes."""
_CELL_SIZES_PT, _ROW_IN = (12, 11, 10, 9), 0.4
"""Sizes of the letters of a table, and the height of a row at the first."""
_INSET_IN, _CELL_INSET_IN = 0.1, 0.03
"""What a box and a cell keep free at the sides, and a cell above and below."""
Area = tuple[float, float, float, float]
"""Left, top, width and height in inches."""


def write_slides(study_folder: Path, language: str, *, to: Path | None = None) -> Path:
    """Write the presentation of a study, whole or not at all.

    Args:
        study_folder: what `etude run` left.
        language: fr or en.
        to: the file to write; none means `report/slides.<language>.pptx` in the study's folder.

    Raises:
        MissingPartError: if python-pptx is not installed.
        MistakeError: if the folder holds no study, a record cannot be read, or the language is unknown.
    """
    path = to or study_folder / "report" / f"slides.{language}.pptx"
    words, study = Words(language), read_study(study_folder, language)
    with tempfile.TemporaryDirectory() as scratch, writing(path) as beside:
        deck = Deck(words, Path(scratch))
        _tell(deck, study, gather(study, words, name=str))
        deck.presentation.core_properties.title = study.record.name
        deck.presentation.save(str(beside))
    return path


class Deck:
    """A presentation that is being made."""

    def __init__(self, words: Words, scratch: Path) -> None:
        try:
            import pptx
        except ImportError:
            raise MissingPartError("report: slides need python-pptx: `pip install 'etude[report]'`.") from None
        from pptx.util import Inches

        self.words = words
        self.scratch = scratch
        self.presentation = pptx.Presentation()
        self.presentation.slide_width, self.presentation.slide_height = Inches(_WIDTH_IN), Inches(_HEIGHT_IN)
        self.part = ""
        self.number = 0

    def cover(self, title: str, subtitle: str, small: str, notes: str) -> None:
        """Add the first slide, or that which opens a part."""
        slide = self._slide(notes)
        self._write(
            slide,
            title,
            (_MARGIN_IN, 2.2, _FULL_IN, 1.6),
            size_pt=_fitting(title, ((26, 48), (60, 36), (999, 28))),
            bold=True,
        )
        self._write(
            slide,
            subtitle,
            (_MARGIN_IN, 3.85, _FULL_IN, 1.7),
            size_pt=_text_size([subtitle], _FULL_IN, 1.7, (24, 20, 16, 14, 12, 10)),
        )
        self._write(slide, small, (_MARGIN_IN, 6.3, _FULL_IN, 0.5), size_pt=14, color=_MUTED)
        self._bar(slide)

    def open_part(self, number: int, title: str, minutes: int) -> None:
        """Add the slide that opens a part."""
        self.part = title
        told = self.words.say("{minutes} minutes", minutes=minutes)
        self.cover(
            f"{number}. {title}", told, "", self.words.say("This part takes {minutes} minutes.", minutes=minutes)
        )

    def slide(self, title: str, notes: Sequence[str]) -> Slide:
        """Add a slide with its title and what is said to it."""
        slide = self._slide("\n\n".join(notes))
        size_pt = _text_size([title], _FULL_IN, 0.8, range(28, 11, -1), _BOLD_EM)
        self._write(slide, title, (_MARGIN_IN, 0.45, _FULL_IN, 0.8), size_pt=size_pt, bold=True)
        self._write(slide, self.part, (_MARGIN_IN, 7.0, 9, 0.35), size_pt=11, color=_MUTED)
        self._write(
            slide, str(self.number), (_WIDTH_IN - _MARGIN_IN - 1, 7.0, 1, 0.35), size_pt=11, color=_MUTED, right=True
        )
        self._bar(slide)
        return slide

    def bullets(self, slide: Slide, items: Sequence[str], box: Area) -> None:
        """Add sentences, one a line, small enough to fit; of too many the last are counted, and told in the notes."""
        from pptx.util import Pt

        told = [item for item in items if item]
        if not told:
            return
        kept = self._keep(told, box)
        if left := told[len(kept) :]:
            self._note(slide, left)
            kept.append(self._tell_left(len(left)))
        frame = self._frame(slide, box)
        size_pt = _text_size(kept, box[2], box[3])
        for place, item in enumerate(kept):
            paragraph = frame.paragraphs[0] if place == 0 else frame.add_paragraph()
            paragraph.space_after = Pt(size_pt * _AFTER)
            self._run(paragraph, item, size_pt, _INK)

    def _keep(self, items: list[str], box: Area) -> list[str]:
        """Return the first sentences that can be read in a box, with room to say how many more there are."""
        for n in range(len(items), 1, -1):
            rest = [self._tell_left(len(items) - n)] if n < len(items) else []
            if _fits([*items[:n], *rest], box[2], box[3], _LEAST_PT):
                return items[:n]
        return items[:1]

    def _tell_left(self, n: int) -> str:
        return self.words.say_count("{n} more: see the speaker notes.", "{n} more: see the speaker notes.", n)

    def _note(self, slide: Slide, items: Iterable[str]) -> None:
        """Say in the notes of a slide what they do not say yet."""
        frame = slide.notes_slide.notes_text_frame
        frame.text = "\n\n".join([frame.text, *(item for item in items if item not in frame.text)])

    def table(self, slide: Slide, table: Table, box: Area, most_rows: int = 10) -> int:
        """Add a table that can be edited, its letters small enough to fit; return how many rows did not."""
        from pptx.util import Inches

        laid = _lay_table(table, table.rows[:most_rows], box)
        sides = (box[0], box[1], box[2], sum(laid.heights_in))
        shape = slide.shapes.add_table(len(laid.rows) + 1, len(table.columns), *(Inches(side) for side in sides))
        made = shape.table
        for column, column_in in zip(made.columns, laid.widths_in, strict=True):
            column.width = Inches(column_in)
        for line, line_in in zip(made.rows, laid.heights_in, strict=True):
            line.height = Inches(line_in)
        for column, head in enumerate(table.columns):
            self._cell(made.cell(0, column), head.heading, head.numeric, laid.size_pt, is_head=True)
        for line, row in enumerate(laid.rows, 1):
            for column, cell in enumerate(row):
                numeric, marked = table.columns[column].numeric, line - 1 in table.marked
                self._cell(
                    made.cell(line, column), cell.text, numeric, laid.size_pt, marked=marked, bold=column == 0,
                    link=cell.link,
                )  # fmt: skip
        return len(table.rows) - len(laid.rows)

    def picture(self, slide: Slide, drawing: Drawing, box: Area, width_in: float = 7.65) -> None:
        """Add a figure, as large as the box allows, with its description."""
        path = to_png(drawing.draw(width_in), self.scratch / f"{drawing.name}-{self.number}.png", dpi=_DPI)
        self.image(slide, path, box, drawing.label)

    def legend(self, slide: Slide, names: Sequence[str], looks: Mapping[str, Look]) -> None:
        """Name the candidates below a figure, each in its colour."""
        if not names:
            return
        paragraph = self._frame(slide, (_MARGIN_IN, 6.6, _FULL_IN, 0.4)).paragraphs[0]
        entries = [f"\N{EM DASH} {name}     " for name in names]
        size_pt = _text_size(["".join(entries)], _FULL_IN, 0.4, range(13, 5, -1), _BOLD_EM)
        for name, entry in zip(names, entries, strict=True):
            self._run(paragraph, entry, size_pt, looks[name].color.removeprefix("#").upper(), bold=True)

    def image(self, slide: Slide, path: Path, box: Area, label: str) -> None:
        """Add a picture file, as large as the box allows."""
        from PIL import Image
        from pptx.util import Inches

        with Image.open(path) as opened:
            scale = min(box[2] / opened.width, box[3] / opened.height)
            width, height = opened.width * scale, opened.height * scale
        left = box[0] + (box[2] - width) / 2
        shape = slide.shapes.add_picture(str(path), Inches(left), Inches(box[1]), Inches(width), Inches(height))
        shape._element.nvPicPr.cNvPr.set("descr", label)

    def _slide(self, notes: str) -> Slide:
        self.number += 1
        slide = self.presentation.slides.add_slide(self.presentation.slide_layouts[6])
        slide.notes_slide.notes_text_frame.text = notes
        return slide

    def _bar(self, slide: Slide) -> None:
        from pptx.dml.color import RGBColor
        from pptx.util import Inches

        bar = slide.shapes.add_shape(1, 0, 0, Inches(0.16), Inches(_HEIGHT_IN))
        bar.fill.solid()
        bar.fill.fore_color.rgb = RGBColor.from_string(_BLUE)
        bar.line.fill.background()

    def _frame(self, slide: Slide, box: Area) -> Any:  # noqa: ANN401 - python-pptx has no types
        from pptx.util import Inches

        frame = slide.shapes.add_textbox(*(Inches(side) for side in box)).text_frame
        frame.word_wrap = True
        return frame

    def _write(
        self, slide: Slide, text: str, box: Area, *, size_pt: float, bold: bool = False,
        color: str = _INK, right: bool = False,
    ) -> None:  # fmt: skip
        if not text:
            return
        from pptx.enum.text import PP_ALIGN

        paragraph = self._frame(slide, box).paragraphs[0]
        paragraph.alignment = PP_ALIGN.RIGHT if right else PP_ALIGN.LEFT
        self._run(paragraph, text, size_pt, color, bold=bold)

    def _run(
        self, paragraph: Any, text: str, size_pt: float, color: str, *, bold: bool = False, link: str = ""  # noqa: ANN401
    ) -> None:  # fmt: skip
        from pptx.dml.color import RGBColor
        from pptx.util import Pt

        run = paragraph.add_run()
        run.text = text
        run.font.size, run.font.bold, run.font.name = Pt(size_pt), bold, "Arial"
        run.font.color.rgb = RGBColor.from_string(color)
        if link:
            run.hyperlink.address = link

    def _cell(
        self, cell: Any, text: str, numeric: bool, size_pt: float, *, is_head: bool = False, marked: bool = False,  # noqa: ANN401
        bold: bool = False, link: str = "",
    ) -> None:  # fmt: skip
        from pptx.dml.color import RGBColor
        from pptx.enum.text import PP_ALIGN
        from pptx.util import Inches

        cell.fill.solid()
        cell.fill.fore_color.rgb = RGBColor.from_string("E3E7EC" if is_head else _TINT if marked else "FFFFFF")
        cell.margin_top = cell.margin_bottom = Inches(_CELL_INSET_IN)
        paragraph = cell.text_frame.paragraphs[0]
        paragraph.alignment = PP_ALIGN.RIGHT if numeric else PP_ALIGN.LEFT
        self._run(paragraph, text, size_pt, _MUTED if is_head else _INK, bold=bold and not is_head, link=link)


def _fitting(text: str, sizes: Sequence[tuple[int, int]]) -> int:
    """Return the size for the first length that the text does not pass."""
    return next((size for most, size in sizes if len(text) <= most), sizes[-1][1])


def _count_lines(text: str, width_in: float, size_pt: float, em: float = _EM) -> int:
    """Return in how many lines a text is set in a box or a cell of this width, its margins taken off."""
    room = max(1, int((width_in - 2 * _INSET_IN) * 72 / (em * size_pt)))
    return max(1, len(textwrap.wrap(text, room)))


def _fits(items: Sequence[str], width_in: float, height_in: float, size_pt: float, em: float = _EM) -> bool:
    """Return whether paragraphs of this size fit a box."""
    lines = sum(_count_lines(item, width_in, size_pt, em) for item in items)
    return lines * size_pt * _LINE + (len(items) - 1) * size_pt * _AFTER <= height_in * 72 - 8


def _text_size(
    items: Sequence[str], width_in: float, height_in: float, sizes: Sequence[int] = _SIZES_PT, em: float = _EM
) -> float:
    """Return the first size in points at which paragraphs fit a box; the last one where they do at none."""
    return float(next((size_pt for size_pt in sizes if _fits(items, width_in, height_in, size_pt, em)), sizes[-1]))


@dataclass(frozen=True)
class _Laid:
    """A table as it is laid out in a box."""

    rows: Sequence[Sequence[Cell]]
    """Those that fit."""
    size_pt: int
    widths_in: list[float]
    heights_in: list[float]
    """That of the head, then that of each row."""


def _lay_table(table: Table, rows: Sequence[Sequence[Cell]], box: Area) -> _Laid:
    """Lay a table out at the largest letters at which it fits a box; at the smallest, leave out its last rows."""
    lines = [[head.heading for head in table.columns], *([cell.text for cell in row] for row in rows)]
    for size_pt in _CELL_SIZES_PT:
        least_in = _least_widths(lines, size_pt)
        widths_in = _column_widths(lines, least_in, box[2], size_pt)
        heights_in = [_row_height(texts, widths_in, size_pt) for texts in lines]
        is_low_enough = sum(heights_in) <= box[3] + 1e-6
        if is_low_enough and sum(least_in) <= box[2]:
            break
    if not is_low_enough and len(rows) > 1:
        return _lay_table(table, rows[:-1], box)
    return _Laid(rows, size_pt, widths_in, heights_in)


def _row_height(texts: Sequence[str], widths_in: Sequence[float], size_pt: float) -> float:
    """Return the height of a row in inches: that of its longest cell, never less than a plain row's."""
    lines = max(_count_lines(text, width_in, size_pt) for text, width_in in zip(texts, widths_in, strict=True))
    return max(_ROW_IN * size_pt / _CELL_SIZES_PT[0], lines * size_pt * _LINE / 72 + 2 * _CELL_INSET_IN)


def _least_widths(lines: Sequence[Sequence[str]], size_pt: float) -> list[float]:
    """Return what each column asks for so that no word of it is parted."""
    longest = [
        max(len(word) for text in column for word in text.split() or [""]) for column in zip(*lines, strict=True)
    ]
    return [0.1 * size_pt / _CELL_SIZES_PT[0] * (letters + 2) for letters in longest]


def _column_widths(
    lines: Sequence[Sequence[str]], least_in: Sequence[float], width_in: float, size_pt: float
) -> list[float]:
    """Give each column what its longest text asks for; where that is too much, no less than its longest word."""
    longest = [max(map(len, column)) for column in zip(*lines, strict=True)]
    a_letter_in = 0.095 * size_pt / _CELL_SIZES_PT[0]
    needed_in = [
        max(least, a_letter_in * (min(46, letters) + 3)) for letters, least in zip(longest, least_in, strict=True)
    ]
    spare_in = sum(needed_in) - sum(least_in)
    if sum(needed_in) <= width_in or sum(least_in) >= width_in or spare_in <= 0:
        stretch = min(1.25, width_in / sum(needed_in))
        return [need * stretch for need in needed_in]
    share = (width_in - sum(least_in)) / spare_in
    return [least + share * (need - least) for need, least in zip(needed_in, least_in, strict=True)]


def _ends(table: Table, most: int, last: int) -> Table:
    """Keep the last rows of a table, and as many of the first ones as there is room for."""
    if len(table.rows) <= most:
        return table
    return Table(table.columns, (*table.rows[: most - last], *table.rows[-last:]), table.marked)


def pick_columns(table: Table, most: int) -> Table:
    """Keep the first columns of a table."""
    return Table(table.columns[:most], tuple(row[:most] for row in table.rows), table.marked)


def _tell(deck: Deck, study: StudyResults, told: dict[str, Any]) -> None:
    """Write every slide."""
    record, words, metric = study.record, deck.words, told["metric"]
    say = words.say
    finished = told["finished"]
    day = words.date(finished[-1].finished_at) if finished else ""
    deck.cover(record.name, record.question, " · ".join(filter(None, [say("Étude · presentation"), day])),
               say("Twenty-five minutes: 5 for the problem and the data, 10 for the paths, 10 for the final model."))  # fmt: skip  # noqa: E501
    deck.open_part(1, say("Problem, cleaning, exploration"), 5)
    _tell_problem(deck, study, told)
    deck.open_part(2, say("The modelling paths"), 10)
    _tell_paths(deck, study, told, metric)
    deck.open_part(3, say("The final model"), 10)
    _tell_final(deck, study, told, metric)


def _tell_latency(row: LeaderboardRow, words: Words) -> str:
    """Write how long an answer takes, and by how much that varies; empty where it was not measured."""
    if row.latency_ms is None:
        return ""
    told = words.say("latency of one picture: {value} ms", value=words.significant(row.latency_ms))
    if row.latency_q1_ms is None or row.latency_q3_ms is None:
        return told
    low, high = words.significant(row.latency_q1_ms), words.significant(row.latency_q3_ms)
    return told + words.say(" (half of the calls between {low} and {high})", low=low, high=high)


_BOX = (_MARGIN_IN, _TOP_IN, _FULL_IN, _BODY_IN)
_LEFT = (_MARGIN_IN, _TOP_IN, 5.2, _BODY_IN)
_MOST_SHEETS, _GAP_IN = 4, 0.25
_MOST_NOTED, _MOST_SEARCHES = 60, 4
_MOST_TOLD = 6  # paragraphs that fit a slide: what the measures are, and five candidates
_COLUMNS_OF_COMBINATIONS = 7  # up to the latency: training time and size of the weights are in the note
_PUBLISHED_BOX = (_MARGIN_IN, _TOP_IN, _FULL_IN, 4.5)  # what is said of published values stands below them
_PHOTOGRAPHS = 2  # the last rows of a judgement, with which the others are compared
_RIGHT = (6.2, _TOP_IN, _WIDTH_IN - 6.2 - _MARGIN_IN, _BODY_IN)


def _tell_problem(deck: Deck, study: StudyResults, told: dict[str, Any]) -> None:
    record, words = study.record, deck.words
    say = words.say
    totals = {part: sum(counts.values()) for part, counts in record.counts.items()}
    pictures = say(
        "{train} pictures to learn from, {validation} to choose by, {test} to judge by.",
        **{part: words.count(totals.get(part, 0)) for part in ("train", "validation", "test")},
    )
    deck.bullets(
        deck.slide(say("The question"), [record.question, told["metric_why"]]),
        [
            record.question,
            words.say_count("{n} class", "{n} classes", len(record.classes)),
            say("Classes: {names}.", names=words.listing(record.classes)) if len(record.classes) <= 12 else "",
            pictures,
            told["metric_why"],
        ],
        _BOX,
    )
    slide = deck.slide(say("The data"), [pictures])
    left = deck.table(slide, told["counts"], _LEFT, most_rows=11)
    rest = [words.say_count("{n} other class", "{n} other classes", left)] if left > 0 else []
    why = say(
        "The test part is opened once, by a finished run: what is chosen on it would no longer be judged by it. No picture, "  # noqa: E501
        "nor a near twin of one, may stand on both sides."
    )
    deck.bullets(slide, [pictures, why, *rest], _RIGHT)
    if study.findings is None:
        findings = [say("The data were not checked for duplicates, leaks or mislabelled pictures.")]
    elif not study.findings:
        findings = [say("The data check found nothing amiss.")]
    else:
        findings = [finding.sentence for finding in study.findings]
    more = [words.say_count("{n} other finding", "{n} other findings", len(findings) - 6)] if len(findings) > 6 else []
    deck.bullets(deck.slide(say("What the data check found"), findings), [*findings[:6], *more], _BOX)


def _tell_paths(deck: Deck, study: StudyResults, told: dict[str, Any], metric: MetricWords) -> None:
    record, words = study.record, deck.words
    say = words.say
    path = [f"{label}: {sentence}" for label, sentence in tell_runs(study, words, metric)]
    slide = deck.slide(say("The leaderboard"), [*told["answer"], say("The path, run by run:"), *path[:_MOST_NOTED]])
    left = deck.table(slide, pick_columns(told["leaderboard"], 7), (*_BOX[:3], 4.95), most_rows=11)
    rest = words.say_count("{n} other candidate", "{n} other candidates", left) if left > 0 else ""
    below = " · ".join(filter(None, [rest, tell_few_runs(record, words)]))
    if below:
        deck.bullets(slide, [below], (_MARGIN_IN, 6.5, _FULL_IN, 0.4))
    if told["leaderboard_drawing"]:
        deck.picture(deck.slide(say("Score and intervals"), told["answer"]), told["leaderboard_drawing"], _BOX)
    if told["published"]:
        _tell_published(deck, told["published"])
    if told["curves_drawing"]:
        slide = deck.slide(say("How they learnt"), [told["curves_told"]])
        deck.picture(slide, told["curves_drawing"], (_MARGIN_IN, 1.25, _FULL_IN, 5.3))
        looks = assign_looks([row.candidate for row in record.leaderboard], record.baseline)
        deck.legend(slide, [swatch.name for swatch in told["swatches"]][:8], looks)
    if told["verdict_sentences"]:
        sentences = [sentence for _, sentence in told["verdict_sentences"]]
        slide = deck.slide(say("What was shown, and what was not"), [*sentences, told["correction"]])
        deck.picture(slide, told["verdicts_drawing"], _RIGHT, width_in=5.2)
        deck.bullets(slide, [*told["answer"][:4], told["correction"]], _LEFT)
    for ablation in told["ablations"][:4]:
        sentences = [sentence for _, sentence in ablation.sentences]
        slide = deck.slide(
            ablation.title, [*filter(None, [ablation.gap]), *sentences, *filter(None, [told["ablation_correction"]])]
        )
        deck.picture(slide, ablation.influence or ablation.drawing, _RIGHT, width_in=5.2)
        deck.bullets(slide, [ablation.gap, *sentences[:5]], _LEFT)
    for search in told["searches"][:_MOST_SEARCHES]:
        trials = tell_trials(study, words, metric, search.summary.candidate)
        _tell_search(deck, search, [f"{label}: {sentence}" for label, sentence in trials[:_MOST_NOTED]])
    if told["combinations"]:
        _tell_combinations(deck, told["combinations"])
    failed = [
        say("A run of {candidate} failed:", candidate=candidate) + " " + join_pieces(pieces, words)
        for candidate, pieces in told["failures"]
    ]
    if failed:
        deck.bullets(deck.slide(say("What failed"), failed), failed, _BOX)


def _tell_final(deck: Deck, study: StudyResults, told: dict[str, Any], metric: MetricWords) -> None:
    record, words = study.record, deck.words
    say = words.say
    best = next((row for row in record.leaderboard if row.score is not None), None)
    if best is None:
        deck.bullets(deck.slide(say("The final model"), told["answer"]), told["answer"], _BOX)
        return
    costs = [
        say("parameters: {value}", value=words.short(best.params)) if best.params is not None else "",
        say("multiply-adds of one picture: {value}", value=words.short(best.macs)) if best.macs is not None else "",
        say("size of the weights: {value} MB", value=words.significant(best.size_mb))
        if best.size_mb is not None
        else "",
        _tell_latency(best, words),
    ]
    deck.bullets(
        deck.slide(say("The final model: {candidate}", candidate=best.candidate), told["answer"]),
        [told["answer"][0], *costs],
        _BOX,
    )
    if told["explained"]:
        explained = told["explained"]
        if explained.layers:
            kinds = [f"{name}: {what}" for name, what in explained.kinds]
            heading = say("Its layers") if explained.source.is_of_best else explained.heading
            slide = deck.slide(heading, [*explained.told, *explained.lacking, *kinds])
            deck.bullets(slide, [*explained.told, *explained.lacking, *kinds[:3]], _BOX)
        for part in explained.chapters:
            for exhibit in part.exhibits[:1]:
                deck.picture(deck.slide(part.heading, [*part.told, exhibit.caption]), exhibit.drawing, _BOX)
    if told["errors"]:
        slide = deck.slide(
            say("Where it errs"), [say("What {candidate} answers on the test part.", candidate=best.candidate)]
        )
        deck.picture(slide, told["errors"].drawing, (_MARGIN_IN, _TOP_IN, 6.2, _BODY_IN))
        if told["errors"].pairs.rows:
            deck.table(slide, told["errors"].pairs, (7.2, _TOP_IN, _WIDTH_IN - 7.2 - _MARGIN_IN, _BODY_IN), most_rows=8)
    if told["generated"]:
        _tell_generated(deck, told["generated"])
    if told["judged"]:
        _tell_judged(deck, told["judged"])
    if told["masks"]:
        masks = told["masks"]
        if masks.drawing:
            deck.picture(deck.slide(say("Masks"), [masks.drawing.label]), masks.drawing, _BOX)
        slide = deck.slide(say("Each class"), [told["metric_why"]])
        deck.table(slide, pick_columns(masks.classes, 6), _BOX, most_rows=12)
    if told["detectors"]:
        deck.picture(deck.slide(say("As a detector"), [told["metric_why"]]), told["detectors"].drawing, _BOX)
    if told["robustness"]:
        slide = deck.slide(say("When pictures are worse"), told["robustness"].sentences)
        deck.table(slide, told["robustness"].table, _BOX, most_rows=9)
    if told["pareto_drawing"]:
        deck.picture(
            deck.slide(
                say("Score and cost"), [say("No candidate is both cheaper and better than those on the dashed line.")]
            ),
            told["pareto_drawing"],
            _BOX,
        )
    if record.task == "generation":
        what = say(
            "What is handed over: the weights of {candidate}, which draw a picture from random numbers.",
            candidate=best.candidate,
        )
        prepared = say("The same random numbers give the same picture.")
    else:
        what = say(
            "What is deployed: the weights of {candidate}, the way of preparing a picture, and the names of the classes.",  # noqa: E501
            candidate=best.candidate,
        )
        prepared = say("A picture is prepared for use by the very code that prepared it for training.")
    deploy = [
        what,
        prepared,
        *costs[2:],
        say("Classes: {names}.", names=words.listing(record.classes[:20])) if len(record.classes) <= 20 else "",
        say("Meant for: {use}", use=told["meant_for"]),
    ]
    deck.bullets(deck.slide(say("How to deploy it"), deploy), deploy, _BOX)
    proposals = tell_proposals(study, words, metric)
    if proposals:
        deck.bullets(deck.slide(say("What to try next"), proposals), proposals, _BOX)
    again = [
        portable(record.command),
        words.listing(told["devices"]),
        say("Finished runs are kept: the same command trains only what is missing."),
    ]
    deck.bullets(deck.slide(say("How to reproduce"), again), again, _BOX)


def _tell_published(deck: Deck, published: PublishedPart) -> None:
    """Write what others published on slides of its own, as many as its rows need."""
    rest = published.table
    while rest.rows:
        n_rows = len(_lay_table(rest, rest.rows, _PUBLISHED_BOX).rows)
        shown = [", ".join(filter(None, (*(cell.text for cell in row), row[-1].link))) for row in rest.rows[:n_rows]]
        slide = deck.slide(deck.words.say("Published values"), [published.told, *shown])
        deck.table(slide, rest, _PUBLISHED_BOX, most_rows=n_rows)
        deck.bullets(slide, [published.told], (_MARGIN_IN, _TOP_IN + _PUBLISHED_BOX[3] + 0.15, _FULL_IN, 0.75))
        rest = Table(rest.columns, rest.rows[n_rows:])


def _tell_search(deck: Deck, search: SearchPart, trials: Sequence[str]) -> None:
    """Write the slides of a search: its cost beside its gain with the scores of its trials, then what was found."""
    say, summary = deck.words.say, search.summary
    title = say("{candidate}, searched from {baseline}", candidate=summary.candidate, baseline=summary.of)
    told = [search.cost, *([search.gain[1]] if search.gain else [])]
    slide = deck.slide(title, [*told, *trials])
    deck.bullets(slide, told, _LEFT)
    for drawing, caption in search.drawings[:1]:
        deck.picture(slide, drawing, (_RIGHT[0], _TOP_IN, _RIGHT[2], _BODY_IN - 0.9), width_in=5.2)
        deck.bullets(slide, [caption], (_RIGHT[0], 6.05, _RIGHT[2], 0.8))
    caption = say("The fields that were searched, and what was found.")
    slide = deck.slide(title, [caption])
    deck.table(slide, search.settings, (_MARGIN_IN, _TOP_IN, _FULL_IN, _BODY_IN - 0.8), most_rows=10)
    deck.bullets(slide, [caption], (_MARGIN_IN, 6.3, _FULL_IN, 0.5))


def _tell_combinations(deck: Deck, combined: CombinedPart) -> None:
    """Write the slide on what several answers, networks or epochs together gain and cost."""
    sentences = [sentence for _, sentence in combined.sentences]
    slide = deck.slide(deck.words.say("The best score possible"), [combined.told, *sentences])
    table = pick_columns(combined.table, _COLUMNS_OF_COMBINATIONS)
    left = deck.table(slide, table, (_MARGIN_IN, _TOP_IN, _FULL_IN, 3.6), most_rows=8)
    rest = [deck.words.say_count("{n} other candidate", "{n} other candidates", left)] if left > 0 else []
    deck.bullets(slide, [combined.told, *rest], (_MARGIN_IN, 5.9, _FULL_IN, 1.0))


def _tell_judged(deck: Deck, judged: Judged) -> None:
    """Write the slide on what a detector calls generated pictures."""
    slide = deck.slide(
        deck.words.say("What a detector sees in generated pictures"), [judged.told, judged.caption, judged.caution]
    )
    deck.table(slide, _ends(judged.table, 9, _PHOTOGRAPHS), (_MARGIN_IN, _TOP_IN, _FULL_IN, 4.0), most_rows=9)
    deck.bullets(slide, [judged.told, judged.caution], (_MARGIN_IN, 5.5, _FULL_IN, 1.4))


def _tell_generated(deck: Deck, generated: GeneratedPictures) -> None:
    """Write the slides of a study of generators: samples, measures beside trivial generators, and whether it copies."""
    say = deck.words.say
    told = say("Samples of the first run of each candidate, drawn once and not chosen. None is a photograph.")
    shown = generated.sheets[:_MOST_SHEETS]
    slide = deck.slide(say("What it draws"), [told])
    width_in = (_FULL_IN - _GAP_IN * (len(shown) - 1)) / max(1, len(shown))
    for place, (_, drawing) in enumerate(shown):
        left_in = _MARGIN_IN + place * (width_in + _GAP_IN)
        deck.picture(slide, drawing, (left_in, _TOP_IN, width_in, _BODY_IN - 0.6), width_in=4.0)
    deck.bullets(slide, [told], (_MARGIN_IN, 6.45, _FULL_IN, 0.5))
    slide = deck.slide(say("How near to photographs"), [*generated.plain[:1], *generated.ratios])
    deck.table(
        slide, _ends(generated.measures, 8, len(TRIVIAL_WORDS)), (_MARGIN_IN, _TOP_IN, _FULL_IN, 3.6), most_rows=8
    )
    deck.bullets(slide, generated.ratios[:4], (_MARGIN_IN, 5.2, _FULL_IN, 1.65))
    slide = deck.slide(say("What it comes to, and what failed"), generated.plain)
    deck.bullets(slide, generated.plain[:_MOST_TOLD], _BOX)
    if generated.classes:
        held = say(
            "Each class that a conditional generator was asked for, against held-out photographs of that class, mean "
            "of the runs."
        )
        slide = deck.slide(say("Each class that was asked for"), [held])
        deck.table(slide, generated.classes, _BOX, most_rows=12)
    caption = say(
        "Whether it copies: the generated pictures of {candidate} that lie nearest to a training picture, above that "
        "picture.",
        candidate=generated.candidate,
    )
    slide = deck.slide(say("Does it copy?"), [caption, generated.training_told])
    deck.picture(slide, generated.nearest, (_MARGIN_IN, _TOP_IN, _FULL_IN, 2.6))
    deck.table(slide, generated.training, (_MARGIN_IN, 4.2, _FULL_IN, 2.0), most_rows=4)
    deck.bullets(slide, [caption], (_MARGIN_IN, 6.45, _FULL_IN, 0.5))
