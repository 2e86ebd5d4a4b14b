"""Where the runs of a candidate err on masks: the chapter of an explained run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from etude.core.class_names import rename_classes
from etude.explain.mask_mistakes import KNOWN, LEAST_COVERED, SURE
from etude.explain.records import GroupScore, MaskDoubt, MaskErrorsRecord
from etude.figures.masks import MaskRow, draw_masks
from etude.pictures.palette import palette_of
from etude.report.chapters import Chapter, Exhibit, tell_groups_left, tell_runs
from etude.report.drawings import Drawing
from etude.report.tables import Cell, Column, Table
from etude.report.words import MetricWords, Words


def tell_mask_errors(path: Path, arrays: dict[str, np.ndarray], words: Words) -> Chapter:
    """Set out `mask_errors.json`.

    Raises:
        MistakeError: if it cannot be read.
    """
    say, kept = words.say, MaskErrorsRecord.load(path)
    record, palette = rename_classes(kept, words.called), palette_of(kept.classes)  # colours go by the source's names
    metric = MetricWords(words, record.metric)
    told = [tell_runs(record.candidate, record.n_runs, words)]
    tables = []
    if record.doubtful:
        caption = say(
            "Labels that look wrong: every run gives these pixels the same class, and it is not the label. Look at "
            "them before blaming the network."
        )
        tables.append((_tabulate_doubts(record.doubtful, words), caption))
    else:
        told.append(
            say(
                "No label was found that looks wrong. Looked at were classes of which at least {known} of the pixels "
                "are found, where they cover at least {covered} of a picture: nowhere do all runs give {sure} of such a "  # noqa: E501
                "class's pixels to one and the same other class. Of other classes nothing is said.",
                known=words.percent(KNOWN, 0),
                covered=words.percent(LEAST_COVERED),
                sure=words.percent(SURE, 0),
            )
        )
    if record.groups:
        caption = say("The score of each group, its pictures counted together, the worst first.")
        caption += tell_groups_left(len(record.groups), words)
        tables.append((_tabulate_groups(record.groups, metric, words), caption))
    return Chapter(
        "errors", say("Errors, looked at"), told, _show_hardest(record, arrays, palette, metric, words), tables
    )


def _show_hardest(
    record: MaskErrorsRecord, arrays: dict[str, np.ndarray], palette: np.ndarray, metric: MetricWords, words: Words
) -> list[Exhibit]:
    say = words.say
    if not record.hardest or not arrays:
        return []
    rows = [
        MaskRow(picture, truth, answer, f"{entry.item}: {metric.score(entry.score)}")
        for entry, picture, truth, answer in zip(
            record.hardest, arrays["pictures"], arrays["truth"], arrays["answers"], strict=True
        )
    ]
    headings = (say("picture"), say("truth"), say("answer"), say("errors"))
    label = say("The hardest pictures")
    caption = say(
        "The pictures with the worst {metric}, in the mean over the runs, as this run answers them; orange is wrong, "
        "black is void.",
        metric=metric.name,
    )
    return [
        Exhibit(
            Drawing(
                "errors-hardest",
                label,
                lambda width_in: draw_masks(rows, record.classes, palette, headings, width_in=width_in),
                is_picture=True,
            ),
            f"{label}. {caption}",
        )
    ]


def _tabulate_doubts(doubts: Sequence[MaskDoubt], words: Words) -> Table:
    say = words.say
    columns = (
        Column(say("picture"), numeric=False),
        Column(say("label"), numeric=False),
        Column(say("answer of every run"), numeric=False),
        Column(say("share of its pixels")),
        Column(say("share of the picture")),
    )
    rows = tuple(
        (
            Cell(doubt.item),
            Cell(doubt.truth),
            Cell(doubt.answer),
            Cell(words.percent(doubt.share, 0), doubt.share),
            Cell(words.percent(doubt.covers), doubt.covers),
        )
        for doubt in doubts
    )
    return Table(columns, rows)


def _tabulate_groups(groups: Sequence[GroupScore], metric: MetricWords, words: Words) -> Table:
    say = words.say
    columns = (
        Column(say("group"), numeric=False),
        Column(say("pictures")),
        Column(metric.heading),
        Column(say("95% interval")),
    )
    rows = tuple(
        (
            Cell(group.name),
            Cell(words.count(group.n), group.n),
            Cell(metric.bare(group.share), group.share),
            Cell(metric.interval(group.interval.low, group.interval.high), group.interval.low),
        )
        for group in groups
    )
    return Table(columns, rows)
