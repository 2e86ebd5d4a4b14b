"""`etude index`, `search`, `gallery`: the photo indexer."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from etude.cli.watching import duration
from etude.core.counting import how_many
from etude.core.errors import MistakeError, sentence
from etude.core.machine import usable_threads

if TYPE_CHECKING:
    from etude.runtime.library.database import Library
    from etude.runtime.library.rows import Found
    from etude.runtime.library.writing import Brought, Way

_TOLD = 5


def index_pictures(
    bundle: Path,
    folder: Path,
    to: Path,
    threads: int,
    max_megapixels: float,
    replace: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Index a folder, tell what came of it, and write the table where one is asked for."""
    from etude.runtime.library.database import Library
    from etude.runtime.library.indexing import index_folder, tell_passed
    from etude.runtime.library.rescue import rescue_file
    from etude.runtime.library.rows import shown
    from etude.runtime.library.writing import write_table
    from etude.runtime.predictor import load

    if to.suffix not in (".sqlite", ".csv", ".parquet"):
        raise MistakeError(sentence("index", "--to", "a .sqlite, .csv or .parquet file", shown(to)))
    if to.name.endswith(".corrections.csv"):
        remedy = "Of this name are the corrections that are kept of a library."
        raise MistakeError(sentence("index", "--to", "a table of another name", shown(to), remedy))
    if not 0 < max_megapixels < math.inf:  # NaN is neither
        raise MistakeError(sentence("index", "--max-megapixels", "a number above 0", max_megapixels))
    model = load(bundle, threads=1, max_pixels=round(max_megapixels * 1e6))
    if model.record.kind == "int8":  # some processors compute 8 bits otherwise: a whole disk would be answered wrongly
        model.self_test()
    library = Library(to.with_suffix(".sqlite"), create=True)
    try:
        if library.taken_in:
            taken, beside = how_many(library.taken_in, "correction"), shown(rescue_file(library.path))
            sys.stderr.write(f"{taken} taken in from {beside}\n")
        with _bar(quiet or as_json) as progress:
            summary = index_folder(
                model, folder, library, threads=threads or usable_threads(), progress=progress, replace=replace
            )
        if to.suffix != ".sqlite":
            write_table(library, to)
        if as_json:
            sys.stdout.write(json.dumps({**asdict(summary), "library": str(library.path)}) + "\n")
            return
        for path, reason in library.broken():
            sys.stderr.write(f"{path}: {reason}\n" if path not in reason else f"{reason}\n")
        sys.stdout.write(
            f"{shown(to)}: {how_many(summary.pictures, 'picture')}, {summary.looked_at:,} of them new, changed or "
            f"tried again, {summary.broken} broken, {summary.gone} gone, in {summary.seconds:.1f} s\n"
        )
        if summary.passed_over:
            sys.stdout.write(f"passed over, as no pictures: {tell_passed(summary.passed_over)}\n")
        for label, count, doubt in library.counts():
            sys.stdout.write(f"{count:8} {label}" + (f" ({doubt} unsure)" if doubt else "") + "\n")
        if none := library.count_none():
            sys.stdout.write(f"{none:8} none of the classes, corrected by hand\n")
    finally:
        library.close()


@contextmanager
def _bar(is_quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Draw a bar with the time that is left; lines now and then where there is no terminal."""
    console = Console(stderr=True, quiet=is_quiet)
    if not console.is_terminal:
        shown, began = -1, time.monotonic()

        def line(done: int, total: int) -> None:
            nonlocal shown
            tenth = 10 * done // max(1, total)
            if tenth != shown:
                shown = tenth
                left_s = (time.monotonic() - began) * (total - done) / done if done else 0.0
                left = f", about {duration(left_s)} left" if left_s >= 1 else ""
                console.print(f"{done:,} of {how_many(total, 'picture')}{left}", highlight=False)

        yield line
        return
    columns = (TextColumn("indexing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        bar = progress.add_task("indexing", total=None)
        yield lambda done, total: progress.update(bar, completed=done, total=total)


def search_library(
    path: Path,
    label: str,
    least: float,
    chosen: dict[str, bool | None],
    limit: int,
    copy: Path | None,
    link: Path | None,
    train: Path | None,
    as_json: bool,
) -> None:
    """List pictures, and copy, link or sort them into folders.

    Raises:
        MistakeError: if something cannot be asked for, or none of the pictures is where the library found it.
    """
    from etude.core.registry import unknown
    from etude.runtime.library.database import Library

    if not 0 <= least <= 1:  # NaN is neither
        raise MistakeError(sentence("search", "--min", "between 0 and 1", least))
    library = Library(path, read_only=True)
    try:
        _tell_notice(library)
        known = [*library.classes(), *(name for name, *_ in library.counts())]
        if label and label not in known:
            raise MistakeError(unknown("search: class", label, library.classes()))
        found = library.search(
            label=label or None,
            least=least,
            unsure=chosen.get("unsure"),
            unfamiliar=chosen.get("unfamiliar"),
            corrected=chosen.get("corrected"),
            none=chosen.get("none"),
            limit=limit if limit > 0 else -1,
        )
        _list(found, as_json)
        for folder, way, by_class in ((copy, "copy", False), (link, "link", False), (train, "copy", True)):
            if folder is not None:
                _bring(found, folder, "link" if way == "link" else "copy", by_class, library)
    finally:
        library.close()


def _tell_notice(library: Library) -> None:
    if library.notice:
        sys.stderr.write(f"{library.notice}\n")


def _list(found: list[Found], as_json: bool) -> None:
    if as_json:
        rows = [{**asdict(entry), "file": str(entry.file)} for entry in found]
        sys.stdout.write(json.dumps(rows, indent=1, ensure_ascii=True) + "\n")
        return
    for entry in found:
        sys.stdout.write(_line(entry))


def _line(entry: Found) -> str:
    doubt = " corrected" if entry.corrected else " unsure" if entry.unsure else ""
    doubt += ": unlike the training pictures" if entry.unfamiliar else ""
    share = "" if entry.probability is None else f"{entry.probability:.3f}"
    return f"{share:>6} {'none of the classes' if entry.none else entry.label:24} {entry.path}{doubt}\n"


def _bring(found: list[Found], folder: Path, way: Way, by_class: bool, library: Library) -> None:
    """Bring pictures into a folder, and tell what came and what did not.

    Raises:
        MistakeError: if none of them is where the library found it, or none can be read.
    """
    from etude.runtime.library.rows import shown
    from etude.runtime.library.writing import bring

    brought = bring(found, folder, way, by_class=by_class, library=library)
    _tell_left(brought, folder)
    if brought.missing and len(brought.missing) == brought.wanted:
        first = shown(brought.missing[0].file)
        raise MistakeError(
            f"search: none of {how_many(brought.wanted, 'picture')} is where the library found it ({first}). "
            "Is its disk there? Where the pictures moved, index the folder that they are in now."
        )
    if brought.unreadable and len(brought.unreadable) + len(brought.missing) == brought.wanted:
        first = brought.unreadable[0][1]
        raise MistakeError(f"search: none of {how_many(brought.wanted, 'picture')} could be brought. {first}")
    sys.stderr.write(f"{how_many(len(brought.made), 'file')} in {shown(folder)}\n")
    if brought.missing:
        sys.stderr.write(
            f"{len(brought.missing):,} of {how_many(brought.wanted, 'picture')} are not where the library found them: "
            f"{_some([entry.path for entry in brought.missing])}. Index their folder again.\n"
        )
    if brought.unreadable:
        count = f"{len(brought.unreadable):,} of {how_many(brought.wanted, 'picture')}"
        sys.stderr.write(f"{count} could not be brought:\n")
        sys.stderr.writelines(f"  {reason}\n" for _, reason in brought.unreadable)
    if brought.left_out:
        sys.stderr.write(
            f"{how_many(brought.left_out, 'picture')} of none of the classes left out: they are no class to train on\n"
        )


def _tell_left(brought: Brought, folder: Path) -> None:
    """Tell of what was brought before and shows another class now."""
    from etude.runtime.library.rows import shown

    for files, told in (
        (brought.removed, "taken away: they show another class now"),
        (brought.kept, "stay in a class that they show no more: they were changed, or lie nowhere else"),
    ):
        if files:
            names = _some([shown(file.relative_to(folder)) for file in files])
            sys.stderr.write(f"{how_many(len(files), 'file')} {told}: {names}\n")


def _some(names: list[str]) -> str:
    return ", ".join(names[:_TOLD]) + (", …" if len(names) > _TOLD else "")


def show_gallery(path: Path, port: int, browse: bool) -> None:
    """Serve the gallery on this machine, and open it."""
    from etude.runtime.library.database import Library
    from etude.runtime.library.rows import shown
    from etude.runtime.serving.config import ServeConfig
    from etude.runtime.serving.server import serve_gallery

    def ready(address: str) -> None:
        sys.stderr.write(f"The gallery is at {address} (Ctrl-C stops)\n")
        if browse:
            import threading
            import webbrowser

            # A browser may be waited for, and the server would wait along.
            threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()

    may_write = os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)
    library = Library(path, read_only=not may_write)
    _tell_notice(library)
    if not may_write:
        sys.stderr.write(f"{shown(path)} cannot be written: the gallery shows it, and keeps no corrections.\n")
    try:
        serve_gallery(library, ServeConfig(port=port), ready)
    finally:
        library.close()
