"""What was explained of a study's runs, read and set out for any report."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from etude.core.study_record import RunRef, StudyRecord
from etude.explain.records import LayersRecord
from etude.report.chapters import Chapter
from etude.report.layer_words import kinds_of, tabulate_layers, tell_lacking, tell_layers
from etude.report.network import Sketch, draw_network
from etude.report.reading import StudyResults
from etude.report.sights import gather_chapters
from etude.report.tables import Table
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


@dataclass(frozen=True)
class Explained:
    """An explanation set out in one language."""

    source: Explanation
    told: list[str]
    """What the layers come to."""
    drawing: Sketch
    layers: Table
    kinds: list[tuple[str, str]]
    """Each kind of layer and what it does."""
    lacking: list[str]
    """Why chapters are missing that this network cannot have, a sentence each."""
    chapters: list[Chapter]
    """What it sees, why it answers, its data, its errors: as far as they were explained."""

    @property
    def names(self) -> list[str]:
        """Names of the chapters that there are."""
        return [chapter.name for chapter in self.chapters]


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


def set_out(explanation: Explanation, words: Words) -> Explained:
    """Set an explanation out."""
    layers = explanation.layers
    return Explained(
        explanation,
        tell_layers(layers, words),
        draw_network(layers, words),
        tabulate_layers(layers, words),
        kinds_of(layers, words),
        tell_lacking(layers, words),
        gather_chapters(explanation.folder, words),
    )


def explain_best(study: StudyResults, words: Words) -> Explained | None:
    """Set out the explanation of the best candidate that was explained; none where none was."""
    found = read_explanations(study.folder, study.record)
    return set_out(found[0], words) if found else None
