"""The part of the note on searches: what each found, what it gained, and what that cost."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from etude.core.search_record import SearchRecord
from etude.core.study_record import SearchSummary, StudyRecord, VerdictWord
from etude.figures import search as figures
from etude.figures.slices import draw_slices
from etude.report.drawings import Artist, Drawing
from etude.report.reading import StudyResults
from etude.report.sentences import Teller
from etude.report.tables import Cell, Column, Table
from etude.report.words import Words


@dataclass(frozen=True)
class SearchPart:
    """What the note shows of one search."""

    summary: SearchSummary
    cost: str
    """Its trials and their training time, and how several folds are to be read."""
    gain: tuple[VerdictWord, str] | None
    """The verdict on what it found, and the sentence; none before there is one."""
    settings: Table
    """The fields that were searched, and what was found."""
    drawings: list[tuple[Drawing, str]]
    """History, settings side by side and importance, each with what it shows."""


_FEW_DRAWS: Final = 20
"""Random trials below which importances are said to be guesses."""


def gather_searches(artist: Artist, teller: Teller) -> list[SearchPart]:
    """Set out each search of the study whose record is there.

    Raises:
        MistakeError: if a record cannot be read.
    """
    study, words = artist.study, artist.words
    parts = []
    for place, summary in enumerate(study.record.searches):
        records = read_searches(study, summary)
        if not records:
            continue
        verdict = study.record.verdict_on(summary)
        told = [tell_cost(summary, study.record, words), _tell_folds(summary, words), _tell_draws(records, words)]
        parts.append(
            SearchPart(
                summary=summary,
                cost=" ".join(filter(None, told)),
                gain=(verdict.verdict, teller.tell_verdict(verdict)) if verdict else None,
                settings=_tabulate(records, words),
                drawings=_draw(records, artist, f"search-{place}"),
            )
        )
    return parts


def read_searches(study: StudyResults, summary: SearchSummary) -> list[SearchRecord]:
    """Return the records of a search that are there, with folds one a fold.

    Raises:
        MistakeError: if one cannot be read.
    """
    paths = [study.folder / path for path in summary.records]
    return [SearchRecord.load(path) for path in paths if path.is_file()]


def tell_cost(summary: SearchSummary, record: StudyRecord, words: Words) -> str:
    """Say how many trials there were and what they cost, beside one run of what was searched."""
    told = words.say_count(
        "{n} trial ({complete} complete, {pruned} stopped early, {failed} failed) trained for {time} in all.",
        "{n} trials ({complete} complete, {pruned} stopped early, {failed} failed) trained for {time} in all.",
        summary.n_trials,
        complete=words.count(summary.n_complete),
        pruned=words.count(summary.n_pruned),
        failed=words.count(summary.n_failed),
        time=words.duration(summary.seconds),
    )
    runs = {row.candidate: row.seconds for row in record.leaderboard}
    seconds = runs.get(summary.of)
    if seconds is None:
        return told
    return f"{told} " + words.say(
        "One run of {candidate} takes {time}.", candidate=summary.of, time=words.duration(seconds)
    )


def _tell_folds(summary: SearchSummary, words: Words) -> str:
    """Say how a search that is nested in folds is to be read; empty for others."""
    if len(summary.records) < 2:
        return ""
    return words.say(
        "With folds each fold has a search of its own, on its own training and validation part. The figures show all of "  # noqa: E501
        "them: a line of the best so far, an orange line and a point of importance for each."
    )


def _tell_draws(records: Sequence[SearchRecord], words: Words) -> str:
    """Say how many settings were drawn at random, and how many lie around the best; empty where all were alike."""
    drawn = [[trial for trial in record.trials if trial.phase == "random"] for record in records]
    n_drawn, n_near = len(drawn[0]), sum(trial.phase == "grid" for trial in records[0].trials)
    if not n_drawn or not n_near:
        return ""
    told = words.say(
        "{n} settings were drawn at random, {near} lie around the best of them.",
        n=words.count(n_drawn),
        near=words.count(n_near),
    )
    if len(records) > 1 and all([trial.settings for trial in own] == [t.settings for t in drawn[0]] for own in drawn):
        told += " " + words.say("Those drawn at random are the same in every fold.")
    return told


def _tell_few(records: Sequence[SearchRecord], words: Words) -> str:
    """Say, after another sentence, that importances over few trials are guesses; nothing of many."""
    n_drawn = min(sum(trial.phase == "random" for trial in record.trials) for record in records)
    if n_drawn >= _FEW_DRAWS:
        return ""
    return " " + words.say_count(
        "Over {n} trial they are no more than a guess.", "Over {n} trials they are no more than a guess.", n_drawn
    )


def _tabulate(records: list[SearchRecord], words: Words) -> Table:
    """Set out what was found of each field, fold by fold."""
    headings = [
        words.say("found") if record.fold is None else words.say("found in fold {fold}", fold=record.fold)
        for record in records
    ]
    columns = (
        Column(words.say("field"), numeric=False),
        Column(words.say("values tried"), numeric=False),
        Column(words.say("importance"), hint=words.say("share in what tells the good trials from the others")),
        *(Column(heading, numeric=False) for heading in headings),
    )
    rows = []
    importances = figures.list_importances(records)
    for entry in records[0].parameters:
        tried = (
            words.listing(tell_setting(choice, words) for choice in entry.choices)
            if entry.kind == "choice"
            else words.interval(tell_setting(entry.low, words), tell_setting(entry.high, words))
        )
        shares = importances.get(entry.name, [])
        ends = [words.percent(share, 0) for share in (min(shares), max(shares))] if shares else ["–"]
        share = words.interval(*ends) if len(shares) > 1 else ends[0]
        found = [Cell(tell_setting(record.settings[entry.field], words) if entry.field in record.settings else "–")
                 for record in records]  # fmt: skip
        rows.append((Cell(entry.name), Cell(tried), Cell(share, max(shares, default=None)), *found))
    return Table(columns, tuple(rows))


def _draw(found: list[SearchRecord], artist: Artist, name: str) -> list[tuple[Drawing, str]]:
    """Draw one search, all its folds together."""
    say, metric = artist.words.say, artist.metric
    records = [record for record in found if record.best is not None]
    if not records:
        return []
    score = say("{quantity}, validation", quantity=metric.heading)
    drawings = [
        (
            artist.draw_twice(
                f"{name}-history",
                say("Validation score of each trial"),
                lambda width_in: figures.draw_history(
                    records,
                    trial_label=say("trial"),
                    score_label=score,
                    state_labels={"complete": say("complete"), "pruned": say("stopped early")},
                    best_label=say("best so far"),
                    number=metric.tick,
                    width_in=width_in,
                ),
            ),
            say(
                "Validation score of each trial in its order. The best of many flatters: the leaderboard has the "
                "score on test."
            ),
        ),
        (
            artist.draw_twice(
                f"{name}-parallel",
                say("Settings of each complete trial beside its score"),
                lambda width_in: figures.draw_parallel(
                    records,
                    score_label=score,
                    number=metric.bare,
                    write=lambda value: tell_setting(value, artist.words),
                    width_in=width_in,
                ),
            ),
            say(
                "Each complete trial is a line through its settings to its score: the better, the darker; the best in "
                "orange."
            ),
        ),
    ]
    drawings.append(
        (
            artist.draw_twice(
                f"{name}-slices",
                say("Validation score of each complete trial against each field"),
                lambda width_in: draw_slices(
                    records,
                    score_label=score,
                    number=metric.tick,
                    write=lambda value: tell_setting(value, artist.words),
                    width_in=width_in,
                ),
            ),
            say(
                "Each complete trial against the value of each field, the best in orange. The other fields differ too "
                "from point to point: a panel shows how far one field decides, not what it does alone."
            ),
        )
    )
    if figures.list_importances(records):
        drawings.append(
            (
                artist.draw_twice(
                    f"{name}-importance",
                    say("Importance of each field"),
                    lambda width_in: figures.draw_importance(
                        records,
                        share_label=say("importance"),
                        percent=lambda share: artist.words.percent(share, 0),
                        width_in=width_in,
                    ),
                ),
                say("The share of each field in what tells the good trials from the others (PED-ANOVA).")
                + (
                    " "
                    + say(
                        "Over the trials that were drawn at random: those around the best keep most fields at its "
                        "values, and would make these fields seem to matter."
                    )
                    + _tell_few(records, artist.words)
                    if records[0].importances_of == "random"
                    else ""
                ),
            )
        )
    return drawings


def tell_setting(value: object, words: Words) -> str:
    """Write a value for a reader: a number as the language does, all else as a study file would."""
    text = write_setting(value)
    if not isinstance(value, float) or "e" in text or not math.isfinite(value):
        return text
    return words.number(float(text), len(text.partition(".")[2]))


def write_setting(value: object) -> str:
    """Write a value as a study file would, numbers with three digits."""
    if isinstance(value, float):
        return f"{value:.3g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
