"""The presentation: 5 + 10 + 10 minutes, for those who decide and for the one who deploys; PPTX that can be edited.

Text and tables are PowerPoint's own; figures are pictures with a description. Every number is read from a record.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from etude.core.files import writing
from etude.core.study_record import LeaderboardRow
from etude.evaluate.final import final_row
from etude.figures.sight import ROW_IN
from etude.figures.theme import assign_looks
from etude.report.ablations import Ablation
from etude.report.again import portable
from etude.report.captions import tell_commonest
from etude.report.chapters import Chapter, Exhibit
from etude.report.combinations import CombinedPart
from etude.report.contact import draw_contact
from etude.report.data_told import tell_balance, tell_cleaning, tell_leaks, tell_licence, tell_picture_sizes
from etude.report.deck import BODY_IN, FULL_IN, MARGIN_IN, TOP_IN, WIDTH_IN, Deck, keep_ends, lay_table, pick_columns
from etude.report.deployment import gather_deployment, tell_macs
from etude.report.failures import join_pieces
from etude.report.generated import GeneratedPictures
from etude.report.generated_told import TRIVIAL_WORDS
from etude.report.judged import Judged
from etude.report.limits import tell_choice, tell_few_runs
from etude.report.note import Errors, gather
from etude.report.proposals import tell_proposals
from etude.report.published import PublishedPart
from etude.report.reading import StudyResults, read_results
from etude.report.searches import SearchPart
from etude.report.splits import tell_folds
from etude.report.tables import Table
from etude.report.transfer import TransferPart
from etude.report.words import MetricWords, Words


def write_slides(study_folder: Path, language: str, *, to: Path | None = None) -> Path:
    """Write the presentation of a study, whole or not at all.

    Args:
        study_folder: what `etude run` left.
        language: fr or en.
        to: the file to write; none means `report/slides.<language>.pptx` in the study's folder.

    Raises:
        MissingPartError: if python-pptx is not installed.
        MistakeError: if the folder holds no study, a record cannot be read, or the language is unknown.
    """
    path = to or study_folder / "report" / f"slides.{language}.pptx"
    study, words = read_results(study_folder, language)
    with tempfile.TemporaryDirectory() as scratch, writing(path) as beside:
        deck = Deck(words, Path(scratch))
        _tell(deck, study, gather(study, words, name=str))
        deck.tell_times()
        deck.presentation.core_properties.title = study.record.name
        deck.presentation.save(str(beside))
    return path


def _tell(deck: Deck, study: StudyResults, told: dict[str, Any]) -> None:
    """Write every slide."""
    record, words, metric = study.record, deck.words, told["metric"]
    say = words.say
    finished = told["finished"]
    day = words.date(finished[-1].finished_at) if finished else ""
    deck.cover(record.name, record.question, " · ".join(filter(None, [say("Étude · presentation"), day])),
               say("Twenty-five minutes: 5 for the problem and the data, 10 for the paths, 10 for the final model."))  # fmt: skip  # noqa: E501
    deck.open_part(1, say("Problem, cleaning, exploration"), 5)
    _tell_problem(deck, study, told)
    deck.open_part(2, say("The modelling paths"), 10)
    _tell_paths(deck, study, told, metric)
    deck.open_part(3, say("The final model"), 10)
    _tell_final(deck, study, told, metric)


def _tell_latency(row: LeaderboardRow, words: Words) -> str:
    """Write how long an answer takes, and by how much that varies; empty where it was not measured."""
    if row.latency_ms is None:
        return ""
    told = words.say("latency of one picture: {value} ms", value=words.significant(row.latency_ms))
    if row.latency_q1_ms is None or row.latency_q3_ms is None:
        return told
    low, high = words.significant(row.latency_q1_ms), words.significant(row.latency_q3_ms)
    return told + words.say(" (half of the calls between {low} and {high})", low=low, high=high)


def _tell_size(row: LeaderboardRow, words: Words) -> str:
    """Write how large the weights are; empty where it is not known."""
    if row.size_mb is None:
        return ""
    return words.say("size of the weights: {value} MB", value=words.significant(row.size_mb))


_BOX = (MARGIN_IN, TOP_IN, FULL_IN, BODY_IN)
_LEFT = (MARGIN_IN, TOP_IN, 5.2, BODY_IN)
_MOST_SHEETS, _GAP_IN = 4, 0.25
_MOST_SEARCHES, _MOST_ABLATIONS, _MOST_LIMITS = 4, 6, 6
_MOST_GAINS = 4  # in the notes on score and cost
_MOST_TOLD = 6  # paragraphs that fit a slide: what the measures are, and five candidates
_COLUMNS_OF_COMBINATIONS = 7  # up to the latency: training time and size of the weights are in the note
_PUBLISHED_BOX = (MARGIN_IN, TOP_IN, FULL_IN, 4.5)  # what is said of published values stands below them
_LEFT_OUT_IN = 0.4  # below a table, what it leaves out
_MOST_JUDGED = 1  # sentences on generators beside the table of a judgement; the notes have all
_PHOTOGRAPHS = 2  # the last rows of a judgement, with which the others are compared
_USUAL_IN, _TWO_BESIDE_IN = 7.65, 10.5
"""Widths at which figures are drawn; from the second on two pictures with their masks stand side by side."""
_RIGHT = (6.2, TOP_IN, WIDTH_IN - 6.2 - MARGIN_IN, BODY_IN)


def _tell_problem(deck: Deck, study: StudyResults, told: dict[str, Any]) -> None:
    record, words = study.record, deck.words
    say = words.say
    pictures = ""
    if sizes := record.sizes:
        counts = {part: words.count(sizes.get(part, 0)) for part in ("train", "validation", "test")}
        pictures = say("{train} pictures to learn from, {validation} to choose by, {test} to judge by.", **counts)
        if record.n_folds > 1:
            pictures = say(
                "In the first of {folds}: {train} pictures to learn from, {validation} to choose by, {test} to judge "
                "by; over all of them every picture is in a test part.",
                folds=tell_folds(record, words),
                **counts,
            )
    deck.bullets(
        deck.slide(say("The question"), [record.question, told["metric_why"]]),
        [
            record.question,
            words.say_count("{n} class", "{n} classes", len(record.classes)),
            say("Classes: {names}.", names=words.listing(record.classes)) if len(record.classes) <= 12 else "",
            pictures,
            told["metric_why"],
        ],
        _BOX,
    )
    balance = tell_balance(record, words)
    slide = deck.slide(say("The data"), [*filter(None, [pictures, balance])])
    left = deck.table(slide, told["counts"], _LEFT, most_rows=12) - 1  # the last row is that of all classes
    rest = [words.say_count("{n} other class", "{n} other classes", left)] if left > 0 else []
    why = say("The test part is opened once, by a finished run: what is chosen on it would no longer be judged by it.")
    told_of_data = [pictures, balance, tell_picture_sizes(study, words), why, tell_leaks(study, words), *rest]
    deck.bullets(slide, told_of_data, _RIGHT)
    _tell_pictures(deck, study)
    if study.findings is None:
        findings = [say("The data were not checked for duplicates, leaks or mislabelled pictures.")]
    elif not study.findings:
        findings = [say("The data check found nothing amiss.")]
    else:
        findings = [finding.sentence for finding in study.findings]
    more = [words.say_count("{n} other finding", "{n} other findings", len(findings) - 6)] if len(findings) > 6 else []
    done = tell_cleaning(study, words)
    slide = deck.slide(say("What the data check found, and what was done"), [*findings, *done])
    deck.bullets(slide, [*findings[:6], *more, *done], _BOX)


def _tell_pictures(deck: Deck, study: StudyResults) -> None:
    """Show training pictures of each class, with their terms; nothing where the pictures are not at hand."""
    words = deck.words
    sheet = draw_contact(study, words)
    if sheet is None:
        return
    terms = tell_licence(study.record.licence, words)
    told = [
        words.say("Pictures of the training part, evenly spread over it and not chosen."),
        words.say("Their terms: {terms}", terms=terms) if terms else "",
        words.say_count("{n} other class", "{n} other classes", sheet.n_left) if sheet.n_left else "",
    ]
    more = [tell_picture_sizes(study, words), tell_balance(study.record, words)]
    slide = deck.slide(words.say("What the pictures look like"), [*filter(None, [*told, *more])])
    deck.picture(slide, sheet.drawing, (MARGIN_IN, TOP_IN, FULL_IN, BODY_IN - 0.8))
    deck.bullets(slide, [" ".join(filter(None, told))], (MARGIN_IN, 6.1, FULL_IN, 0.8))


def _tell_paths(deck: Deck, study: StudyResults, told: dict[str, Any], metric: MetricWords) -> None:
    record, words = study.record, deck.words
    say = words.say
    by_run = say("The path, run by run, is in the notebook.")
    slide = deck.slide(say("The leaderboard"), [*told["answer"], told["chosen_told"], by_run])
    left = deck.table(slide, pick_columns(told["leaderboard"], 7), (*_BOX[:3], 4.95), most_rows=11)
    rest = words.say_count("{n} other candidate", "{n} other candidates", left) if left > 0 else ""
    below = " · ".join(filter(None, [rest, tell_few_runs(record, words)]))
    if below:
        deck.bullets(slide, [below], (MARGIN_IN, 6.5, FULL_IN, 0.4))
    if told["few_leaderboard"]:
        deck.picture(deck.slide(say("Score and intervals"), told["answer"]), told["few_leaderboard"], _BOX)
    if told["published"]:
        _tell_published(deck, told["published"])
    if told["curves_drawing"]:
        shown = [swatch.name for swatch in told["swatches"] if swatch.shown]
        left = len(told["swatches"]) - len(shown)
        more = _tell_left(left, words)
        slide = deck.slide(say("How they learnt"), [told["curves_told"], *more])
        deck.picture(slide, told["few_curves"], (MARGIN_IN, 1.25, FULL_IN, 5.3))
        looks = assign_looks([row.candidate for row in record.leaderboard], record.baseline)
        deck.legend(slide, shown, looks, "".join(more))
    if told["verdict_sentences"]:
        sentences = [sentence for _, sentence in told["verdict_sentences"]]
        slide = deck.slide(say("What was shown, and what was not"), [*sentences, told["correction"]])
        deck.picture(slide, told["verdicts_drawing"], _RIGHT, width_in=5.2)
        deck.bullets(slide, [*told["answer"][:4], told["correction"]], _LEFT)
    if told["bounds"]:
        slide = deck.slide(say("What was asked, and what came of it"), told["bounds"])
        deck.bullets(slide, told["bounds"], _BOX)
    shown_ablations = told["ablations"][:_MOST_ABLATIONS]
    for ablation in shown_ablations:
        more = _tell_left_ablations(told["ablations"], words) if ablation is shown_ablations[-1] else []
        sentences = [sentence for _, sentence in ablation.sentences]
        slide = deck.slide(
            ablation.title, [*filter(None, [ablation.gap]), *sentences, *filter(None, [told["ablation_correction"]])]
        )
        deck.picture(slide, ablation.influence or ablation.drawing, _RIGHT, width_in=5.2)
        deck.bullets(slide, [ablation.gap, *sentences[:5], *_tell_left(len(sentences) - 5, words), *more], _LEFT)
    for search in (shown_searches := told["searches"][:_MOST_SEARCHES]):
        more = _tell_left(len(told["searches"]) - _MOST_SEARCHES, words) if search is shown_searches[-1] else []
        _tell_search(deck, search, [say("The trials, one by one, are in the notebook.")], more)
    if told["transfer"]:
        _tell_transfer(deck, told["transfer"])
    if told["combinations"]:
        _tell_combinations(deck, told["combinations"])
    failed = [
        say("A run of {candidate} failed:", candidate=candidate) + " " + join_pieces(pieces, words)
        for candidate, pieces in told["failures"]
    ]
    if failed:
        deck.bullets(deck.slide(say("What failed"), failed), failed, _BOX)


def _tell_final(deck: Deck, study: StudyResults, told: dict[str, Any], metric: MetricWords) -> None:
    record, words = study.record, deck.words
    say = words.say
    final = final_row(record)
    if final is None:
        deck.bullets(deck.slide(say("The final model"), told["answer"]), told["answer"], _BOX)
        return
    costs = [
        say("parameters: {value}", value=words.short(final.params)) if final.params is not None else "",
        tell_macs(final, next(iter(study.runs_of(final.candidate)), None), words),
        _tell_size(final, words),
        _tell_latency(final, words),
    ]
    is_first = final.candidate == next(row.candidate for row in record.leaderboard if row.score is not None)
    facts = [say("{name}: {told}", name=name, told=fact) for name, fact in told["card_facts"]]
    deck.bullets(
        deck.slide(say("The final model: {candidate}", candidate=final.candidate), told["answer"]),
        [told["answer"][0] if is_first else facts[0], tell_choice(record, words), *costs],
        _BOX,
    )
    of_study = [note for note, names, is_english in told["notes"] if not names and not is_english]
    if limits := [*of_study, *told["limits"]]:
        shown = limits[:_MOST_LIMITS]
        left = _tell_left(len(limits) - len(shown), words)
        deck.bullets(deck.slide(say("Limits"), limits), [*shown, *left], _BOX)
    if told["explained"]:
        explained = told["explained"]
        if explained.layers:
            kinds = [say("{name}: {told}", name=name, told=what) for name, what in explained.kinds]
            heading = say("Its layers") if explained.source.is_of_final else explained.heading
            slide = deck.slide(heading, [*explained.told, *explained.lacking, *kinds])
            deck.bullets(slide, [*explained.told, *explained.lacking, *kinds[:3]], _BOX)
        for part in explained.chapters:
            for exhibit in part.exhibits[:1]:
                if part.name == "map":
                    _tell_map(deck, part, exhibit)
                    continue
                width_in = _TWO_BESIDE_IN if part.name == "errors" and record.task == "segmentation" else _USUAL_IN
                slide = deck.slide(part.heading, [*part.told, exhibit.caption])
                deck.picture(slide, exhibit.drawing, _BOX, width_in=width_in)
    if told["errors"]:
        _tell_errors(deck, say("Where it errs"), told["errors"], told["captions"]["errors"])
    if told["errors_of_baseline"]:
        captions = told["captions"]["errors_of_baseline"]
        _tell_errors(deck, say("Where the baseline errs"), told["errors_of_baseline"], captions)
    if told["generated"]:
        _tell_generated(deck, told["generated"])
    if told["judged"]:
        _tell_judged(deck, told["judged"])
    if told["masks"]:
        masks, captions = told["masks"], told["captions"]["masks"]
        if masks.drawing:
            slide = deck.slide(say("Masks"), [captions["drawing"], captions["told"]])
            deck.picture(slide, masks.drawing, _BOX, width_in=_TWO_BESIDE_IN)
        slide = deck.slide(say("Each class"), [captions["classes"], told["metric_why"]])
        _lay(deck, slide, masks.few, BODY_IN)
    if told["detectors"]:
        captions = told["captions"]["detectors"]
        deck.picture(
            deck.slide(say("As a detector"), [captions["told"], captions["drawing"]]), told["detectors"].drawing, _BOX
        )
    if told["robustness"]:
        slide = deck.slide(say("When pictures are worse"), told["robustness"].sentences)
        _lay(deck, slide, told["robustness"].table, BODY_IN, most_rows=9)
    if told["pareto_drawing"]:
        gains = [sentence for word, sentence in told["verdict_sentences"] if word == "better"]  # with what they cost
        line = say("No candidate is both cheaper and better than those on the dashed line.")
        slide = deck.slide(say("Score and cost"), [line, *gains[:_MOST_GAINS]])
        deck.picture(slide, told["pareto_drawing"], _BOX)
    _tell_deployment(deck, study, told)
    proposals = tell_proposals(study, words, metric)
    if proposals:
        deck.bullets(deck.slide(say("What to try next"), proposals), proposals, _BOX)
    again = [
        portable(record.command),
        words.listing(told["devices"]),
        say("Finished runs are kept: the same command trains only what is missing."),
    ]
    deck.bullets(deck.slide(say("How to reproduce"), again), again, _BOX)


def _tell_errors(deck: Deck, title: str, errors: Errors, captions: dict[str, str]) -> None:
    """Write the slide of what a candidate takes for what."""
    notes = [captions["told"], tell_commonest(errors, deck.words), captions["drawing"]]
    slide = deck.slide(title, [*filter(None, notes)])
    deck.picture(slide, errors.drawing, (MARGIN_IN, TOP_IN, 6.2, BODY_IN))
    if errors.pairs.rows:
        deck.table(slide, errors.pairs, (7.2, TOP_IN, WIDTH_IN - 7.2 - MARGIN_IN, BODY_IN), most_rows=8)


def _tell_deployment(deck: Deck, study: StudyResults, told: dict[str, Any]) -> None:
    """Write what is deployed, and the commands that do it with this study's name."""
    record, words = study.record, deck.words
    say = words.say
    deployment = gather_deployment(study, words)
    if deployment is None:
        return
    row = deployment.row
    if record.task == "generation":
        what = say(
            "What is handed over: the weights of {candidate}, which draw a picture from random numbers.",
            candidate=row.candidate,
        )
        prepared = say("The same random numbers give the same picture.")
    else:
        what = say(
            "What is deployed: the weights of {candidate}, the way of preparing a picture, and the names of the classes.",  # noqa: E501
            candidate=row.candidate,
        )
        prepared = say("A picture is prepared for use by the very code that prepared it for training.")
    deploy = [
        what,
        *deployment.told,
        prepared,
        _tell_size(row, words),
        _tell_latency(row, words),
        say("Classes: {names}.", names=words.listing(record.classes[:20])) if len(record.classes) <= 20 else "",
        say("Meant for: {use}", use=told["meant_for"]),
    ]
    deck.bullets(deck.slide(say("How to deploy it"), deploy), deploy, _BOX)
    if deployment.commands is not None:
        shown = [say("{name}: {told}", name=row[0].text, told=row[1].text) for row in deployment.commands.rows]
        where = say(
            "The first is for where the study was run; the others need the file and Étude's runtime alone, without "
            "PyTorch."
        )
        slide = deck.slide(say("How to deploy it: the commands"), [where, *shown])
        deck.table(slide, deployment.commands, (MARGIN_IN, TOP_IN, FULL_IN, BODY_IN - 1.2))
        deck.bullets(slide, [where], (MARGIN_IN, 6.1, FULL_IN, 0.7))


def _tell_published(deck: Deck, published: PublishedPart) -> None:
    """Write what others published on slides of its own, as many as its rows need."""
    rest = published.table
    while rest.rows:
        n_rows = len(lay_table(rest, rest.rows, _PUBLISHED_BOX).rows)
        shown = [", ".join(filter(None, (*(cell.text for cell in row), row[-1].link))) for row in rest.rows[:n_rows]]
        slide = deck.slide(deck.words.say("Published values"), [published.told, *shown])
        deck.table(slide, rest, _PUBLISHED_BOX, most_rows=n_rows)
        deck.bullets(slide, [published.told], (MARGIN_IN, TOP_IN + _PUBLISHED_BOX[3] + 0.15, FULL_IN, 0.75))
        rest = Table(rest.columns, rest.rows[n_rows:])


def _tell_left(left: int, words: Words) -> list[str]:
    """Say how many things more the note holds; nothing where none is left."""
    return [words.say_count("{n} more is in the note", "{n} more are in the note", left)] if left > 0 else []


def _tell_left_ablations(ablations: Sequence[Ablation], words: Words) -> list[str]:
    """Name the ablations that have no slide; nothing where each has one."""
    left = [ablation.title for ablation in ablations[_MOST_ABLATIONS:]]
    return [words.say("In the note besides: {ablations}.", ablations=words.listing(left))] if left else []


def _lay(deck: Deck, slide: Any, table: Table, height_in: float, *, most_rows: int = 0, last: int = 0) -> None:  # noqa: ANN401
    """Write a table as wide as the slide, its last rows kept if so many are asked for, and what is left out."""
    box, most = (
        (MARGIN_IN, TOP_IN, FULL_IN, height_in - _LEFT_OUT_IN),
        min(most_rows or len(table.rows), len(table.rows)),
    )
    kept = keep_ends(table, most, last)
    while last and most > last + 1 and len(lay_table(kept, kept.rows, box).rows) < len(kept.rows):
        most -= 1
        kept = keep_ends(table, most, last)
    left = len(table.rows) - len(kept.rows) + deck.table(slide, kept, box, most_rows=len(kept.rows))
    if left:
        place = (MARGIN_IN, TOP_IN + height_in - _LEFT_OUT_IN, FULL_IN, _LEFT_OUT_IN)
        deck.bullets(slide, _tell_left(left, deck.words), place)


def _tell_search(deck: Deck, search: SearchPart, trials: Sequence[str], more: Sequence[str]) -> None:
    """Write the slides of a search: its cost beside its gain with the scores of its trials, then what was found."""
    say, summary = deck.words.say, search.summary
    title = say("{candidate}, searched from {baseline}", candidate=summary.candidate, baseline=summary.of)
    told = [search.cost, *([search.gain[1]] if search.gain else [])]
    slide = deck.slide(title, [*told, *trials])
    deck.bullets(slide, told, _LEFT)
    for drawing, caption in search.drawings[:1]:
        deck.picture(slide, drawing, (_RIGHT[0], TOP_IN, _RIGHT[2], BODY_IN - 0.9), width_in=5.2)
        deck.bullets(slide, [caption], (_RIGHT[0], 6.05, _RIGHT[2], 0.8))
    caption = say("The fields that were searched, and what was found.")
    slide = deck.slide(title, [caption, *told[1:]])
    left = deck.table(slide, search.settings, (MARGIN_IN, TOP_IN, FULL_IN, BODY_IN - 0.8), most_rows=10)
    deck.bullets(slide, [caption, *_tell_left(left, deck.words), *more], (MARGIN_IN, 6.3, FULL_IN, 0.5))


def _tell_transfer(deck: Deck, part: TransferPart) -> None:
    """Write the slide on networks that start from pretrained weights beside those that start from chance."""
    sentences = [sentence for _, sentence in part.sentences]
    slide = deck.slide(deck.words.say("Transfer"), [part.told, *sentences])
    _lay(deck, slide, part.table, 3.6)
    deck.bullets(slide, [*sentences[:3], *_tell_left(len(sentences) - 3, deck.words)], (MARGIN_IN, 5.2, FULL_IN, 1.7))


def _tell_combinations(deck: Deck, combined: CombinedPart) -> None:
    """Write the slide on what several answers, networks or epochs together gain and cost."""
    sentences = [sentence for _, sentence in combined.sentences]
    slide = deck.slide(deck.words.say("The best score possible"), [combined.told, *sentences])
    table = pick_columns(combined.table, _COLUMNS_OF_COMBINATIONS)
    left = deck.table(slide, table, (MARGIN_IN, TOP_IN, FULL_IN, 3.6), most_rows=8)
    rest = [deck.words.say_count("{n} other candidate", "{n} other candidates", left)] if left > 0 else []
    deck.bullets(slide, [combined.told, *rest], (MARGIN_IN, 5.9, FULL_IN, 1.0))


def _tell_judged(deck: Deck, judged: Judged) -> None:
    """Write the slide on what a detector calls generated pictures."""
    notes = [judged.told, *judged.plain, judged.caption, judged.caution]
    slide = deck.slide(deck.words.say("What a detector sees in generated pictures"), notes)
    _lay(deck, slide, judged.table, 4.2, most_rows=9, last=_PHOTOGRAPHS)
    deck.bullets(slide, [*judged.plain[:_MOST_JUDGED], judged.caution], (MARGIN_IN, 5.5, FULL_IN, 1.4))


def _tell_map(deck: Deck, part: Chapter, exhibit: Exhibit) -> None:
    """Show the maps of the data side by side, and below them what was measured of what they seem to show."""
    slide = deck.slide(part.heading, [*part.told, exhibit.caption])
    deck.picture(slide, exhibit.drawing, (MARGIN_IN, TOP_IN, FULL_IN, 3.6), width_in=ROW_IN)
    deck.bullets(slide, part.told, (MARGIN_IN, 5.15, FULL_IN, 1.7))


def _tell_generated(deck: Deck, generated: GeneratedPictures) -> None:
    """Write the slides of a study of generators: samples, measures beside trivial generators, and whether it copies."""
    say = deck.words.say
    told = say("Samples of the first run of each candidate, drawn once and not chosen. None is a photograph.")
    shown = generated.sheets[:_MOST_SHEETS]
    slide = deck.slide(say("What it draws"), [*filter(None, [told, generated.beside])])
    width_in = (FULL_IN - _GAP_IN * (len(shown) - 1)) / max(1, len(shown))
    for place, (_, drawing) in enumerate(shown):
        left_in = MARGIN_IN + place * (width_in + _GAP_IN)
        deck.picture(slide, drawing, (left_in, TOP_IN, width_in, BODY_IN - 0.6), width_in=4.0)
    left = _tell_left(len(generated.sheets) - len(shown), deck.words)
    deck.bullets(slide, [told, *left], (MARGIN_IN, 6.45, FULL_IN, 0.5))
    slide = deck.slide(say("How near to photographs"), [*generated.plain[:1], *generated.ratios])
    _lay(deck, slide, generated.measures, 3.8, most_rows=8, last=len(TRIVIAL_WORDS))
    deck.bullets(slide, generated.ratios[:4], (MARGIN_IN, 5.2, FULL_IN, 1.65))
    slide = deck.slide(say("What it comes to, and what failed"), generated.plain)
    deck.bullets(slide, generated.plain[:_MOST_TOLD], _BOX)
    if generated.classes:
        held = say(
            "Each class that a conditional generator was asked for, against held-out photographs of that class, mean "
            "of the runs; in brackets means of the ends of their 95% intervals."
        )
        slide = deck.slide(say("Each class that was asked for"), [held])
        _lay(deck, slide, generated.classes, BODY_IN)
    caption = say(
        "Whether it copies: the generated pictures of {candidate} that lie nearest to a training picture, above that "
        "picture.",
        candidate=generated.candidate,
    )
    slide = deck.slide(say("Does it copy?"), [caption, generated.training_told])
    nearest = dict(generated.nearest).get(generated.candidate)
    if nearest is not None:
        deck.picture(slide, nearest, (MARGIN_IN, TOP_IN, FULL_IN, 2.6))
    n_left = deck.table(slide, generated.training, (MARGIN_IN, 4.2, FULL_IN, 2.0), most_rows=4)
    deck.bullets(slide, [" ".join([caption, *_tell_left(n_left, deck.words)])], (MARGIN_IN, 6.45, FULL_IN, 0.5))
