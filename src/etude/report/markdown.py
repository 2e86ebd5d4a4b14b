"""The results of a study as a page of Markdown, to stand beside its study file in a repository."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from jinja2 import Environment

from etude.core.files import write_bytes, write_text
from etude.figures.theme import WIDE_IN, to_svg
from etude.report.candidates import list_candidates
from etude.report.data_told import tell_check
from etude.report.drawings import Drawing
from etude.report.messages import mark
from etude.report.note import gather, make_environment
from etude.report.reading import read_results
from etude.report.words import Words

_COLON = {"en": ":", "fr": "\N{NO-BREAK SPACE}:"}
_BESIDE = {
    "note.{}.pdf": mark("technical note"),
    "notebook.{}.ipynb": mark("notebook"),
    "slides.{}.pptx": mark("slides"),
}
"""The other formats that a page points to where they lie beside it, and what they are called."""


def write_markdown(study_folder: Path, language: str, *, to: Path | None = None) -> list[Path]:
    """Write candidates, leaderboard, verdicts and what else the note says first, with figures beside.

    Where PDF, notebook or slides of the language lie in the folder already, the page points to them.

    Args:
        study_folder: what `etude run` left: the folder that holds `study.json`.
        language: fr or en.
        to: the folder to write into; none means `report/` in the study's folder.

    Returns:
        The page (`README.md`, or `README.fr.md`) and its figures (SVG; WebP of photographs with their masks; PNG where
        a figure is a picture file).

    Raises:
        MistakeError: if the folder holds no study, a record cannot be read, or the language is unknown.
    """
    study, words = read_results(study_folder, language)
    folder = to or study_folder / "report"
    figures = _Figures(folder, language)
    page = folder / ("README.md" if language == "en" else f"README.{language}.md")
    told = gather(study, words, name="`{}`".format)
    text = _environment().get_template("results.md.j2").render(
        _=words.say, ngettext=words.say_count, words=words, colon=_COLON[language], figure=figures.write,
        checked=tell_check(study, words), beside=_link_beside(folder, words),
        **told | {"candidates": list_candidates(study, words, told["settings"], as_code)},
    )  # fmt: skip
    write_text(page, re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n")
    return [page, *figures.written]


def _link_beside(folder: Path, words: Words) -> str:
    """Link to the other formats that lie in a folder; empty where none does."""
    names = {name.format(words.language): label for name, label in _BESIDE.items()}
    return words.listing(f"[{words.say(label)}]({name})" for name, label in names.items() if (folder / name).is_file())


@dataclass
class _Figures:
    """The figures of one page, written beside it as the page names them."""

    folder: Path
    language: str
    written: list[Path] = field(default_factory=list)

    def write(self, drawing: Drawing, name: str = "", *, is_photo: bool = False) -> str:
        """Write a figure, by its own name where none is given, and return that of its file.

        A picture file goes as it is: it says in itself that it is generated, and by which run. Photographs become
        pixels.
        """
        name = name or drawing.name
        if drawing.file is not None:
            path = self.folder / f"{name}{drawing.file.suffix}"
            write_bytes(path, drawing.file.read_bytes())
        elif is_photo:
            path = self.folder / f"{name}.{self.language}.webp"
            write_bytes(path, drawing.webp())
        else:
            path = self.folder / f"{name}.{self.language}.svg"
            write_text(path, to_svg(drawing.draw(WIDE_IN), label=drawing.label))
        self.written.append(path)
        return path.name


def as_cell(text: object) -> str:
    r"""Write a text so that it stays in its cell.

    >>> as_cell("a | b\nc")
    'a \\| b c'
    """
    return str(text).replace("|", "\\|").replace("\n", " ")


def as_code(text: object) -> str:
    r"""Write a text as code in a line, whatever backticks it holds.

    >>> as_code("a\nb"), as_code("a `b`")
    ('`a b`', '`` a `b` ``')
    """
    line = " ".join(str(text).split())
    return f"`` {line} ``" if "`" in line else f"`{line}`"


@cache
def _environment() -> Environment:
    return make_environment(autoescape=False, cell=as_cell, code=as_code)
