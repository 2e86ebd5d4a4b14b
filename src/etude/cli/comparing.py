"""`etude compare`: studies side by side."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console

from etude.cli.tables import few_runs_line, leaderboard_table, verdict_lines
from etude.core.files import write_text
from etude.study.comparing import compare_studies
from etude.study.folder import find_study


def show_comparison(
    studies: list[str], results: Path, metric: str | None, baseline: str | None, csv: Path | None, as_json: bool
) -> None:
    """Print the merged leaderboard and the verdicts; write the leaderboard as CSV where a file is named."""
    folders = [find_study(study, results) for study in studies]
    found = compare_studies(folders, metric=metric, baseline=baseline)
    if csv is not None:
        write_text(csv, found.csv())
    if as_json:
        sys.stdout.write(found.model_dump_json(indent=1) + "\n")
        return
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(leaderboard_table(found, console.width))
    if few := few_runs_line(found):
        console.print(few, highlight=False, markup=False, soft_wrap=True)
    for line in verdict_lines(found):
        console.print(line, highlight=False, soft_wrap=True)
    for note in found.notes:
        console.print(f"Note: {note}", highlight=False, markup=False, soft_wrap=True)
