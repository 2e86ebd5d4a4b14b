"""`etude compare`: studies side by side."""

from __future__ import annotations

import sys
from pathlib import Path

from etude.cli.printing import answer_console, print_line, print_table
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
    console = answer_console()
    print_table(leaderboard_table(found, console.width), console)
    if few := few_runs_line(found):
        print_line(few, console)
    for line in verdict_lines(found):
        console.print(line, highlight=False, soft_wrap=True)
    for note in found.notes:
        print_line(f"Note: {note}", console)
