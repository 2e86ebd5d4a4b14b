"""How each candidate was trained, in a table, what was chosen on validation, and what a repetition needs at hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any

from etude.core.run_record import RunRecord
from etude.core.study_record import StudyRecord
from etude.data.source import SOURCES
from etude.report.reading import StudyResults
from etude.report.tables import ABSENT, Cell, Column, Table
from etude.report.words import Words


def tabulate_training(study: StudyResults, words: Words) -> Table:
    """Set out by candidate what was trained, on how many pictures of which size, and for how long."""
    say = words.say
    columns = [
        Column(say("candidate"), numeric=False),
        Column(say("network"), numeric=False),
        Column(say("size in training"), hint=say("height × width in pixels: of windows, where those are learnt from")),
        Column(say("training pictures"), hint=say("with the copies and generated pictures that were made before")),
        Column(say("steps"), hint=say("optimiser steps, mean of a run")),
    ]
    picks: list[Callable[[RunRecord], int]] = [
        lambda run: _count_pictures(run, study.record),
        lambda run: run.steps,
    ]
    if study.record.task != "generation":  # a generator has looks, and no epochs
        columns.append(Column(say("epochs"), hint=say("mean of a run")))
        picks.append(lambda run: run.epochs)
    rows = []
    for name in dict.fromkeys(row.candidate for row in study.record.leaderboard):
        runs = [run for run in study.runs_of(name) if run.config]
        if not runs:
            continue
        config = runs[0].config
        rows.append(
            (
                Cell(name),
                Cell(str(config.get("model", {}).get("name", "")) or ABSENT, kind="code"),
                training_size(config, words),
                *(_mean(runs, pick, words) for pick in picks),
            )
        )
    return Table(tuple(columns), tuple(rows))


def _count_pictures(run: RunRecord, record: StudyRecord) -> int:
    """Count what a run was trained on: photographs, the copies of each, and generated pictures."""
    copies = max(1, (run.config.get("augment") or {}).get("copies") or 1)
    return run.n_train * copies + sum(list_generated(run.config, record).values())


def list_generated(config: Mapping[str, Any], record: StudyRecord) -> dict[str, int]:
    """Return the generated pictures that a candidate is trained on besides photographs, by class."""
    generated = (config.get("data") or {}).get("generated")
    if not generated:
        return {}
    positive = (record.config.get("data") or {}).get("positive")
    of = generated.get("of") or (record.classes[1:] if positive else record.classes)
    return {str(name): int(generated["pictures"]) for name in of}


def _mean(runs: Sequence[RunRecord], pick: Callable[[RunRecord], int], words: Words) -> Cell:
    mean = fmean(pick(run) for run in runs)
    return Cell(words.count_rounded(mean), mean)


def training_size(config: Mapping[str, Any], words: Words) -> Cell:
    """Return the height and width that a network was trained at, as a table shows them."""
    size = size_of(config)
    if size is None:
        return Cell(ABSENT)
    return Cell(tell_size(size, words), size[0] * size[1])


def tell_size(size: Sequence[int], words: Words) -> str:
    """Write height × width."""
    return " × ".join(words.count(side) for side in size)


def size_of(config: Mapping[str, Any], *, windows: bool = True) -> tuple[int, int] | None:
    """Return the height and width that a network was trained at: of windows, where those count and are trained on."""
    crop = config.get("train", {}).get("crop_px") if windows else None
    size = crop or config.get("prepare", {}).get("size_px")
    if not size:
        return None
    height, width = (size, size) if isinstance(size, int) else size
    return int(height), int(width)


def tell_chosen(record: StudyRecord, finished: Sequence[RunRecord], words: Words) -> str:
    """Say what was chosen on the validation part, and how often the test part was opened."""
    say = words.say
    opened = say("The test part was opened once by each finished run.")
    if record.task == "generation":
        return say("The network of the last step is kept, and nothing was chosen by its pictures.") + " " + opened
    validated = [run for run in finished if run.validation]
    keeps = [run for run in validated if run.config.get("train", {}).get("keep", "best") == "best" and run.epochs > 1]
    stages = [run for run in validated if run not in keeps and run.config.get("finetune", {}).get("name") == "gradual"]
    chosen = [
        *([say("the epoch whose weights are kept")] if keeps else []),
        *([say("the stage of training whose weights are kept")] if stages else []),
        *([say("the threshold")] if _chose_threshold(finished) else []),
        *([say("the temperature")] if any(run.temperature is not None for run in finished) else []),
        *([say("the settings that were searched")] if record.searches else []),
    ]
    if not chosen:
        kept = say(
            "The weights of the last epoch are kept: no epoch, threshold or setting was chosen on the validation part."
        )
        return f"{kept} {opened}"
    return say("Chosen on the validation part: {things}.", things=words.listing(chosen)) + " " + opened


def _chose_threshold(finished: Sequence[RunRecord]) -> bool:
    return any(run.threshold is not None and run.config.get("protocol", {}).get("threshold") for run in finished)


def tell_needs(record: StudyRecord, finished: Sequence[RunRecord], words: Words) -> list[str]:
    """Say where the pictures and the weights of a study are looked for; empty where the command says it all."""
    told = []
    source = str(record.config.get("data", {}).get("source", ""))
    if _is_name(source) and source not in SOURCES:
        told.append(
            words.say(
                "The pictures of the source {source} are looked for in the folder that ETUDE_DATA names, if it is set.",
                source=source,
            )
        )
    return told + tell_weights_needed(record, finished, words)


def tell_weights_needed(record: StudyRecord, finished: Sequence[RunRecord], words: Words) -> list[str]:
    """Say where pretrained weights are looked for; empty where no run starts from any, or is measured over theirs."""
    weights = {run.config.get("model", {}).get("weights") for run in finished} - {None, ""}
    if record.task == "generation":
        weights.add(_features_of(record))
    if not any(_is_name(str(name)) for name in weights):
        return []
    return [
        words.say(
            "Pretrained weights are looked for in the folder that ETUDE_WEIGHTS names, if it is set, and then on "
            "the hub."
        )
    ]


def _features_of(record: StudyRecord) -> str:
    """Return the network over whose features generated pictures are measured; empty where it needs no weights' name."""
    features = ((record.config.get("protocol") or {}).get("generation") or {}).get("features", "auto")
    return "" if features in ("auto", "pixels") else str(features)


def _is_name(text: str) -> bool:
    return bool(text) and not any(sign in text for sign in "/\\.")
