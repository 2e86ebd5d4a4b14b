"""`etude explain`: what a finished network is made of, what it sees, and why it answers as it does."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console

from etude.cli.watching import make_watcher
from etude.core.extras import require
from etude.study.folder import find_study
from etude.study.opened import Wishes

_NEEDS = {"why": "captum", "map": "openTSNE"}
"""What a part is made with that the extra brings."""


def explain(
    study: str,
    run: str | None,
    parts: tuple[str, ...],
    device: str,
    results: Path,
    languages: tuple[str, ...],
    wishes: Wishes,
    quiet: bool,
) -> None:
    """Explain a run and print where the pages lie."""
    from etude.report.explained import write_explanation
    from etude.study.explaining import explain_run

    require("etude explain", "explain", [module for part, module in _NEEDS.items() if not parts or part in parts])
    folder = find_study(study, results)
    base = Path(study).resolve().parent if Path(study).is_file() else Path.cwd()
    console = Console(stderr=True, quiet=quiet, width=None if sys.stderr.isatty() else 200)
    with make_watcher(console) as watch:
        done = explain_run(folder, run, base, watch, parts=parts, device=device, wishes=wishes)
    for language in languages:
        sys.stdout.write(f"{write_explanation(folder.root, done.parent.name, language)}\n")
