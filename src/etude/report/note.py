"""The technical note: one HTML file that holds all it shows, the study's page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from etude.core.files import write_text
from etude.core.run_record import RunRecord
from etude.core.study_record import StudyRecord
from etude.core.translated import in_language
from etude.evaluate.final import final_candidate
from etude.figures.confusion import list_confusions
from etude.report.ablations import gather_ablations, tell_ablation_correction
from etude.report.again import portable
from etude.report.answer import AnswerTeller
from etude.report.bounds import tell_bounds
from etude.report.candidates import list_candidates
from etude.report.captions import (
    caption_detectors,
    caption_errors,
    caption_masks,
    caption_pixels,
    caption_robustness,
)
from etude.report.choices import list_card_facts, read_card, tell_also, tell_metric, tell_sizes, tell_use
from etude.report.combinations import gather_combinations
from etude.report.data_told import list_data_sheet, tell_leaks
from etude.report.detectors import gather_detectors
from etude.report.drawings import Artist, Drawing
from etude.report.explanations import explain_final
from etude.report.failures import tell_failure
from etude.report.generated import gather_generated
from etude.report.judged import gather_judged
from etude.report.limits import list_board_notes, list_limits, tell_correction
from etude.report.masks import gather_masks
from etude.report.messages import LANGUAGES
from etude.report.published import gather_published
from etude.report.reading import StudyResults, read_results
from etude.report.recorded import tell_device, tell_recorded
from etude.report.robustness import gather_robustness
from etude.report.searches import gather_searches
from etude.report.settings import Change, list_changes, read_settings
from etude.report.splits import list_folds, tell_split
from etude.report.tables import (
    Cell,
    Column,
    Table,
    caption_counts,
    tabulate_counts,
    tabulate_leaderboard,
    tabulate_pixels,
    tabulate_runs,
    tabulate_verdicts,
    tell_columns,
)
from etude.report.training_told import tabulate_training, tell_chosen, tell_needs
from etude.report.transfer import gather_transfer
from etude.report.words import MetricWords, Words


def write_note(study_folder: Path, language: str, *, to: Path | None = None) -> Path:
    """Write the note of a study in one language, whole or not at all.

    The same records give the same bytes. No number is computed here: they are read from the records.

    Args:
        study_folder: what `etude run` left: the folder that holds `study.json`.
        language: fr or en.
        to: the file to write; none means `report/note.<language>.html` in the study's folder.

    Returns:
        The path of the file.

    Raises:
        MistakeError: if the folder holds no study, a record cannot be read, or the language is unknown.
        StorageError: if the file cannot be written.
    """
    study, words = read_results(study_folder, language)
    path = to or study_folder / "report" / f"note.{language}.html"
    write_text(path, render_note(study, words))
    return path


def render_note(study: StudyResults, words: Words) -> str:
    """Return the note as HTML text."""
    template = environment().get_template("note.html.j2")
    return template.render(_=words.say, ngettext=words.say_count, words=words, **gather(study, words)) + "\n"


@cache
def environment() -> Environment:
    """Return the templates of this package; all that they show is escaped."""
    return make_environment(autoescape=True)


def make_environment(*, autoescape: bool, **filters: Callable[[object], str]) -> Environment:
    """Return the templates of this package with filters of one format."""
    made = Environment(
        loader=PackageLoader("etude.report"),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"portable": portable, **filters}
    return made


@dataclass(frozen=True)
class Errors:
    """Where a candidate errs."""

    candidate: str
    n_runs: int
    drawing: Drawing
    pairs: Table


BOLD = Markup('<b class="name">{}</b>').format


def gather(study: StudyResults, words: Words, name: Callable[[str], str] = BOLD) -> dict[str, Any]:
    """Set out all that a report shows, whatever its format.

    Args:
        study: the study, read.
        words: the language.
        name: sets off the name of a candidate in a sentence.
    """
    record = study.record
    metric = MetricWords(words, record.metric, [row.interval_runs for row in record.leaderboard])
    artist = Artist(study, words, metric)
    teller = AnswerTeller(words, metric, name=name)
    settings = read_settings(study)
    reference = record.baseline if record.baseline in settings else next(iter(settings), None)
    split = record.config.get("data", {}).get("split")
    split = {**split, "kind": record.split_kind or split.get("kind", "auto")} if isinstance(split, dict) else None
    finished = sorted((run for run in study.runs.values()), key=lambda run: run.finished_at)
    verdicts = [verdict for verdict in record.verdicts if not verdict.group]
    swatches = artist.swatches()
    final = final_candidate(record)
    of_baseline = None
    if record.baseline not in (None, final) and any(run.steps for run in study.runs_of(record.baseline or "")):
        of_baseline = _find_errors(study, words, artist, record.baseline or "", "confusion-baseline")
    detectors, errors, masks = (
        gather_detectors(study, words, artist),
        _find_errors(study, words, artist, final),
        gather_masks(study, words, artist),
    )
    robustness = gather_robustness(study, words, metric)
    generated = gather_generated(study, words, artist)
    beside = [generated.beside] if generated is not None and generated.beside else []
    bounds = tell_bounds(record, words, teller.name)
    answer = [*teller.tell_answer(record), *bounds, *beside]
    leaderboard = tabulate_leaderboard(record, words, metric)
    return {
        "study": study,
        "record": record,
        "metric": metric,
        "finished": finished,
        "answer": answer,
        "bounds": bounds,
        "candidates": list_candidates(study, words, settings, str),
        "trained_for": _tell_time(record, words),
        "verdict_sentences": [
            (verdict.verdict, teller.tell_with_costs(verdict, record.leaderboard)) for verdict in verdicts
        ],
        "leaderboard": leaderboard,
        "leaderboard_notes": list_board_notes(record, words),
        "leaderboard_columns": tell_columns(leaderboard, words),
        "chosen_told": tell_chosen(record, finished, words),
        "training": tabulate_training(study, words),
        "needs": tell_needs(record, finished, words),
        "leaderboard_drawing": artist.draw_leaderboard(),
        "few_leaderboard": artist.draw_leaderboard(record.names_without_variants),
        "published": gather_published(record, words),
        "verdicts": tabulate_verdicts(verdicts, words, metric, record.leaderboard),
        "verdicts_drawing": artist.draw_verdicts(verdicts),
        "correction": tell_correction(verdicts, words),
        "ablations": gather_ablations(record, artist, teller, settings),
        "ablation_correction": tell_ablation_correction(record, words),
        "searches": gather_searches(artist, teller),
        "combinations": gather_combinations(record, words, metric, teller),
        "transfer": gather_transfer(study, words, metric, teller),
        "curves_drawing": artist.draw_curves(),
        "curves_told": artist.tell_curves(),
        "few_curves": artist.draw_curves([swatch.name for swatch in swatches if swatch.shown]),
        "gaps_drawing": artist.draw_gaps(),
        "gaps_told": artist.tell_gaps(),
        "swatches": swatches,
        "pareto_drawing": artist.draw_pareto(),
        "detectors": detectors,
        "errors": errors,
        "errors_of_baseline": of_baseline,
        "masks": masks,
        "generated": generated,
        "judged": gather_judged(study, words),
        "robustness": robustness,
        "captions": {
            "detectors": caption_detectors(detectors, words) if detectors else {},
            "errors": caption_errors(errors, words) if errors else {},
            "errors_of_baseline": caption_errors(of_baseline, words) if of_baseline else {},
            "masks": caption_masks(masks, words) if masks else {},
            "robustness": caption_robustness(words),
            "pixels": caption_pixels(words),
        },
        "counts": tabulate_counts(record, words),
        "counts_told": caption_counts(record, words),
        "pixels": tabulate_pixels(record, words),
        "data": {"source": None, "split": None} | record.config.get("data", {}),
        "split_told": [
            *(tell_split(split, words, of_masks=record.task == "segmentation") if split else []),
            tell_leaks(study, words),
        ],
        "data_sheet": list_data_sheet(study, words),
        # What its author says of a study weighs more than what is true of all.
        "limits": [*_list_remarks(record, words.language), *list_limits(record, finished, words, metric)],
        "reference": reference,
        "reference_settings": settings.get(reference or "", {}),
        "settings": settings,
        "changes": _list_changes(settings, record.names_without_variants, reference),
        "failures": [
            (row.candidate, tell_failure(sentence, words)) for row in record.leaderboard for sentence in row.failed
        ],
        "notes": [
            (told := tell_recorded(note, words), names, told == note and words.language != "en")
            for note, names in _list_notes(study)
        ],
        "runs": tabulate_runs(study, words, metric),
        "seeds": sorted({ref.seed for ref in record.runs}),
        "folds": list_folds(record, words),
        "devices": _list_devices(record, finished, words),
        "versions": record.versions or (finished[-1].versions if finished else {}),
        "final": final,
        "metric_why": tell_metric(record, words),
        "also_why": tell_also(record, words),
        "card": read_card(study, words),
        "card_facts": list_card_facts(study, teller),
        "sizes": tell_sizes(study, words),
        "meant_for": tell_use(record, words),
        "explained": explain_final(study, words),
        "other_languages": _other_languages(record.config, words.language),
    }


def _tell_time(record: StudyRecord, words: Words) -> str:
    """Say how long all trainings took together; empty where nothing was trained."""
    if not record.seconds:
        return ""
    duration = words.duration(record.seconds)
    if record.searches:
        return words.say("{duration} of training, searches included", duration=duration)
    return words.say("{duration} of training", duration=duration)


def _find_errors(
    study: StudyResults, words: Words, artist: Artist, candidate: str, name: str = "confusion"
) -> Errors | None:
    """Read what a candidate takes for what, where its predictions were kept."""
    runs = study.runs_of(candidate)
    counts_KK = study.count_answers(candidate)
    if counts_KK is None:
        return None
    columns = (
        Column(words.say("true class"), numeric=False),
        Column(words.say("answer"), numeric=False),
        Column(words.say("pixels") if study.record.task == "segmentation" else words.say("pictures")),
        Column(words.say("share of the class")),
    )
    rows = tuple(
        (
            Cell(pair.truth),
            Cell(pair.predicted),
            Cell(words.count(pair.count), pair.count),
            Cell(words.percent(pair.share), pair.share),
        )
        for pair in list_confusions(counts_KK, study.record.classes)
    )
    return Errors(candidate, len(runs), artist.draw_confusion(counts_KK, name), Table(columns, rows))


def _list_changes(
    settings: dict[str, dict[str, str]], names: Sequence[str], reference: str | None
) -> dict[str, list[Change]]:
    """Return what each of some candidates changes in the reference's configuration."""
    before = settings.get(reference or "", {})
    return {
        name: list_changes(before, after) for name, after in settings.items() if name in names and name != reference
    }


def _list_notes(study: StudyResults) -> list[tuple[str, list[str]]]:
    """Return each recorded note once, with the candidates that it concerns; none for the study's own."""
    notes: dict[str, list[str]] = {note: [] for note in study.record.notes}
    for ref in study.record.runs:
        run = study.runs.get(ref.identity)
        for note in run.notes if run is not None else ():
            names = notes.setdefault(note, [])
            if ref.candidate not in names and note not in study.record.notes:
                names.append(ref.candidate)
    return list(notes.items())


def _list_devices(record: StudyRecord, finished: Iterable[RunRecord], words: Words) -> list[str]:
    """Tell on what the runs were made, each machine once with its precision; before the first run that of the study."""
    made_on = sorted({(run.device, run.precision) for run in finished})
    if not made_on:
        return [tell_device(record.device, words)] if record.device else []
    return [f"{tell_device(device, words)} ({precision})" for device, precision in made_on]


def _list_remarks(record: StudyRecord, language: str) -> list[str]:
    """Return what the study file says that a reader must know."""
    report = record.config.get("report")
    return [
        in_language(remark, language) for remark in (report.get("remarks") or () if isinstance(report, dict) else ())
    ]


def _other_languages(config: dict[str, Any], language: str) -> list[str]:
    """Return the other languages that the study asks its report in."""
    report = config.get("report")
    asked = report.get("languages", ()) if isinstance(report, dict) else ()
    return [other for other in LANGUAGES if other in asked and other != language]
