"""What a person would see of slides without opening them: what overlaps, lies outside, is empty, or does not fit.

Arial has the widths of Helvetica, which matplotlib brings along; text is broken into lines by them, as the programs do
that show slides.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import combinations
from pathlib import Path
from typing import Any

import matplotlib
from pptx import Presentation

_EMU, _POINTS = 914_400, 72  # of an inch
_TOLERANCE_IN = 0.05
_LINE = 1.2  # height of a line in sizes of its letters
_UNKNOWN = 600  # width in thousandths of an em of a letter that Helvetica has not
_CELL_SIDE_IN = 0.1  # margin of a cell, where it gives none


@dataclass(frozen=True)
class Box:
    """What takes room on a slide: its place in inches, as it is drawn."""

    what: str
    left: float
    top: float
    right: float
    bottom: float

    def covers(self, other: Box) -> bool:
        """Whether two boxes share more than a line."""
        wide = min(self.right, other.right) - max(self.left, other.left)
        high = min(self.bottom, other.bottom) - max(self.top, other.top)
        return min(wide, high) > _TOLERANCE_IN


def faults_of(path: Path) -> list[str]:
    """Return what is wrong with the slides of a file, a line for each fault."""
    deck = Presentation(str(path))
    size_in = deck.slide_width / _EMU, deck.slide_height / _EMU
    return [
        f"slide {number}: {fault}"
        for number, slide in enumerate(deck.slides, 1)
        for fault in (*_list_misfits(slide), *_list_clashes(slide, size_in))
    ]


def _list_misfits(slide: Any) -> Iterator[str]:
    """Give each text that is empty, or does not fit its box."""
    for shape in slide.shapes:
        if shape.has_table:
            for row in shape.table.rows:
                for cell, column in zip(row.cells, shape.table.columns, strict=True):
                    room_in = column.width / _EMU - 2 * _CELL_SIDE_IN
                    if _widest_word(cell.text_frame) > room_in + _TOLERANCE_IN:
                        yield f"a word of {cell.text!r} is wider than its column"
        elif _is_text(shape):
            if not shape.text_frame.text.strip():
                yield "an empty text"
            needed_in = _height(shape.text_frame, shape.width / _EMU - 0.2) + 0.1
            if needed_in > shape.height / _EMU + _TOLERANCE_IN:
                yield f"{shape.text_frame.text[:60]!r} needs {needed_in:.2f} in and has {shape.height / _EMU:.2f}"


def _list_clashes(slide: Any, size_in: tuple[float, float]) -> Iterator[str]:
    """Give each box that leaves its slide, and each pair that overlaps; a plain surface is a background."""
    boxes = [_box(shape) for shape in slide.shapes if shape.has_table or shape.shape_type == 13 or _is_text(shape)]
    for box in boxes:
        if min(box.left, box.top) < 0 or box.right > size_in[0] + 0.01 or box.bottom > size_in[1] + 0.01:
            yield f"{box.what} leaves the slide"
    for one, other in combinations(boxes, 2):
        if one.covers(other):
            yield f"{one.what} and {other.what} overlap"


def _is_text(shape: Any) -> bool:
    return bool(shape.has_text_frame) and shape.shape_type in (14, 17)  # a placeholder, a text box


def _box(shape: Any) -> Box:
    left, top = shape.left / _EMU, shape.top / _EMU
    height_in = (
        sum(_row_height(shape.table, row) for row in shape.table.rows) if shape.has_table else shape.height / _EMU
    )
    width_in = sum(column.width for column in shape.table.columns) / _EMU if shape.has_table else shape.width / _EMU
    what = "a table" if shape.has_table else repr(shape.text_frame.text[:40]) if shape.has_text_frame else "a picture"
    return Box(what, left, top, left + width_in, top + height_in)


def _row_height(table: Any, row: Any) -> float:
    """Return the height of a row as it is drawn: it grows with its text."""
    needed = [
        _height(cell.text_frame, column.width / _EMU - 2 * _CELL_SIDE_IN)
        + (cell.margin_top + cell.margin_bottom) / _EMU
        for cell, column in zip(row.cells, table.columns, strict=True)
    ]
    return max(row.height / _EMU, *needed)


def _height(frame: Any, width_in: float) -> float:
    """Return the height in inches that the paragraphs of a frame take at a width."""
    points = 0.0
    for paragraph in frame.paragraphs:
        size_pt = max((run.font.size.pt for run in paragraph.runs if run.font.size), default=18.0)
        after_pt = paragraph.space_after.pt if paragraph.space_after is not None else 0.0
        points += _count_lines(paragraph, width_in) * size_pt * _LINE + after_pt
    last = frame.paragraphs[-1].space_after
    return (points - (last.pt if last is not None else 0.0)) / _POINTS


def _count_lines(paragraph: Any, width_in: float) -> int:
    """Return in how many lines a paragraph is set, broken at spaces."""
    lines, filled = 1, 0.0
    for run in paragraph.runs:
        for word in run.text.split(" "):
            wide = _width(word, run)
            if filled and filled + wide > width_in:
                lines, filled = lines + 1, 0.0
            filled += wide + _width(" ", run)
    return lines


def _widest_word(frame: Any) -> float:
    words = [(word, run) for paragraph in frame.paragraphs for run in paragraph.runs for word in run.text.split()]
    return max((_width(word, run) for word, run in words), default=0.0)


def _width(text: str, run: Any) -> float:
    """Return the width of a text in inches."""
    widths = _widths(bold=bool(run.font.bold))
    plain = unicodedata.normalize("NFKD", text)
    thousandths = sum(widths.get(letter, _UNKNOWN) for letter in plain if not unicodedata.combining(letter))
    return thousandths / 1000 * run.font.size.pt / _POINTS


@cache
def _widths(*, bold: bool) -> dict[str, int]:
    """Return the width of each letter of ASCII in thousandths of an em."""
    name = "Helvetica-Bold.afm" if bold else "Helvetica.afm"
    metrics = Path(matplotlib.get_data_path()) / "fonts" / "pdfcorefonts" / name
    found = {}
    for line in metrics.read_text("latin-1").splitlines():
        if line.startswith("C ") and 32 <= int(line.split()[1]) < 127:
            found[chr(int(line.split()[1]))] = int(line.split()[4])
    return found
