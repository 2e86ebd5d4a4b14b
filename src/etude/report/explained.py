"""The page of an explained run: its layers, what they see, why it answers as it does; one HTML file."""

from __future__ import annotations

from pathlib import Path

from etude.core.errors import MistakeError
from etude.core.files import write_text
from etude.report.explanations import read_explanations, set_out
from etude.report.network import svg_file
from etude.report.note import environment
from etude.report.reading import read_results
from etude.report.walk import write_walk


def write_explanation(study_folder: Path, identity: str, language: str) -> Path:
    """Write the page of one run, and the drawings of its networks, where their layers are known, as files of their own.

    Raises:
        MistakeError: if the run was not explained, or the language is unknown.
    """
    study, words = read_results(study_folder, language)
    found = read_explanations(study)
    explanation = next((entry for entry in found if entry.ref.identity == identity), None)
    if explanation is None:
        raise MistakeError(f"{study_folder / 'runs' / identity}: was not explained. Run `etude explain` first.")
    drawn = {"network": explanation.layers, "network-discriminator": explanation.discriminator}
    for name, layers in drawn.items():
        if layers is not None:
            write_text(explanation.folder / f"{name}.{language}.svg", svg_file(layers, words))
    write_walk(explanation.folder, study.record.name, words)
    path = explanation.folder / f"explain.{language}.html"
    page = environment().get_template("explain.html.j2")
    told = {"_": words.say, "ngettext": words.say_count, "words": words, "study": study.record.name}
    write_text(path, page.render(**told, ref=explanation.ref, explained=set_out(explanation, study, words)) + "\n")
    return path
