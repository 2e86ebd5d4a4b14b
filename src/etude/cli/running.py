"""`etude run`, `etude plan`: find the study, run it, print what came of it."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console

from etude.cli.plans import plan_lines, plan_table, plan_times_table
from etude.cli.printing import answer_console, print_line, print_table
from etude.cli.tables import few_runs_line, leaderboard_table, search_lines, verdict_lines
from etude.cli.targets import find_target
from etude.cli.watching import duration, make_watcher
from etude.core.errors import RuleError
from etude.core.study_record import StudyRecord
from etude.study.folder import StudyFolder
from etude.study.tracking import make_mirror


def run_target(
    target: str,
    sets: list[str],
    device: str,
    results: Path,
    as_json: bool,
    quiet: bool,
    processes: int = 1,
    *,
    name: str = "",
    take_over: bool = False,
) -> None:
    """Run a study, print its leaderboard and verdicts, write its note."""
    study = find_target(target, sets, name)
    progress = Console(stderr=True, quiet=quiet, width=None if sys.stderr.isatty() else 200)
    folder = StudyFolder(results, study.config.study)
    stopped: RuleError | None = None
    with make_watcher(progress) as watch:
        try:
            study.run(results, device=device, watch=watch, processes=processes, take_over=take_over)
        except RuleError as error:
            # Runs failed or the budget is spent: what is finished is still worth its leaderboard and note.
            stopped = error
            if not folder.record.exists():
                raise
    record = folder.load_study()
    asked = study.config.report
    notes = write_reports(folder.root, asked.languages, asked.formats) if record_has_scores(record) else []
    if notes and study.config.track:
        with make_watcher(progress) as watch:
            make_mirror(study.config.track, record.name, watch).mirror_report(notes)
    if as_json:
        sys.stdout.write(record.model_dump_json(indent=1) + "\n")
    else:
        print_record(record, notes)
    if stopped is not None:
        raise stopped


def record_has_scores(record: StudyRecord) -> bool:
    """Say whether any run is finished."""
    return any(row.n_runs for row in record.leaderboard)


def print_record(record: StudyRecord, notes: list[Path]) -> None:
    """Print the leaderboard, the verdicts and where the note lies."""
    console = answer_console()
    print_table(leaderboard_table(record, console.width), console)
    if few := few_runs_line(record):
        print_line(few, console)
    for line in verdict_lines(record):
        console.print(line, highlight=False, soft_wrap=True)
    for line in search_lines(record):
        console.print(line, highlight=False, soft_wrap=True)
    for told in _bound_lines(record):
        print_line(told, console)
    for note in record.notes:
        print_line(f"Note: {note}", console)
    print_line(f"Training took {duration(record.seconds)} in all.", console)
    for path in notes:
        print_line(str(path), console)


def _bound_lines(record: StudyRecord) -> list[str]:
    """Say what came of the bounds that the study set for itself."""
    if not record.bounds:
        return []
    from etude.report.bounds import tell_bounds
    from etude.report.words import Words

    return tell_bounds(record, Words("en"))


def write_reports(
    folder: Path, languages: tuple[str, ...], formats: tuple[str, ...] = ("note",), to: Path | None = None
) -> list[Path]:
    """Write the report in each format and language."""
    from etude.report import writing

    return writing.write_reports(folder, formats, languages, to=to)


def show_plan(
    target: str, sets: list[str], device: str, results: Path, as_json: bool, measure: bool, name: str = ""
) -> None:
    """Print what a study will train, in what order, how long it will take here and what it can show."""
    study = find_target(target, sets, name)
    progress = Console(stderr=True, quiet=as_json, width=None if sys.stderr.isatty() else 200)
    with make_watcher(progress) as watch:
        plan = study.plan(results, device=device, watch=watch, measure=measure)
    if as_json:
        sys.stdout.write(plan.model_dump_json(indent=1) + "\n")
        return
    console = answer_console()
    print_table(plan_table(plan), console)
    print_table(plan_times_table(plan), console)
    for line in plan_lines(plan):
        print_line(line, console)
