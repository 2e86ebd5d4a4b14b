"""What was explained of a study's runs, read and set out for any report."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from etude.core.study_record import RunRef
from etude.evaluate.final import final_candidate
from etude.explain.records import DISCRIMINATOR_FILE, LAYERS_FILE, LayersRecord
from etude.report.chapters import Chapter
from etude.report.layer_words import caption_layers, kinds_of, tabulate_layers, tell_lacking, tell_layers
from etude.report.network import Sketch, draw_network
from etude.report.reading import StudyResults
from etude.report.sights import gather_chapters, has_chapters
from etude.report.tables import Table
from etude.report.words import MetricWords, Words
from etude.study.deploying import best_run

FOLDER = "explain"


@dataclass(frozen=True)
class Explanation:
    """What was written of one run."""

    folder: Path
    """The folder `explain` of the run."""
    ref: RunRef
    """The run."""
    final: str
    """The candidate that is handed over, which need not be the run's; empty where none has a score."""
    layers: LayersRecord | None
    """Its layers, of a generator those of the generator itself; none where only other parts were explained."""
    discriminator: LayersRecord | None = None
    """The layers of the discriminator that a generator was trained against; none of other networks."""

    @property
    def is_of_final(self) -> bool:
        """Whether it is of the candidate that is handed over."""
        return self.ref.candidate == self.final


@dataclass(frozen=True)
class Explained:
    """An explanation set out in one language."""

    source: Explanation
    heading: str
    """What the chapter of its layers is called: it names the candidate."""
    told: list[str]
    """What the layers come to."""
    drawing: Sketch | None
    """The drawing of the network; none where its layers were not explained."""
    drawing_told: str
    """What is said below it."""
    layers: Table | None
    """Its layers, one a row; none where they were not explained."""
    layers_caption: str
    """In which order they stand there; empty where there is no table."""
    kinds: list[tuple[str, str]]
    """Each kind of layer and what it does."""
    lacking: list[str]
    """Why chapters are missing that this network cannot have, a sentence each."""
    discriminator: Chapter | None
    """The layers of the discriminator that a generator was trained against; none of other networks."""
    chapters: list[Chapter]
    """That of the discriminator, where there is one; what it sees, why it answers, its data, its errors: as far as they
    were explained."""

    @property
    def contents(self) -> list[tuple[str, str]]:
        """What stands in the note: the anchor and the heading of each chapter."""
        layers = [("layers", self.heading)] if self.layers else []
        return layers + [(f"explained-{chapter.name}", chapter.heading) for chapter in self.chapters]


def read_explanations(study: StudyResults) -> list[Explanation]:
    """Read what was explained of a study's runs: the run that is handed over first, then by the leaderboard.

    Runs whose layers were explained come before others of their candidate.

    Raises:
        MistakeError: if a record cannot be read.
    """
    record = study.record
    places = {row.candidate: place for place, row in enumerate(record.leaderboard)}
    final = final_candidate(record)
    own = study.runs_of(final)
    handed_over = best_run(record, {final: own})[0].identity if own else ""
    found = []
    for ref in record.runs:
        folder = study.folder / "runs" / ref.identity / FOLDER
        layers, discriminator = (
            LayersRecord.load(folder / name) if (folder / name).is_file() else None
            for name in (LAYERS_FILE, DISCRIMINATOR_FILE)
        )
        if layers is not None or has_chapters(folder):
            found.append(Explanation(folder, ref, final, layers, discriminator))
    return sorted(
        found,
        key=lambda entry: (
            not entry.is_of_final,
            entry.ref.identity != handed_over,
            places.get(entry.ref.candidate, len(places)),
            entry.layers is None,
        ),
    )


def set_out(explanation: Explanation, study: StudyResults, words: Words) -> Explained:
    """Set an explanation out."""
    layers, name = explanation.layers, explanation.ref.candidate
    drawing = draw_network(layers, words) if layers else None
    discriminator = _tell_discriminator(explanation.discriminator, words)
    return Explained(
        source=explanation,
        heading=words.say("Layers of the final generator, {candidate}", candidate=name)
        if explanation.is_of_final and layers is not None and layers.side == "generator"
        else words.say("Layers of the final network, {candidate}", candidate=name)
        if explanation.is_of_final
        else words.say("Layers of {candidate}", candidate=name),
        told=[*tell_network(study, explanation.ref, words), *tell_layers(layers, words)] if layers else [],
        drawing=drawing,
        drawing_told=_tell_drawing(layers, drawing, words) if layers and drawing else "",
        layers=tabulate_layers(layers, words) if layers else None,
        layers_caption=caption_layers(layers, words) if layers else "",
        kinds=kinds_of([entry for entry in (layers, explanation.discriminator) if entry], words),
        lacking=tell_lacking(layers, words) if layers else [],
        discriminator=discriminator,
        chapters=[*([discriminator] if discriminator else []), *gather_chapters(explanation.folder, words)],
    )


def _tell_discriminator(layers: LayersRecord | None, words: Words) -> Chapter | None:
    """Set out the layers of a discriminator; what its kinds of layer do is told beside the generator's."""
    if layers is None:
        return None
    told = [
        words.say("The network that the generator was trained against: it tells generated pictures from photographs."),
        *tell_layers(layers, words),
    ]
    heading = words.say("Layers of the discriminator")
    return Chapter(
        "discriminator", heading, told, tables=[(tabulate_layers(layers, words), caption_layers(layers, words))]
    )


def _tell_drawing(layers: LayersRecord, drawing: Sketch, words: Words) -> str:
    if layers.side == "generator":
        told = words.say(
            "From the latent vector (top) to the picture. The wider a bar, the larger the map; the colour is that of "
            "the kind of layer. At the right, share of the multiply-adds."
        )
    else:
        told = words.say(
            "From the picture (top) to the answer. The wider a bar, the larger the map; the colour is that of the kind of "  # noqa: E501
            "layer. At the right, share of the multiply-adds."
        )
    return told + " " + words.say("Arcs go round residual blocks.") if drawing.has_arcs else told


def tell_network(study: StudyResults, ref: RunRef, words: Words) -> list[str]:
    """Say which of the networks of a candidate one is, and what it scores itself; nothing where it is the only one."""
    runs, metric = study.runs_of(ref.candidate), study.record.metric
    run = next((run for run in runs if (run.seed, run.fold) == (ref.seed, ref.fold)), None)
    row = next((row for row in study.record.leaderboard if row.candidate == ref.candidate), None)
    if run is None or row is None or row.score is None or metric not in run.test or len(runs) < 2:
        return []
    write = MetricWords(words, metric, [row.interval_runs]).score
    places = {
        "n": words.count(len(runs)),
        "seed": ref.seed,
        "fold": ref.fold,
        "test": write(run.test[metric]),
        "mean": write(row.score),
    }
    if ref.fold is None:
        told = words.say(
            "This is one network of {n}, that of seed {seed}: {test} on the test part, where the mean of all is "
            "{mean}.",
            **places,
        )
    else:
        told = words.say(
            "This is one network of {n}, that of seed {seed} and fold {fold}: {test} on the test part of its fold, "
            "where the mean of all is {mean}.",
            **places,
        )
    return [told]


def explain_final(study: StudyResults, words: Words) -> Explained | None:
    """Set out the explanation of the candidate that is handed over; none where nothing was explained.

    Where another was explained in its place, every heading names it, and the first sentence says so.
    """
    found = read_explanations(study)
    if not found:
        return None
    explained = set_out(found[0], study, words)
    return explained if found[0].is_of_final else _name_other(explained, words)


def _name_other(explained: Explained, words: Words) -> Explained:
    """Say of an explanation that it is not of the candidate that is handed over."""
    name, final = explained.source.ref.candidate, explained.source.final
    warning = words.say(
        "What follows was explained of {candidate}; the final candidate, {final}, was not explained.",
        candidate=name,
        final=final,
    )
    chapters = [replace(chapter, heading=f"{chapter.heading} ({name})") for chapter in explained.chapters]
    if explained.layers:
        return replace(explained, told=[warning, *explained.told], chapters=chapters)
    return replace(explained, chapters=[replace(chapters[0], told=[warning, *chapters[0].told]), *chapters[1:]])
