"""The results of a study as a page of Markdown, to stand beside its study file in a repository."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

from jinja2 import Environment

from etude.core.files import write_text
from etude.figures.theme import WIDE_IN, to_svg
from etude.report.drawings import Drawing
from etude.report.note import gather, make_environment
from etude.report.reading import read_study
from etude.report.words import Words

_SHOWN = ("leaderboard", "pareto")
"""The figures of the page; the note has all."""
_COLON = {"en": ":", "fr": "\N{NO-BREAK SPACE}:"}


def write_markdown(study_folder: Path, language: str, *, to: Path | None = None) -> list[Path]:
    """Write leaderboard, verdicts, command and machine of a study as Markdown, with two figures beside.

    Args:
        study_folder: what `etude run` left: the folder that holds `study.json`.
        language: fr or en.
        to: the folder to write into; none means `report/` in the study's folder.

    Returns:
        The page (`README.md`, or `README.fr.md`) and its figures (SVG).

    Raises:
        MistakeError: if the folder holds no study, a record cannot be read, or the language is unknown.
    """
    words, study = Words(language), read_study(study_folder, language)
    folder = to or study_folder / "report"
    content = gather(study, words, name="`{}`".format)
    figures: dict[str, Path] = {}
    for name in _SHOWN:
        drawing: Drawing | None = content[f"{name}_drawing"]
        if drawing is not None:
            figures[name] = folder / f"{name}.{language}.svg"
            write_text(figures[name], to_svg(drawing.draw(WIDE_IN), label=drawing.label))
    page = folder / ("README.md" if language == "en" else f"README.{language}.md")
    text = _environment().get_template("results.md.j2").render(
        _=words.say, ngettext=words.say_count, words=words, figures=figures, colon=_COLON[language], **content
    )  # fmt: skip
    write_text(page, re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n")
    return [page, *figures.values()]


def as_cell(text: object) -> str:
    r"""Write a text so that it stays in its cell.

    >>> as_cell("a | b\nc")
    'a \\| b c'
    """
    return str(text).replace("|", "\\|").replace("\n", " ")


@cache
def _environment() -> Environment:
    return make_environment(autoescape=False, cell=as_cell)
