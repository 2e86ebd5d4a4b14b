"""`etude runs`: what studies have left behind."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

from rich.table import Table

from etude.cli.printing import answer_console, fill_table, print_line, print_table
from etude.cli.watching import duration
from etude.core.files import storage_errors
from etude.core.run_record import RunRecord
from etude.study.folder import StudyFolder, find_study


def list_runs(study: str, results: Path, as_json: bool) -> None:
    """Print all finished runs, of one study or of all, each study's in the order in which they ended."""
    roots = [find_study(study, results).root] if study else sorted(path.parent for path in results.glob("*/runs"))
    records = [
        (root.name, record)
        for root in roots
        for record in sorted(StudyFolder.of(root).finished(), key=lambda record: record.finished_at)
    ]
    if as_json:
        rows = [{"study": name, **record.model_dump(mode="json")} for name, record in records]
        sys.stdout.write(json.dumps(rows, indent=1) + "\n")
        return
    console = answer_console()
    if not records:
        print_line(f"No finished run in {results}.", console)
        return
    told = [("", record) for _, record in records] if study else records
    print_table(_table(told), console)


def _table(records: list[tuple[str, RunRecord]]) -> Table:
    numbers = ("seed", "fold", "test", "time")
    rows = []
    for name, record in records:
        score = next(iter(record.test.values()), None)
        rows.append(
            (
                name,
                record.identity,
                record.candidate,
                str(record.seed),
                "" if record.fold is None else str(record.fold),
                "" if score is None else f"{score:.4f}",
                duration(record.cost.seconds),
                record.finished_at[:16].replace("T", " "),
            )
        )
    return fill_table(("study", "run", "candidate", *numbers, "finished"), rows, right=numbers, whole=("run",))


def prune_runs(study: str, results: Path, is_sure: bool) -> None:
    """Delete, or only list, the run folders that the study's plan does not name."""
    folder = find_study(study, results)
    record = folder.load_study()
    named = {ref.identity for ref in record.runs}
    named.update(identity for search in record.searches for identity in search.identities)
    stale = [path for path in sorted(folder.runs.iterdir()) if path.is_dir() and path.name not in named]
    with folder.locked(), storage_errors(folder.runs):
        for path in stale:
            sys.stdout.write(f"{'deleted' if is_sure else 'would delete'} {path}\n")
            if is_sure:
                shutil.rmtree(path)
    if not stale:
        sys.stdout.write("Every run belongs to the plan: nothing to delete.\n")
    elif not is_sure:
        sys.stdout.write("Nothing was deleted. Add --yes to delete them.\n")
