"""The part of a report on transfer: networks that start from pretrained weights beside those that do not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etude.core.study_record import LeaderboardRow, VerdictWord
from etude.evaluate.final import combine_of
from etude.report.messages import mark
from etude.report.reading import StudyResults
from etude.report.sentences import Teller
from etude.report.tables import ABSENT, Cell, Column, Table
from etude.report.training_told import training_size
from etude.report.words import MetricWords, Words

WAYS = {
    "all": mark("all layers"),
    "head": mark("the head alone, over features that are computed once"),
    "gradual": mark("the head, then the last blocks, then all; a later stage is kept where validation gains"),
}
"""What of a pretrained network is trained, by `finetune.name`."""


@dataclass(frozen=True)
class TransferPart:
    """What a report shows of transfer."""

    told: str
    """What is set beside what."""
    sentences: list[tuple[VerdictWord, str]]
    """Each comparison of a pretrained network with one that starts from chance, with its costs."""
    table: Table
    """What each starts from, what of it is trained, its score and its time."""
    caption: str
    """What the table holds."""


def gather_transfer(study: StudyResults, words: Words, metric: MetricWords, teller: Teller) -> TransferPart | None:
    """Set out the candidates that start from pretrained weights and those that do not; none where either is missing."""
    record, configs = study.record, _trained(study)
    if not has_transfer(study):
        return None
    rows = {row.candidate: row for row in record.leaderboard}
    pretrained = {name for name, config in configs.items() if start_of(config)}
    verdicts = [v for v in record.verdicts if (v.candidate in pretrained) != (v.baseline in pretrained)]
    verdicts = [v for v in verdicts if not v.group and v.candidate in configs and v.baseline in configs]
    alone = [rows[name] for name in configs if not _combines(combine_of(record, name))]
    return TransferPart(
        words.say(
            "Networks that start from pretrained weights beside those that start from random weights, with what of "
            "them is trained and how long that takes."
        ),
        [(verdict.verdict, teller.tell_with_costs(verdict, record.leaderboard)) for verdict in verdicts],
        _tabulate(alone, configs, words, metric),
        words.say("Those that start from pretrained weights are set off."),
    )


def has_transfer(study: StudyResults) -> bool:
    """Whether some of the study's networks start from pretrained weights, and others do not."""
    return len({bool(start_of(config)) for config in _trained(study).values()}) == 2


def _trained(study: StudyResults) -> dict[str, dict[str, Any]]:
    """Return the configuration of each candidate that was trained, the variants of ablations left out."""
    named = study.record.names_without_variants
    rows = [row for row in study.record.leaderboard if row.score is not None and row.candidate in named]
    runs = {row.candidate: [run for run in study.runs_of(row.candidate) if run.steps] for row in rows}
    return {name: own[0].config for name, own in runs.items() if own}


def start_of(config: Mapping[str, Any]) -> str:
    """Return the weights that a network starts from; empty where they are drawn."""
    model = config.get("model") or {}
    return str(model.get("weights") or model.get("checkpoint") or "")


def tell_start(weights: str) -> str:
    """Name the weights that a network starts from."""
    return "ImageNet" if weights == "imagenet" else Path(weights).name


def _combines(combine: Mapping[str, Any]) -> bool:
    return bool(combine.get("members") or combine.get("folds") or combine.get("last_epochs")) or (
        combine.get("tta", "none") != "none"
    )


def _tabulate(
    rows: list[LeaderboardRow], configs: Mapping[str, Mapping[str, Any]], words: Words, metric: MetricWords
) -> Table:
    say = words.say
    columns = (
        Column(say("candidate"), numeric=False),
        Column(say("starts from"), numeric=False),
        Column(say("what is trained"), numeric=False),
        Column(say("size in training"), hint=say("height × width in pixels: of windows, where those are learnt from")),
        Column(metric.heading, hint=say("mean on the test part")),
        Column(say("training time"), hint=say("mean of a run")),
        Column(say("parameters")),
    )
    body: list[tuple[Cell, ...]] = []
    marked = set[int]()
    for row in rows:
        start = start_of(configs[row.candidate])
        if start:
            marked.add(len(body))
        body.append(
            (
                Cell(row.candidate),
                Cell(tell_start(start) if start else say("random weights")),
                Cell(tell_way(configs[row.candidate], words)),
                training_size(configs[row.candidate], words),
                Cell(metric.bare(row.score or 0.0), row.score),
                Cell(ABSENT if row.seconds is None else words.duration(row.seconds), row.seconds),
                Cell(ABSENT if row.params is None else words.short(row.params), row.params),
            )
        )
    return Table(columns, tuple(body), frozenset(marked))


def tell_way(config: Mapping[str, Any], words: Words) -> str:
    """Say what of a network is trained."""
    finetune = config.get("finetune") or {}
    name = str(finetune.get("name", "all"))
    if name == "last":
        return words.say_count(
            "the head and the last block", "the head and the last {n} blocks", int(finetune.get("blocks") or 1)
        )
    if name == "head" and ((config.get("augment") or {}).get("use") or (config.get("data") or {}).get("generated")):
        return words.say("the head alone")  # features of pictures that change cannot be kept
    return words.say(WAYS.get(name, name))
