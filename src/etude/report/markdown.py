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
"""The figures of the page, beside one for each ablation; the note has all."""
_COLON = {"en": ":", "fr": "\N{NO-BREAK SPACE}:"}


def write_markdown(study_folder: Path, language: str, *, to: Path | None = None) -> list[Path]:
    """Write leaderboard, verdicts, command and machine of a study as Markdown, with figures beside.

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
    shown: dict[str, Drawing] = {
        name: drawing for name in _SHOWN if (drawing := content[f"{name}_drawing"]) is not None
    }
    ablations = {f"ablation-{place}": entry for place, entry in enumerate(content["ablations"], 1)}
    shown |= {name: entry.influence or entry.drawing for name, entry in ablations.items()}
    files = {name: folder / f"{name}.{language}.svg" for name in shown}
    for name, file in files.items():
        write_text(file, to_svg(shown[name].draw(WIDE_IN), label=shown[name].label))
    page = folder / ("README.md" if language == "en" else f"README.{language}.md")
    text = _environment().get_template("results.md.j2").render(
        _=words.say, ngettext=words.say_count, words=words, colon=_COLON[language],
        figures={name: file for name, file in files.items() if name in _SHOWN},
        ablation_figures=[files[name] for name in ablations], **content,
    )  # fmt: skip
    write_text(page, re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n")
    return [page, *files.values()]


def as_cell(text: object) -> str:
    r"""Write a text so that it stays in its cell.

    >>> as_cell("a | b\nc")
    'a \\| b c'
    """
    return str(text).replace("|", "\\|").replace("\n", " ")


@cache
def _environment() -> Environment:
    return make_environment(autoescape=False, cell=as_cell)
