"""`etude explain`: what a finished network is made of, what it sees, and why it answers as it does."""

from __future__ import annotations

import sys
from pathlib import Path

from rich.console import Console

from etude.cli.watching import make_watcher
from etude.core.errors import MistakeError
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
    *,
    all_candidates: bool = False,
) -> None:
    """Explain the run that is handed over, one that is named, or one of every candidate, and print where the pages lie.

    Raises:
        MistakeError: if a run is named and all candidates are asked for, or pictures are to be placed and no map drawn.
    """
    from etude.report.explained import write_explanation
    from etude.report.messages import read_messages
    from etude.study.explaining import explain_candidates, explain_run

    if all_candidates and run is not None:
        raise MistakeError("explain: give --run or --all-candidates, not both.")
    for language in languages:
        read_messages(language)  # an unknown one is refused before minutes of work
    if wishes.place is not None:
        if parts and "map" not in parts:
            raise MistakeError("explain: --place goes with --part map, on which new pictures are placed.")
        parts = parts or ("map",)
    folder = find_study(study, results)
    # Of a generator there are the layers alone, which need none of these.
    asked = parts or (() if folder.load_study().task == "generation" else tuple(_NEEDS))
    require("etude explain", "explain", [module for part, module in _NEEDS.items() if part in asked])
    base = Path(study).resolve().parent if Path(study).is_file() else Path.cwd()
    console = Console(stderr=True, quiet=quiet, width=None if sys.stderr.isatty() else 200)
    with make_watcher(console) as watch:
        if all_candidates:
            done = explain_candidates(folder, base, watch, parts=parts, device=device, wishes=wishes)
        else:
            done = [explain_run(folder, run, base, watch, parts=parts, device=device, wishes=wishes)]
    written = [target for target in done if any(target.glob("*.json"))]
    for target in written:
        for language in languages:
            sys.stdout.write(f"{write_explanation(folder.root, target.parent.name, language)}\n")
