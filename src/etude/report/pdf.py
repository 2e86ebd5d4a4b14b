"""The technical note as PDF: the note's own content, laid out by Typst."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from jinja2 import Environment

from etude.core.errors import EtudeError, MissingPartError
from etude.core.extras import install
from etude.core.files import writing
from etude.figures.theme import WIDE_IN, assign_looks, to_pixels, to_svg
from etude.report.drawings import Drawing
from etude.report.explanations import Explained
from etude.report.legends import typst_dash_of
from etude.report.network import svg_file
from etude.report.note import gather, make_environment
from etude.report.reading import StudyResults, read_results
from etude.report.tables import Table
from etude.report.words import Words

MOST_LAYERS = 80
"""A table of more layers fills pages that nobody reads: the HTML has it."""
_LONG_WORD = 16
_AFTER_SIGN = re.compile(r"[._=/]+(?=\w)")
_LONG_NAME, _FEWEST_COLUMNS = 30, 4
"""Letters from which a name in the first column would break into three lines; columns that a part has at the least."""
_TEXT_WIDTH_IN, _MOST_HEIGHT_IN = 6.7, 8.4  # of a page: a taller figure would be cut


def write_pdf(study_folder: Path, language: str, *, to: Path | None = None) -> Path:
    """Write the note of a study as PDF, whole or not at all; the same records give the same pages.

    Args:
        study_folder: what `etude run` left.
        language: fr or en.
        to: the file to write; none means `report/note.<language>.pdf` in the study's folder.

    Raises:
        MissingPartError: if Typst is not installed.
        MistakeError: if the folder holds no study, a record cannot be read, or the language is unknown.
    """
    path = to or study_folder / "report" / f"note.{language}.pdf"
    study, words = read_results(study_folder, language)
    with tempfile.TemporaryDirectory() as scratch, writing(path) as beside:
        page = Path(scratch) / "note.typ"
        page.write_text(render_typst(study, words, Path(scratch)), "utf-8")
        compile_typst(page, beside)
    return path


def render_typst(study: StudyResults, words: Words, folder: Path) -> str:
    """Return the note as Typst text; its figures are written into `folder`."""
    plates = _Plates(folder, words)
    looks = assign_looks([row.candidate for row in study.record.leaderboard], study.record.baseline)
    return _environment().get_template("note.typ.j2").render(
        _=words.say,
        ngettext=words.say_count,
        words=words,
        looks=looks,
        dash_of=typst_dash_of,
        plate=plates.draw,
        plate_width=lambda drawing: plates.widths[drawing.name],
        sketch=plates.sketch,
        split=split_table,
        most_layers=MOST_LAYERS,
        **gather(study, words, name=str),
    )  # fmt: skip


def compile_typst(page: Path, to: Path) -> None:
    """Make a PDF of a Typst file.

    Raises:
        MissingPartError: if Typst is not installed.
        EtudeError: if the file does not hold: a fault of ours.
    """
    try:
        import typst
    except ImportError:
        raise MissingPartError(f"report: a PDF needs Typst. {install('report')}") from None
    import matplotlib

    fonts = str(Path(matplotlib.get_data_path()) / "fonts" / "ttf")  # those that the figures are set in
    try:
        to.write_bytes(typst.compile(str(page), root=str(page.parent), font_paths=[fonts], format="pdf"))
    except typst.TypstError as error:
        raise EtudeError(f"report: the PDF could not be laid out ({error}).") from error


def split_table(table: Table, most: int) -> Iterator[Table]:
    """Give a wide table as several of at most so many columns, each with the first column; long names take two more."""
    if max((len(row[0].text) for row in table.rows), default=0) > _LONG_NAME:
        most = max(_FEWEST_COLUMNS, most - 2)
    others = range(1, len(table.columns))
    n_parts = max(1, -(-len(others) // (most - 1)))
    size = -(-len(others) // n_parts)
    for start in range(1, len(table.columns), max(1, size)):
        places = [0, *others[start - 1 : start - 1 + size]]
        yield Table(
            tuple(table.columns[place] for place in places),
            tuple(tuple(row[place] for place in places) for row in table.rows),
            table.marked,
        )


def as_string(text: object) -> str:
    r"""Write a text as a string of Typst's language.

    >>> as_string('a "b" \\ c')
    '"a \\"b\\" \\\\ c"'
    """
    escaped = str(text).replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", " ")
    return f'"{escaped}"'


def as_cell(text: object) -> str:
    r"""Write the text of a cell as a string: names that are long without a space may break after a sign.

    >>> as_cell("model.depth"), as_cell("train.optimizer.lr") == '"train.\u200boptimizer.\u200blr"'
    ('"model.depth"', True)
    """
    words = [_AFTER_SIGN.sub("\\g<0>\N{ZERO WIDTH SPACE}", word) if len(word) > _LONG_WORD else word
             for word in str(text).split(" ")]  # fmt: skip
    return as_string(" ".join(words))


def as_text(text: object) -> str:
    """Write a text so that Typst sets it as it is, whatever signs it holds."""
    return f"#{as_string(text)};"


@dataclass
class _Plates:
    """The figures of one document, written as files."""

    folder: Path
    words: Words
    done: dict[str, str] = field(default_factory=dict)
    widths: dict[str, int] = field(default_factory=dict)
    """Width of each figure in percent of the page's."""

    def draw(self, drawing: Drawing) -> str:
        """Write a figure and return its file name."""
        if drawing.name not in self.done:
            figure = drawing.draw(WIDE_IN)
            name = f"{drawing.name}.svg"
            if drawing.is_picture:
                name = to_pixels(figure, self.folder / drawing.name, dpi=200).name
            else:
                (self.folder / name).write_text(to_svg(figure, label=drawing.label), "utf-8")
            width_in, height_in = figure.get_size_inches()
            most = _MOST_HEIGHT_IN / height_in * width_in / _TEXT_WIDTH_IN
            self.widths[drawing.name] = round(100 * min(1.0, width_in / WIDE_IN, most))
            self.done[drawing.name] = name
        return self.done[drawing.name]

    def sketch(self, explained: Explained) -> str:
        """Write the drawing of a network whose layers were explained, and return its file name."""
        assert explained.source.layers is not None
        text = svg_file(explained.source.layers, self.words).replace("sans-serif", "DejaVu Sans")
        (self.folder / "network.svg").write_text(text, "utf-8")
        return "network.svg"


@cache
def _environment() -> Environment:
    return make_environment(autoescape=False, s=as_string, t=as_text, c=as_cell)
