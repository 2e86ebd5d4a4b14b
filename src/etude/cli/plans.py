"""A plan for the terminal: its runs, what they take, and what they can show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.table import Table

from etude.cli.printing import fill_table
from etude.cli.watching import duration
from etude.core.counting import how_many
from etude.core.study_record import COMBINE_GROUP, SEARCH_GROUP

if TYPE_CHECKING:
    from etude.study.estimate import CandidatePlan, Resolution, StudyPlan


def plan_table(plan: StudyPlan) -> Table:
    """Return the runs of a plan, in the order of training."""
    headings = ("", "candidate", "seed", "fold", "run", "status")
    rows = [
        (str(number), ref.candidate, str(ref.seed), _text(ref.fold), ref.identity, ref.status)
        for number, ref in enumerate(plan.runs, 1)
    ]
    return fill_table(headings, rows, right=("", "seed", "fold"), whole=("run",))


def plan_times_table(plan: StudyPlan) -> Table:
    """Return what the runs of each candidate take."""
    numbers = ("runs left", "steps", "ms a step", "MiB", "a run", "in all")
    rows = [
        (
            entry.candidate,
            f"{entry.n_left} of {entry.n_runs}",
            _text(entry.steps, ","),
            _text(entry.step_ms, ".3g"),
            _text(entry.memory_mb, ",.0f"),
            _run_time(entry),
            "" if entry.run_seconds is None else duration(entry.run_seconds * entry.n_left),
        )
        for entry in plan.candidates
    ]
    return fill_table(("candidate", *numbers), rows, right=numbers)


def _text(value: float | None, form: str = "") -> str:
    """Write a number; nothing where there is none."""
    return "" if value is None else format(value, form)


def _run_time(entry: CandidatePlan) -> str:
    if entry.run_seconds is None:
        return ""
    return duration(entry.run_seconds) + (" (real)" if entry.is_real else "")


def plan_lines(plan: StudyPlan) -> Iterator[str]:
    """Give the sum of it in sentences."""
    left = sum(ref.status != "finished" for ref in plan.runs)
    yield f"{how_many(len(plan.runs), 'run')}, {left} of them to be trained."
    for search in plan.searches:
        left_trials = search.n_trials - search.n_done
        time = "" if search.seconds_left is None or not left_trials else f", at most {duration(search.seconds_left)}"
        trials = how_many(search.n_trials, "trial")
        yield f"Before them {trials} for {search.candidate}, {left_trials} of them left{time}."
    if left and plan.seconds_left is not None:
        yield f"They will take about {duration(plan.seconds_left)} here."
    elif left:
        unknown = sum(bool(entry.n_left) and entry.run_seconds is None for entry in plan.candidates)
        yield (
            f"How long they will take here is not known: nothing was timed yet of {how_many(unknown, 'candidate')}. "
            "Without --no-measure a few steps of each are timed."
        )
    for resolution in plan.resolutions:
        yield _tell_resolution(resolution, plan.metric)
    if any(resolution.is_assumed and resolution.smallest is not None for resolution in plan.resolutions):
        yield (
            "The assumed deviation is no measurement: with twice as much the difference must be twice as large. Once "
            "two pairs are finished theirs takes its place, and the answer changes with it."
        )
    yield from plan.notes


def _tell_resolution(resolution: Resolution, metric: str) -> str:
    """Say what one group of comparisons can be expected to show."""
    whose = f"Ablation {resolution.group}" if resolution.group else f"Against {resolution.baseline}"
    if resolution.group.startswith((SEARCH_GROUP, COMBINE_GROUP)):
        whose = f"The {resolution.group}"
    if resolution.smallest is None and resolution.n_pairs > 1:
        return (
            f"{whose}: how large a difference in {metric} would be shown is not known before two pairs are finished, "
            f"as it has no usual size."
        )
    if resolution.smallest is None:
        return f"{whose}: one pair says nothing of other seeds. Give protocol.seeds two or more."
    pairs, comparisons = how_many(resolution.n_pairs, "pair"), how_many(resolution.n_comparisons, "comparison")
    source = "assumed" if resolution.is_assumed else "that of the finished pairs"
    return (
        f"{whose}: {pairs} and {comparisons} show a difference in {metric} from about {resolution.smallest:.3g} on, "
        f"8 times out of 10, if the differences vary with a standard deviation of {resolution.deviation:.2g} "
        f"({source})."
    )
