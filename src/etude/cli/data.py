"""`etude data`: which sources there are, what is in one, and what is wrong with it."""

from __future__ import annotations

import base64
import html
import io
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import Progress
from rich.text import Text

from etude.check import CheckLimits, CheckRecord, check_source
from etude.check.page import write_page
from etude.cli.printing import add_row, answer_console, make_table, print_line, print_table
from etude.core.counting import how_many
from etude.core.errors import DataError
from etude.core.files import write_bytes, write_text
from etude.core.texts import count_distinct
from etude.core.words import Part
from etude.data.fetching import BY_HAND, EMBEDDED, FETCHED, fetch_source
from etude.data.source import LAYOUTS, Source, data_folder_entries, open_source
from etude.pictures.reading import OpenPicture, decode

_COLOURS = {"error": "red", "warning": "yellow", "note": "dim"}
_SAMPLE = 1000
_SHEET_CLASSES, _SHEET_PICTURES = 24, 8
_SHEET_PX = 160


def list_sources(as_json: bool) -> None:
    """Print the registered sources, and what lies in `$ETUDE_DATA`."""
    sources = dict.fromkeys(EMBEDDED, "drawn by Étude")
    sources |= dict.fromkeys(FETCHED, "downloaded when first used")
    sources |= dict.fromkeys(BY_HAND, "to be downloaded by hand: `etude data fetch` says how")
    # What lies in the folder goes before a registered name, as in a study.
    sources |= {path.name: f"{layout}, in {path.parent}" for path, layout in data_folder_entries()}
    rows = list(sources.items())
    if as_json:
        content = {"sources": [{"name": name, "what": what} for name, what in rows]}
        content["layouts"] = [{"name": layout.name} for layout in LAYOUTS]
        sys.stdout.write(json.dumps(content, indent=1) + "\n")
        return
    table = make_table("source", "where it comes from")
    for name, what in rows:
        add_row(table, name, what)
    console = answer_console()
    print_table(table, console)
    print_line(f"A path works too: {', '.join(layout.name for layout in LAYOUTS)}.", console)


def show_source(spec: str, out: Path | None, as_json: bool, *, categories: bool = False) -> None:
    """Print what a source holds, and write a contact sheet as PNG and HTML."""
    source = _open(spec, categories)
    folder = out or Path("results") / "data" / source.name
    content = _describe(source)
    paths = _write_sheet(source, content, folder)
    if as_json:
        sys.stdout.write(json.dumps({**content, "files": [str(path) for path in paths]}, indent=1) + "\n")
        return
    console = answer_console()
    for key, value in content.items():
        if isinstance(value, dict):
            shown = ", ".join(f"{name} {count:,}" for name, count in list(value.items())[:30])
            more = f" and {len(value) - 30} more" if len(value) > 30 else ""
            value = shown + more
        if value not in ("", None, []):
            told = "; ".join(value) if isinstance(value, list) else f"{value:,}" if isinstance(value, int) else value
            print_line(f"{key.replace('_', ' ')}: {told}", console)
    for path in paths:
        print_line(str(path), console)


def run_check(
    spec: str,
    out: Path | None,
    limit: int | None,
    as_json: bool,
    quiet: bool,
    *,
    labels: bool = False,
    answers: Path | None = None,
    categories: bool = False,
) -> None:
    """Check a source, print what was found, and write `check.json` and `check.html`."""
    source = _open(spec, categories)
    limits = CheckLimits() if limit is None else CheckLimits(open=limit, near=limit, alike=limit)
    with Progress(console=Console(stderr=True), transient=True, disable=quiet or not sys.stderr.isatty()) as bars:
        tasks: dict[str, Any] = {}

        def tell(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bars.add_task(what, total=total)
            bars.update(tasks[what], completed=done)

        record = check_source(source, limits=limits, progress=tell, labels=labels, answers=answers)
    folder = out or Path("results") / "data" / source.name
    record.save(folder / "check.json")
    write_page(folder / "check.html", record, source)
    if as_json:
        sys.stdout.write(record.model_dump_json(indent=1) + "\n")
        return
    _print_record(record, folder)


def fetch(name: str) -> None:
    """Download a set, or say where it is."""
    source = fetch_source(name)
    if source is None:
        sys.stdout.write(f"{name}: drawn by Étude, there is nothing to fetch.\n")
        return
    sys.stdout.write(f"{name}: {how_many(len(source.items), 'picture is', 'pictures are')} there. {source.licence}\n")


def _open(spec: str, categories: bool) -> Source:
    return open_source(spec, task="any", labels="categories" if categories else "classes")


def _print_record(record: CheckRecord, folder: Path) -> None:
    console = answer_console()
    if record.findings:
        table = make_table("severity", "finding", "what was found")
        for finding in record.findings:
            named = f" Such as {', '.join(finding.files[:3])}." if finding.files else ""
            severity = Text(finding.severity, _COLOURS[finding.severity])
            add_row(table, severity, finding.kind, f"{finding.sentence}{named}")
        print_table(table, console)
    else:
        print_line("Nothing amiss was found.", console)
    for sentence in record.skipped:
        print_line(sentence, console)
    print_line(record.looked_at, console)
    for name in ("check.html", "check.json"):
        print_line(str(folder / name), console)


def _describe(source: Source) -> dict[str, Any]:
    """Return what is known of a source; sizes from a thousand of its pictures."""
    items = source.items
    counts = np.bincount(items.labels[items.labels >= 0], minlength=len(source.classes)).tolist()
    sizes: Counter[str] = Counter()
    step = max(1, len(items) // _SAMPLE)
    for index in range(0, len(items), step):
        try:
            raw = source.raw(index)
            height, width = OpenPicture(raw).size_px if isinstance(raw, bytes) else raw.shape[:2]
            sizes[f"{width}x{height}"] += 1
        except DataError:
            sizes["unreadable"] += 1
    pixels = _count_pixels(source) if source.kind == "segmentation" else {}
    parts = None if items.official is None else Counter(items.official.tolist())
    return {
        "name": source.name,
        "kind": source.kind,
        "pictures": len(items),
        "classes": dict(zip(source.classes, counts, strict=True)) if any(counts) else list(source.classes),
        "official_parts": None if parts is None else {Part(part).label: count for part, count in sorted(parts.items())},
        "groups": None if items.groups is None else count_distinct(items.groups),
        "sizes_width_x_height": dict(sizes.most_common(10)),
        **pixels,
        "licence": source.licence,
        "notes": list(source.notes),
    }


def _count_pixels(source: Source) -> dict[str, dict[str, float]]:
    """Return each class's share of the pixels of up to a thousand masks, and the weights that this would make."""
    from etude.pictures.prepare import read_mask
    from etude.tasks.segmentation import tell_weights

    counts_K = np.zeros(len(source.classes), np.int64)
    for index in range(0, len(source.items), max(1, -(-len(source.items) // _SAMPLE))):
        try:
            mask = source.mask(index)
            ids = None if mask is None else read_mask(mask, name=str(source.items.ids[index]))
        except DataError:  # `etude data check` names it
            continue
        if ids is not None:
            counts_K += np.bincount(ids.ravel(), minlength=256)[: len(counts_K)]
    pixels = dict(zip(source.classes, counts_K.tolist(), strict=True))
    total = max(1, sum(pixels.values()))
    weights = {f"class_weights_{how}": of for how, of in tell_weights(pixels).items()}
    shares = {"share_of_the_pixels": {name: count / total for name, count in pixels.items()}, **weights}
    return {key: {name: round(value, 4) for name, value in of.items()} for key, of in shares.items()}


def _write_sheet(source: Source, content: dict[str, Any], folder: Path) -> list[Path]:
    """Write a contact sheet: some pictures of each class."""
    from etude.figures.gallery import draw_contact_sheet

    labels = source.items.labels
    has_classes = bool((labels >= 0).any())
    classes = list(source.classes[:_SHEET_CLASSES]) if has_classes else [source.name]
    pictures, shown = [], []
    for number in range(len(classes)):
        members = np.flatnonzero(labels == number) if has_classes else np.arange(len(labels))
        for index in members[:: max(1, len(members) // _SHEET_PICTURES)][:_SHEET_PICTURES].tolist():
            try:
                image = Image.fromarray(decode(source.raw(index), at_least_px=(_SHEET_PX, _SHEET_PX)))
            except DataError:
                continue
            image.thumbnail((_SHEET_PX, _SHEET_PX))
            pictures.append(np.asarray(image))
            shown.append(number)
    figure = draw_contact_sheet(pictures, shown, classes, per_class=_SHEET_PICTURES)
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png", dpi=144)
    write_bytes(folder / "sheet.png", drawn.getvalue())
    rows = "".join(f"<tr><th>{html.escape(key.replace('_', ' '))}<td>{_cell(value)}" for key, value in content.items())
    encoded = base64.b64encode(drawn.getvalue()).decode()
    name = html.escape(source.name)
    write_text(
        folder / "sheet.html",
        f"<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n<title>{name}</title>\n<style>body{{font:16px/1.5 "
        "system-ui,sans-serif;max-width:64rem;margin:2rem auto;padding:0 1rem}th{text-align:left;vertical-align:top;"
        f"padding-right:1rem}}img{{max-width:100%}}</style>\n<h1>{name}</h1>\n<table>{rows}</table>\n"
        f'<img alt="Some pictures of each class" src="data:image/png;base64,{encoded}">\n</html>\n',
    )
    return [folder / "sheet.png", folder / "sheet.html"]


def _cell(value: Any) -> str:  # noqa: ANN401 - what `_describe` gives
    if isinstance(value, dict):
        return html.escape(", ".join(f"{name}: {count:,}" for name, count in value.items()))
    if isinstance(value, list):
        return html.escape("; ".join(map(str, value)))
    return "–" if value in (None, "") else html.escape(str(value))
