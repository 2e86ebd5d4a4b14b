"""The page of an explained run: its layers, what they see, why it answers as it does; one HTML file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etude.core.errors import MistakeError
from etude.core.files import write_text
from etude.core.study_record import RunRef, StudyRecord
from etude.explain.records import LayersRecord
from etude.report.layer_words import kinds_of, tabulate_layers, tell_layers
from etude.report.network import draw_network, svg_file
from etude.report.note import environment
from etude.report.words import Words

FOLDER = "explain"


@dataclass(frozen=True)
class Explanation:
    """What was written of one run."""

    folder: Path
    """The folder `explain` of the run."""
    ref: RunRef
    """The run."""
    layers: LayersRecord


def read_explanations(study_folder: Path, record: StudyRecord) -> list[Explanation]:
    """Read what was explained of a study's runs, in the order of the leaderboard.

    Raises:
        MistakeError: if a record cannot be read.
    """
    places = {row.candidate: place for place, row in enumerate(record.leaderboard)}
    found = []
    for ref in sorted(record.runs, key=lambda ref: places.get(ref.candidate, len(places))):
        folder = study_folder / "runs" / ref.identity / FOLDER
        if (folder / "layers.json").is_file():
            found.append(Explanation(folder, ref, LayersRecord.load(folder / "layers.json")))
    return found


def write_explanation(study_folder: Path, identity: str, language: str) -> Path:
    """Write the page of one run, and the drawing of its network as a file of its own.

    Raises:
        MistakeError: if the run was not explained, or the language is unknown.
    """
    words = Words(language)
    record = StudyRecord.load(study_folder / "study.json")
    explanation = next(
        (found for found in read_explanations(study_folder, record) if found.ref.identity == identity), None
    )
    if explanation is None:
        raise MistakeError(f"{study_folder / 'runs' / identity}: was not explained. Run `etude explain` first.")
    write_text(explanation.folder / f"network.{language}.svg", svg_file(explanation.layers, words))
    path = explanation.folder / f"explain.{language}.html"
    page = environment().get_template("explain.html.j2")
    write_text(path, page.render(**_gather(record, explanation, words)) + "\n")
    return path


def _gather(record: StudyRecord, explanation: Explanation, words: Words) -> dict[str, Any]:
    """Set out all that the template shows."""
    layers = explanation.layers
    return {
        "_": words.say,
        "ngettext": words.say_count,
        "words": words,
        "study": record.name,
        "candidate": explanation.ref.candidate,
        "identity": explanation.ref.identity,
        "told": tell_layers(layers, words),
        "drawing": draw_network(layers, words),
        "layers": tabulate_layers(layers, words),
        "kinds": kinds_of(layers, words),
        "sight": None,
        "why": None,
        "maps": None,
        "mistakes": None,
    }
