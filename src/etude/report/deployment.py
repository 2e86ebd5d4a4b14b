"""From a study to a program: what is handed over, with which commands, and when it says yes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from etude.core.run_record import RunRecord
from etude.core.study_record import Combination, LeaderboardRow, StudyRecord
from etude.report.combinations import tell_combined
from etude.report.explanations import tell_network
from etude.report.reading import StudyResults
from etude.report.tables import Cell, Column, Table
from etude.report.words import Words
from etude.study.deploying import best_run, odd_combination


@dataclass(frozen=True)
class Deployment:
    """How the network of a study is put to use."""

    row: LeaderboardRow
    """The candidate that `etude export` takes; chosen on validation, it need not be the first of the test part."""
    told: list[str]
    """Which run is taken, and from which probability a detector says yes."""
    commands: Table | None
    """The commands and what each does; none where one file cannot hold the network."""


def gather_deployment(study: StudyResults, words: Words) -> Deployment | None:
    """Set out how the study's network is put to use; none where no run is finished."""
    record = study.record
    rows = {row.candidate: row for row in record.leaderboard if row.score is not None}
    runs = {name: own for name in rows if (own := study.runs_of(name))}
    if not runs:
        return None
    run, _ = best_run(record, runs)
    places = {"candidate": run.candidate, "run": run.identity[:8]}
    if odd_combination(run):
        told = words.say(
            "One file cannot give the answers of {candidate}: several networks, or several windows, give them.",
            candidate=run.candidate,
        )
        return Deployment(rows[run.candidate], [told, *_tell_threshold(run, words)], None)
    if record.metric in run.validation:
        told = words.say(
            "etude export takes {candidate}, run {run}: the candidate with the best mean on validation, and its best "
            "run there.",
            **places,
        )
    else:
        told = words.say(
            "etude export takes {candidate}, run {run}: the first of the leaderboard, as nothing was validated.",
            **places,
        )
    ref = next(ref for ref in record.runs if (ref.identity, ref.candidate) == (run.identity, run.candidate))
    told_of_it = [*tell_network(study, ref, words), *_tell_ties(record, run, runs[run.candidate], words)]
    commands = tabulate_commands(record.name, record.task, words)
    return Deployment(rows[run.candidate], [told, *told_of_it, *_tell_threshold(run, words)], commands)


def _tell_ties(record: StudyRecord, run: RunRecord, runs: Sequence[RunRecord], words: Words) -> Iterator[str]:
    """Say how many other runs are as good on validation as the one that is taken, which is the first of them."""
    score = run.validation.get(record.metric)
    alike = sum(other.validation.get(record.metric) == score for other in runs) - 1
    if score is not None and alike > 0:
        yield words.say_count(
            "{n} other run is as good on validation; the first was taken.",
            "{n} other runs are as good on validation; the first was taken.",
            alike,
        )


def _tell_threshold(run: RunRecord, words: Words) -> Iterator[str]:
    """Say from which probability a detector says yes; nothing of models that are no detectors."""
    if run.threshold is not None:
        yield words.say(
            "It says {positive} from a probability of {threshold}, which was chosen on validation.",
            positive=run.classes[1],
            threshold=words.significant(run.threshold),
        )
    elif len(run.classes) == 2 and run.config.get("data", {}).get("positive"):
        yield words.say(
            "It says {positive} from a probability of one half: no threshold was chosen.", positive=run.classes[1]
        )


def tabulate_commands(name: str, task: str, words: Words) -> Table:
    """Set out the commands that put a study to use, each with what it does."""
    say, bundle = words.say, f"{name}.bundle"
    folder, picture, masks = say("FOLDER"), say("PICTURE.jpg"), say("MASKS")
    told = say("one file that answers without PyTorch; it is compared with the network first")
    lines = [(f"etude export {name} --to {bundle}", told)]
    if task == "generation":
        told = say("pictures; the same seed gives the same ones")
        lines.append((f"etude generate {bundle} --count 64 --seed 7 --to {folder}", told))
    else:
        told = say("the answer about a picture")
        lines.append((f"etude predict {bundle} {picture}" + (f" --to {masks}" if task == "segmentation" else ""), told))
        told = say("the answers about a disk of pictures; stopped, it goes on where it was")
        lines.append((f"etude index {bundle} {folder} --to {name}.sqlite", told))
        lines.append((f"etude gallery {name}.sqlite", say("a page to look through them and to correct them")))
    lines.append((f"etude serve {bundle}", say("an API over HTTP, and a page to try it")))
    columns = (Column(say("command"), numeric=False), Column(say("what it gives"), numeric=False))
    return Table(columns, tuple((Cell(command, kind="code"), Cell(what)) for command, what in lines))


def tell_macs(row: LeaderboardRow, run: RunRecord | None, words: Words) -> str:
    """Write the multiply-adds of a picture, and for what they are counted where a network is asked more than once."""
    if row.macs is None:
        return ""
    given = dict(run.config.get("combine") or {}) if run else {}
    once = {"last_epochs", *(("members", "average") if given.get("average") == "weights" else ())}
    asked = {key: value for key, value in given.items() if key not in once}
    several = tell_combined(Combination(candidate=row.candidate, of=row.candidate, combine=asked), words)
    if several:
        return words.say(
            "multiply-adds of one picture: {value}, for several answers: {what}",
            value=words.short(row.macs),
            what=several,
        )
    return words.say("multiply-adds of one picture: {value}", value=words.short(row.macs))
