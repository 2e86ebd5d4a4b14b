"""Ablations in reports: each field that was varied, its comparisons in words, drawn and set out."""

from __future__ import annotations

import statistics
from dataclasses import dataclass

from etude.core.study_record import AblationGroup, StudyRecord, VerdictWord
from etude.evaluate.overfitting import gap_of
from etude.report.drawings import Artist, Drawing
from etude.report.limits import tell_correction
from etude.report.reading import StudyResults
from etude.report.sentences import Teller, shorten
from etude.report.tables import Table, tabulate_verdicts
from etude.report.words import Words, join_sentences


@dataclass(frozen=True)
class Ablation:
    """One field varied: its comparisons, in words, drawn and set out."""

    group: AblationGroup
    title: str
    gap: str
    """Whether the varied candidate overfits, where augmentation is varied; of those that leave one out, how to read
    them."""
    sentences: list[tuple[VerdictWord, str]]
    """Each comparison: its verdict, and the sentence."""
    drawing: Drawing
    influence: Drawing | None
    """The score against the setting, where it is a number."""
    table: Table


def gather_ablations(
    record: StudyRecord, artist: Artist, teller: Teller, settings: dict[str, dict[str, str]]
) -> list[Ablation]:
    """Set out each ablation that has a comparison."""
    rows = {row.candidate: row for row in record.leaderboard}
    parts: list[Ablation] = []
    for place, group in enumerate(record.ablations):
        compared = [verdict for verdict in record.verdicts if verdict.group == group.name]
        verdicts = [shorten(verdict, group) for verdict in compared]
        drawing = artist.draw_verdicts(verdicts, f"ablation-{place}")
        if drawing is None:
            continue
        is_told = bool(group.all_of) and any(part.group.of == group.all_of for part in parts)
        is_judged = group.vary.startswith("augment") and not is_told
        gap = gap_of(rows[group.varied], record.higher_is_better) if is_judged else None
        gained = is_judged and _has_gained(record, group.varied)
        lead = [
            teller.tell_all_of(group),
            teller.tell_gap(group.varied, gap, has_gained=gained) if gap else "",
            _tell_steps(artist.study, group, artist.words),
        ]
        parts.append(
            Ablation(
                group=group,
                title=teller.title_ablation(group),
                gap=join_sentences(lead),
                sentences=[(verdict.verdict, teller.tell_verdict(verdict)) for verdict in verdicts],
                drawing=drawing,
                influence=artist.draw_influence(group, settings, f"influence-{place}"),
                table=tabulate_verdicts(
                    compared,
                    artist.words,
                    artist.metric,
                    record.leaderboard,
                    lambda verdict, group=group: shorten(verdict, group).candidate,  # type: ignore[misc]
                ),
            )
        )
    return parts


def _tell_steps(study: StudyResults, group: AblationGroup, words: Words) -> str:
    """Say where the length of the training goes with what is varied; empty where it does not, or is what is varied."""
    steps = {
        name: round(statistics.fmean(run.steps for run in runs))
        for name in (group.of, *group.candidates)
        if (runs := study.runs_of(name))
    }
    if group.vary.startswith("train.") or not steps or max(steps.values()) <= 1.05 * min(steps.values()):
        return ""
    return words.say(
        "The length of the training varies too: from {least} to {most} steps.",
        least=words.count(min(steps.values())),
        most=words.count(max(steps.values())),
    )


def _has_gained(record: StudyRecord, varied: str) -> bool:
    """Return whether an augmentation of a candidate was shown to gain, alone or as what is missed where it is left out.

    That overfitting was not shown is then no reason to expect nothing.
    """
    gains = {
        group.name: "worse" if group.all_of else "better"
        for group in record.ablations
        if group.varied == varied and group.vary.startswith("augment")
    }
    return any(gains.get(verdict.group) == verdict.verdict for verdict in record.verdicts)


def tell_ablation_correction(record: StudyRecord, words: Words) -> str:
    """Say once for all ablations what is corrected for the number of comparisons; empty where none compares two."""
    told = (
        tell_correction([verdict for verdict in record.verdicts if verdict.group == group.name], words)
        for group in record.ablations
    )
    return next(filter(None, told), "")
