"""A presentation that is being made, in PPTX that can be edited: what is put on a slide fits its box."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etude.core.errors import MissingPartError
from etude.core.extras import install
from etude.figures.theme import Look, to_pixels, to_png
from etude.report.drawings import Drawing
from etude.report.legends import line_of
from etude.report.tables import Cell, Table
from etude.report.words import Words

if TYPE_CHECKING:
    from pptx.slide import Slide

_INK, _MUTED, _BLUE, _TINT = "1F2328", "5D6570", "0072B2", "F4F5F7"
WIDTH_IN, _HEIGHT_IN, MARGIN_IN, TOP_IN = 13.333, 7.5, 0.7, 1.45
BODY_IN = _HEIGHT_IN - TOP_IN - 0.65
FULL_IN = WIDTH_IN - 2 * MARGIN_IN
_DPI = 170
_TITLE_ONLY = 5
"""Place of the layout with a title and nothing else in python-pptx's own template."""
_LANGUAGES = {"fr": "fr-FR", "en": "en-GB"}
"""What programs that show slides call the languages, by which they read aloud and check the spelling."""
_STEPS_S = (5, 10)
"""To what a time to speak is rounded: below a minute, and above."""
_FONT, _MONO = "Arial", "Courier New"
_EM, _BOLD_EM, _LINE, _AFTER = 0.5, 0.56, 1.2, 0.55
"""In sizes of the letters: mean width of one, and of a bold one; height of a line, and what follows a paragraph."""
_SIZES_PT, _LEAST_PT = (*range(20, 11, -1), 11, 10, 9), 12
"""Sizes of sentences; below the least, only what has nothing left that could go into the notes."""
_CELL_SIZES_PT, _ROW_IN = (12, 11, 10, 9), 0.4
"""Sizes of the letters of a table, and the height of a row at the first."""
_LETTER_IN, _TIGHT_IN = 0.11, 0.1
"""Room of a letter in a word of a table: where Arial is not installed, what stands in for it is wider; and what Arial
itself takes, where a table is too wide for that."""
_INSET_IN, _CELL_INSET_IN = 0.1, 0.03
"""What a box and a cell keep free at the sides, and a cell above and below."""
Area = tuple[float, float, float, float]
"""Left, top, width and height in inches."""


class Deck:
    """A presentation that is being made."""

    def __init__(self, words: Words, scratch: Path) -> None:
        try:
            import pptx
        except ImportError:
            raise MissingPartError(f"report: slides need python-pptx. {install('report')}") from None
        from pptx.util import Inches

        self.words = words
        self.scratch = scratch
        self.presentation = pptx.Presentation()
        self.presentation.slide_width, self.presentation.slide_height = Inches(WIDTH_IN), Inches(_HEIGHT_IN)
        self.presentation.core_properties.language = _LANGUAGES[words.language]
        self.part = ""
        self.number = 0
        self._timed: list[tuple[int, list[Slide]]] = []

    def cover(self, title: str, subtitle: str, small: str, notes: str) -> None:
        """Add the first slide, or that which opens a part."""
        slide = self._slide(notes)
        self._title(
            slide, title, (MARGIN_IN, 2.2, FULL_IN, 1.6), size_pt=_fitting(title, ((26, 48), (60, 36), (999, 28)))
        )
        self._write(
            slide,
            subtitle,
            (MARGIN_IN, 3.85, FULL_IN, 1.7),
            size_pt=_text_size([subtitle], FULL_IN, 1.7, (24, 20, 16, 14, 12, 10)),
        )
        self._write(slide, small, (MARGIN_IN, 6.3, FULL_IN, 0.5), size_pt=14, color=_MUTED)
        self._bar(slide)

    def open_part(self, number: int, title: str, minutes: int) -> None:
        """Add the slide that opens a part."""
        self.part = title
        told = self.words.say("{minutes} minutes", minutes=minutes)
        self.cover(
            f"{number}. {title}", told, "", self.words.say("This part takes {minutes} minutes.", minutes=minutes)
        )
        self._timed.append((minutes, []))

    def slide(self, title: str, notes: Sequence[str]) -> Slide:
        """Add a slide with its title and what is said to it."""
        slide = self._slide("\n\n".join(notes))
        size_pt = _text_size([title], FULL_IN, 0.8, range(28, 11, -1), _BOLD_EM)
        self._title(slide, title, (MARGIN_IN, 0.45, FULL_IN, 0.8), size_pt=size_pt)
        self._write(slide, self.part, (MARGIN_IN, 7.0, 9, 0.35), size_pt=11, color=_MUTED)
        self._write(
            slide, str(self.number), (WIDTH_IN - MARGIN_IN - 1, 7.0, 1, 0.35), size_pt=11, color=_MUTED, right=True
        )
        self._bar(slide)
        for _, slides in self._timed[-1:]:
            slides.append(slide)
        return slide

    def tell_times(self) -> None:
        """Say first in the notes of each slide how long to speak: the minutes of its part, shared evenly."""
        for minutes, slides in self._timed:
            for slide in slides:
                frame = slide.notes_slide.notes_text_frame
                time = self.words.duration(_round_time(60 * minutes / len(slides)))
                self._tell_notes(slide, [self.words.say("About {time}.", time=time), frame.text])

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
        told = slide.notes_slide.notes_text_frame.text
        self._tell_notes(slide, [told, *(item for item in items if item not in told)])

    def _tell_notes(self, slide: Slide, items: Iterable[str]) -> None:
        """Write the notes of a slide, in the language of the report."""
        frame = slide.notes_slide.notes_text_frame
        frame.text = "\n\n".join(items)
        for paragraph in frame.paragraphs:
            for run in paragraph.runs:
                self._set_language(run)

    def _set_language(self, run: Any) -> None:  # noqa: ANN401 - python-pptx has no types
        run.font._element.set("lang", _LANGUAGES[self.words.language])

    def table(self, slide: Slide, table: Table, box: Area, most_rows: int = 10) -> int:
        """Add a table that can be edited, its letters small enough to fit; return how many rows did not."""
        from pptx.util import Inches

        laid = lay_table(table, table.rows[:most_rows], box)
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
                    link=cell.link, font=_MONO if cell.kind == "code" else _FONT,
                )  # fmt: skip
        return len(table.rows) - len(laid.rows)

    def picture(self, slide: Slide, drawing: Drawing, box: Area, width_in: float = 7.65) -> None:
        """Add a figure, as large as the box allows, with its description."""
        path, figure = self.scratch / f"{drawing.name}-{self.number}", drawing.draw(width_in)
        if drawing.is_picture:
            path = to_pixels(figure, path, dpi=_DPI)
        else:
            path = to_png(figure, path.with_name(f"{path.name}.png"), dpi=_DPI)
        self.image(slide, path, box, drawing.label)

    def legend(self, slide: Slide, names: Sequence[str], looks: Mapping[str, Look], rest: str = "") -> None:
        """Name the candidates below a figure, each in its colour behind a line like its own; then what is left out."""
        if not names:
            return
        paragraph = self._frame(slide, (MARGIN_IN, 6.6, FULL_IN, 0.4)).paragraphs[0]
        entries = [f"{line_of(looks[name])} {name}     " for name in names]
        size_pt = _text_size(["".join([*entries, rest])], FULL_IN, 0.4, range(13, 5, -1), _BOLD_EM)
        for name, entry in zip(names, entries, strict=True):
            self._run(paragraph, entry, size_pt, looks[name].color.removeprefix("#").upper(), bold=True)
        if rest:
            self._run(paragraph, rest, size_pt, _MUTED)

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
        slide = self.presentation.slides.add_slide(self.presentation.slide_layouts[_TITLE_ONLY])
        self._tell_notes(slide, [notes])
        return slide

    def _title(self, slide: Slide, text: str, box: Area, *, size_pt: float) -> None:
        """Write the title of a slide where outlines and readers of the screen look for it; laid out as other texts."""
        from pptx.enum.text import MSO_ANCHOR, MSO_AUTO_SIZE, PP_ALIGN
        from pptx.util import Inches

        shape: Any = slide.shapes.title
        shape.left, shape.top, shape.width, shape.height = (Inches(side) for side in box)
        frame = shape.text_frame
        frame.word_wrap, frame.auto_size, frame.vertical_anchor = True, MSO_AUTO_SIZE.NONE, MSO_ANCHOR.TOP
        frame.paragraphs[0].alignment = PP_ALIGN.LEFT
        self._run(frame.paragraphs[0], text, size_pt, _INK, bold=True)

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
        self, paragraph: Any, text: str, size_pt: float, color: str, *, bold: bool = False, link: str = "",  # noqa: ANN401
        font: str = _FONT,
    ) -> None:  # fmt: skip
        from pptx.dml.color import RGBColor
        from pptx.util import Pt

        run = paragraph.add_run()
        run.text = text
        run.font.size, run.font.bold, run.font.name = Pt(size_pt), bold, font
        run.font.color.rgb = RGBColor.from_string(color)
        self._set_language(run)
        if link:
            run.hyperlink.address = link

    def _cell(
        self, cell: Any, text: str, numeric: bool, size_pt: float, *, is_head: bool = False, marked: bool = False,  # noqa: ANN401
        bold: bool = False, link: str = "", font: str = _FONT,
    ) -> None:  # fmt: skip
        from pptx.dml.color import RGBColor
        from pptx.enum.text import PP_ALIGN
        from pptx.util import Inches

        cell.fill.solid()
        cell.fill.fore_color.rgb = RGBColor.from_string("E3E7EC" if is_head else _TINT if marked else "FFFFFF")
        cell.margin_top = cell.margin_bottom = Inches(_CELL_INSET_IN)
        paragraph = cell.text_frame.paragraphs[0]
        paragraph.alignment = PP_ALIGN.RIGHT if numeric else PP_ALIGN.LEFT
        self._run(
            paragraph,
            text,
            size_pt,
            _MUTED if is_head else _INK,
            bold=bold and not is_head and font == _FONT,
            link=link,
            font=font,
        )


def _round_time(seconds: float) -> int:
    """Round a time to speak, as nobody speaks to the second.

    >>> _round_time(33.3), _round_time(2), _round_time(85)
    (35, 5, 80)
    """
    step = _STEPS_S[seconds >= 60]
    return max(step, step * round(seconds / step))


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


def lay_table(table: Table, rows: Sequence[Sequence[Cell]], box: Area) -> _Laid:
    """Lay a table out at the largest letters at which it fits a box; at the smallest, leave out its last rows."""
    lines = [[head.heading for head in table.columns], *([cell.text for cell in row] for row in rows)]
    letters = [_longest_word(table, rows, place) for place in range(len(table.columns))]
    for size_pt, letter_in in (*((size_pt, _LETTER_IN) for size_pt in _CELL_SIZES_PT), (_CELL_SIZES_PT[-1], _TIGHT_IN)):
        least_in = [letter_in * size_pt / _CELL_SIZES_PT[0] * (n + 2) for n in letters]
        widths_in = _column_widths(lines, least_in, box[2], size_pt)
        heights_in = [_row_height(texts, widths_in, size_pt) for texts in lines]
        is_low_enough = sum(heights_in) <= box[3] + 1e-6
        if is_low_enough and sum(least_in) <= box[2]:
            break
    if not is_low_enough and len(rows) > 1:
        return lay_table(table, rows[:-1], box)
    return _Laid(rows, size_pt, widths_in, heights_in)


def _row_height(texts: Sequence[str], widths_in: Sequence[float], size_pt: float) -> float:
    """Return the height of a row in inches: that of its longest cell, never less than a plain row's."""
    lines = max(_count_lines(text, width_in, size_pt) for text, width_in in zip(texts, widths_in, strict=True))
    return max(_ROW_IN * size_pt / _CELL_SIZES_PT[0], lines * size_pt * _LINE / 72 + 2 * _CELL_INSET_IN)


def _longest_word(table: Table, rows: Sequence[Sequence[Cell]], place: int) -> int:
    """Return the letters of the longest word of a column, none of which is parted; a command is one word."""
    words = table.columns[place].heading.split()
    for cell in (row[place] for row in rows):
        words += [cell.text] if cell.kind == "code" else cell.text.split()
    return max(map(len, words), default=0)


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


def keep_ends(table: Table, most: int, last: int) -> Table:
    """Keep the last rows of a table, and as many of the first ones as there is room for."""
    if len(table.rows) <= most:
        return table
    return Table(table.columns, (*table.rows[: most - last], *table.rows[-last:]), table.marked)


def pick_columns(table: Table, most: int) -> Table:
    """Keep the first columns of a table."""
    return Table(table.columns[:most], tuple(row[:most] for row in table.rows), table.marked)
