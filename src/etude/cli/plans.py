"""A plan for the terminal: its runs, what they take, and what they can show."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich import box
from rich.table import Table

from etude.cli.watching import duration
from etude.core.study_record import COMBINE_GROUP, SEARCH_GROUP

if TYPE_CHECKING:
    from etude.study.estimate import CandidatePlan, Resolution, StudyPlan


def plan_table(plan: StudyPlan) -> Table:
    """Return the runs of a plan, in the order of training."""
    table = Table(header_style="bold", box=box.SIMPLE_HEAD)
    for heading in ("", "candidate", "seed", "fold", "run", "status"):
        table.add_column(heading, no_wrap=True, justify="right" if heading == "" else "left")
    for number, ref in enumerate(plan.runs, 1):
        fold = "" if ref.fold is None else str(ref.fold)
        table.add_row(str(number), ref.candidate, str(ref.seed), fold, ref.identity, ref.status)
    return table


def plan_times_table(plan: StudyPlan) -> Table:
    """Return what the runs of each candidate take."""
    table = Table(header_style="bold", box=box.SIMPLE_HEAD)
    table.add_column("candidate", no_wrap=True)
    for heading in ("runs left", "steps", "ms a step", "MiB", "a run", "in all"):
        table.add_column(heading, justify="right", no_wrap=True)
    for entry in plan.candidates:
        table.add_row(
            entry.candidate,
            f"{entry.n_left} of {entry.n_runs}",
            "" if entry.steps is None else f"{entry.steps:,}",
            "" if entry.step_ms is None else f"{entry.step_ms:.3g}",
            "" if entry.memory_mb is None else f"{entry.memory_mb:,.0f}",
            _run_time(entry),
            "" if entry.run_seconds is None else duration(entry.run_seconds * entry.n_left),
        )
    return table


def _run_time(entry: CandidatePlan) -> str:
    if entry.run_seconds is None:
        return ""
    return duration(entry.run_seconds) + (" (as finished)" if entry.is_real else "")


def plan_lines(plan: StudyPlan) -> Iterator[str]:
    """Give the sum of it in sentences."""
    left = sum(ref.status != "finished" for ref in plan.runs)
    yield f"{len(plan.runs)} runs, {left} of them to be trained."
    for search in plan.searches:
        left_trials = search.n_trials - search.n_done
        time = "" if search.seconds_left is None or not left_trials else f", at most {duration(search.seconds_left)}"
        yield f"Before them {search.n_trials} trials for {search.candidate}, {left_trials} of them left{time}."
    if left and plan.seconds_left is not None:
        yield f"They will take about {duration(plan.seconds_left)} here."
    for resolution in plan.resolutions:
        yield _tell_resolution(resolution, plan.metric)
    yield from plan.notes


def _tell_resolution(resolution: Resolution, metric: str) -> str:
    """Say what one group of comparisons can be expected to show."""
    whose = f"Ablation {resolution.group}" if resolution.group else f"Against {resolution.baseline}"
    if resolution.group.startswith((SEARCH_GROUP, COMBINE_GROUP)):
        whose = f"The {resolution.group}"
    if resolution.smallest is None:
        return f"{whose}: one pair says nothing of other seeds. Give protocol.seeds two or more."
    source = "assumed" if resolution.is_assumed else "as in the finished runs"
    count = resolution.n_comparisons
    return (
        f"{whose}: {resolution.n_pairs} pairs and {count} comparison{'s' if count > 1 else ''} show a difference in "
        f"{metric} from about {resolution.smallest:.3g} on (8 times out of 10; the differences vary with a standard "
        f"deviation of {resolution.deviation:.2g}, {source})."
    )
