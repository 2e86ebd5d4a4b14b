"""The results of a study as a page of Markdown, to stand beside its study file in a repository."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import Any

from jinja2 import Environment

from etude.core.files import write_bytes, write_text
from etude.core.run_record import RunRecord
from etude.core.study_record import Combination
from etude.figures.theme import WIDE_IN, to_svg
from etude.models.card import Card
from etude.report.card_words import tell_card
from etude.report.cards import find_card
from etude.report.combinations import tell_combined
from etude.report.data_told import tell_check
from etude.report.drawings import Drawing
from etude.report.messages import mark
from etude.report.note import gather, make_environment
from etude.report.reading import StudyResults, read_results
from etude.report.settings import list_changes
from etude.report.training_told import size_of, tell_size
from etude.report.transfer import start_of, tell_start, tell_way
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
        candidates=list_candidates(study, words, told["settings"]), checked=tell_check(study, words),
        beside=_link_beside(folder, words), **told,
    )  # fmt: skip
    write_text(page, re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n")
    return [page, *figures.written]


def _link_beside(folder: Path, words: Words) -> str:
    """Link to the other formats that lie in a folder; empty where none does."""
    names = {name.format(words.language): label for name, label in _BESIDE.items()}
    return words.listing(f"[{words.say(label)}]({name})" for name, label in names.items() if (folder / name).is_file())


def list_candidates(
    study: StudyResults, words: Words, settings: Mapping[str, Mapping[str, str]]
) -> list[tuple[str, str]]:
    """Return each candidate that the study file names and what it is, in the order of the plan.

    Variants of ablations are left out, as are candidates without a finished run. Of two that read the same, the later
    one tells which settings it has of its own.

    Args:
        study: the study, read.
        words: the language.
        settings: the flat configuration of each candidate.
    """
    variants = {name for group in study.record.ablations for name in group.candidates}
    listed: dict[str, str] = {}
    for name in dict.fromkeys(ref.candidate for ref in study.record.runs if ref.candidate not in variants):
        runs = [run for run in study.runs_of(name) if run.config]
        if not runs:
            continue
        parts = list(_tell_candidate(study, name, runs, words))
        alike = next((other for other, told in listed.items() if told == _join(parts, words)), None)
        if alike is not None:
            parts += _tell_apart(alike, settings.get(alike, {}), settings.get(name, {}), words)
        listed[name] = _join(parts, words)
    return list(listed.items())


def _join(parts: Sequence[str], words: Words) -> str:
    return words.apart(part.removesuffix(".") for part in parts) + "."


def _tell_candidate(study: StudyResults, name: str, runs: Sequence[RunRecord], words: Words) -> Iterator[str]:
    """Say what a candidate is, piece by piece; of one that combines another's trainings, what it makes of them."""
    entry = next((entry for entry in study.record.combinations if entry.candidate == name), None)
    if entry is not None:
        yield words.say("like {candidate}", candidate=as_code(entry.of))
        yield words.say("what is averaged: {what}", what=tell_combined(entry, words))
        return
    config = runs[0].config
    card = find_card(study.folder, str(config.get("model", {}).get("name", "")))
    card = tell_card(card, words) if card else None
    if card is not None and not any(run.steps for run in runs):
        yield card.sentence
        return
    yield from _tell_network(config, card, words)
    yield from _tell_training(config, runs, words, has_epochs=study.record.task != "generation")
    yield from (
        words.say("its settings were searched, from those of {candidate}", candidate=as_code(search.of))
        for search in study.record.searches
        if search.candidate == name
    )
    own = Combination(candidate=name, of=name, combine=config.get("combine") or {})
    if combined := tell_combined(own, words):
        yield words.say("what is averaged: {what}", what=combined)


def _tell_network(config: Mapping[str, Any], card: Card | None, words: Words) -> Iterator[str]:
    """Say what a network is called, what its encoder is, and which weights it starts from."""
    model = config.get("model", {})
    name = str(model.get("name", ""))
    if card is None:
        yield as_code(name)
    else:
        yield card.title if name in card.title else f"{card.title} ({as_code(name)})"
    if model.get("encoder"):
        yield words.say("encoder {name}", name=as_code(model["encoder"]))
    if start := start_of(config):
        yield words.say("pretrained weights ({weights})", weights=tell_start(start))
    else:
        yield words.say("random weights at the start")


def _tell_training(
    config: Mapping[str, Any], runs: Sequence[RunRecord], words: Words, *, has_epochs: bool
) -> Iterator[str]:
    """Say what a network was shown, for how long, and what of one with pretrained weights is trained."""
    train = config.get("train", {})
    if size := size_of(config, windows=False):
        yield words.say("pictures of {size} pixels", size=tell_size(size, words))
    if train.get("crop_px") and (window := size_of(config)):
        yield words.say("learnt from in windows of {size}", size=tell_size(window, words))
    if (items := config.get("data", {}).get("split", {}).get("train_items")) is not None:
        yield words.say_count("{n} training picture", "{n} training pictures", int(items))
    judged = (train.get("adversarial") or {}).get("augment") or ()
    if used := config.get("augment", {}).get("use"):
        yield words.say("augmentation: {names}", names=", ".join(map(as_code, used)))
    elif not judged:
        yield words.say("no augmentation")
    if judged:
        names = ", ".join(map(as_code, judged))
        yield words.say("augmentation of all that the discriminator sees: {names}", names=names)
    epochs = round(fmean(run.epochs for run in runs))
    if epochs and has_epochs:
        yield words.say_count("{n} epoch", "{n} epochs", epochs)
    else:
        yield words.say_count("{n} step", "{n} steps", round(fmean(run.steps for run in runs)))
    if start_of(config):
        yield words.say("what is trained: {what}", what=tell_way(config, words))


def _tell_apart(other: str, before: Mapping[str, str], after: Mapping[str, str], words: Words) -> Iterator[str]:
    """Say which settings tell a candidate from another one; nothing where none is known."""
    changes = list_changes(before, after)
    if changes:
        fields = words.listing(as_code(f"{change.field}={change.after}") for change in changes)
        yield words.say("unlike {candidate} in {fields}", candidate=as_code(other), fields=fields)


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
