"""Every format of a study's report, by name."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from etude.core.errors import MissingPartError
from etude.core.extras import require
from etude.core.files import write_bytes
from etude.core.registry import Registry
from etude.report.markdown import write_markdown
from etude.report.messages import read_messages
from etude.report.note import write_note
from etude.report.notebook import write_notebook
from etude.report.pdf import write_pdf
from etude.report.project import write_project
from etude.report.slides import write_slides

Done = Mapping[str, list[Path]]
Writer = Callable[[Path, str, Done], list[Path]]
FORMATS: Registry[Writer] = Registry("format")
"""Each takes a study's folder, a language and what the others have written in it just now; it gives what it wrote."""


@FORMATS.register("note")
def _write_note(study_folder: Path, language: str, done: Done) -> list[Path]:
    """Write the page, and the same as PDF where Typst is installed."""
    written = [write_note(study_folder, language)]
    with contextlib.suppress(MissingPartError):
        written.append(write_pdf(study_folder, language))
    return written


@FORMATS.register("slides")
def _write_slides(study_folder: Path, language: str, done: Done) -> list[Path]:
    return [write_slides(study_folder, language)]


@FORMATS.register("notebook")
def _write_notebook(study_folder: Path, language: str, done: Done) -> list[Path]:
    return [write_notebook(study_folder, language)]


@FORMATS.register("project")
def _write_project(study_folder: Path, language: str, done: Done) -> list[Path]:
    made = {name: done[name][0] for name in ("note", "notebook") if done.get(name)}
    return [write_project(study_folder, language, made=made)]


@FORMATS.register("markdown")
def _write_markdown(study_folder: Path, language: str, done: Done) -> list[Path]:
    """Write the page last: it points to the others that lie beside it."""
    return write_markdown(study_folder, language)


_NEEDS = {"slides": "pptx", "notebook": "nbformat"}
"""What a format is written with that the extra brings."""
_KEPT = ("leaderboard.csv", "verdicts.json")
"""What a copy of a report has beside it."""


def write_reports(
    study_folder: Path, formats: Iterable[str], languages: Iterable[str], *, to: Path | None = None
) -> list[Path]:
    """Write a study's report in these formats and languages, and return the paths.

    Args:
        study_folder: what `etude run` left.
        formats: names of formats, or all.
        languages: fr, en.
        to: a folder that gets a copy of what is written, with the leaderboard and the verdicts; what else lies there
            stays.

    Raises:
        MistakeError: if a format or a language is unknown, or the folder holds no study.
        MissingPartError: if a format needs something that is not installed.
    """
    asked = [name for entry in formats for name in (FORMATS.names() if entry == "all" else (entry,))]
    writers = {name: FORMATS[name] for name in sorted(asked, key="markdown".__eq__)}  # the page last: it has links
    require(f"report {', '.join(writers)}", "report", [_NEEDS[name] for name in writers if name in _NEEDS])
    catalogues = [read_messages(language) for language in languages]  # an unknown one is refused before any is written
    written = []
    for language in (catalogue.language for catalogue in catalogues):
        done: dict[str, list[Path]] = {}
        for name, write in writers.items():
            done[name] = write(study_folder, language, done)
            written += done[name]
    if to is None:
        return written
    copies = _copy([*written, *_beside(study_folder)], to)
    if "markdown" in writers:  # anew, to point to what lies there
        for language in (catalogue.language for catalogue in catalogues):
            write_markdown(study_folder, language, to=to)
    return copies


def _beside(study_folder: Path) -> list[Path]:
    """Return the study's own tables that are there."""
    return [path for name in _KEPT if (path := study_folder / name).is_file()]


def _copy(paths: Iterable[Path], folder: Path) -> list[Path]:
    """Copy files and folders, each file whole or not at all, and return where they lie."""
    copies = []
    for path in paths:
        files = (path,) if path.is_file() else sorted(inner for inner in path.rglob("*") if inner.is_file())
        for file in files:
            write_bytes(folder / file.relative_to(path.parent), file.read_bytes())
        copies.append(folder / path.name)
    return copies
