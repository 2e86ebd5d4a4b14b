"""The page of a check: what was found, with the pictures side by side; one HTML file that holds all it shows."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from etude.check.records import CheckRecord, Finding
from etude.core.errors import DataError
from etude.core.files import write_text
from etude.core.words import Part
from etude.data.source import Source
from etude.pictures.reading import decode

SHOWN_SETS, SHOWN_MEMBERS, SHOWN_FILES = 24, 4, 16
"""A finding shows this many sets of pictures, this many pictures of each, or else this many single pictures."""
_SIDE_PX: Final = 96
_NAMED: Final = 100
_STYLE: Final = """
:root { color-scheme: light dark; --line: #8884; --muted: #777; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin: 2.2rem 0 .3rem; border-top: 1px solid var(--line);
  padding-top: 1rem; }
.severity { font-size: .8rem; font-weight: 600; border: 1px solid; border-radius: .3rem; padding: .05rem .4rem; }
.error { color: #c2410c; } .warning { color: #a16207; } .note { color: var(--muted); }
.sets { display: flex; flex-wrap: wrap; gap: .8rem; } .set { display: flex; gap: .3rem; border: 1px solid var(--line);
  border-radius: .4rem; padding: .4rem; }
figure { margin: 0; width: 6.2rem; } img { width: 6rem; height: 6rem; object-fit: contain; image-rendering: auto;
  background: #8882; } figcaption { font-size: .68rem; line-height: 1.25; overflow-wrap: anywhere; }
table { border-collapse: collapse; } td, th { padding: .15rem .8rem .15rem 0; text-align: left; }
td:nth-child(n+2) { text-align: right; font-variant-numeric: tabular-nums; } details { font-size: .85rem; }
"""


def write_page(
    path: Path, record: CheckRecord, source: Source, splits: Sequence[npt.NDArray[np.int8]] | None = None
) -> None:  # fmt: skip
    """Write the page whole or not at all.

    Args:
        path: the HTML file.
        record: what was found.
        source: the pictures.
        splits: parts of all items; the first fold's are told beside each picture.

    Raises:
        StorageError: if the file cannot be written.
    """
    write_text(path, render_page(record, source, splits))


def render_page(
    record: CheckRecord, source: Source, splits: Sequence[npt.NDArray[np.int8]] | None = None
) -> str:  # fmt: skip
    """Return the page as HTML text."""
    parts = splits[0] if splits is not None and len(splits) else source.items.official
    gallery = _Gallery(source, parts)
    head = f"Data check of {html.escape(record.source)}"
    found = "".join(_section(finding, gallery) for finding in record.findings) or "<p>Nothing amiss was found.</p>"
    skipped = "".join(f"<p class=note>{html.escape(text)}</p>" for text in record.skipped)
    return (
        f"<!doctype html>\n<html lang=en>\n<meta charset=utf-8>\n"
        f'<meta name=viewport content="width=device-width, initial-scale=1">\n<title>{head}</title>\n'
        f"<style>{_STYLE}</style>\n<h1>{head}</h1>\n"
        f"<p>{record.looked_at}</p>\n{skipped}\n{_summary(record)}\n"
        f"{found}\n{_table('Pictures by class', record.counts)}\n{_pixels(record)}\n"
        f"{_table('Pictures by size', record.sizes)}\n</html>\n"
    )


class _Gallery:
    """Thumbnails by the id of a picture, each made once."""

    def __init__(self, source: Source, parts: npt.NDArray[np.int8] | None) -> None:
        self._source, self._parts = source, parts
        self._places = {str(item): place for place, item in enumerate(source.items.ids)}
        self._made: dict[str, str] = {}

    def figure(self, name: str) -> str:
        """Return one picture with what is known of it."""
        if name not in self._made:
            self._made[name] = self._make(name)
        return self._made[name]

    def _make(self, name: str) -> str:
        place = self._places[name]
        label = int(self._source.items.labels[place])
        told = [name]
        if self._parts is not None:
            told.append(Part(int(self._parts[place])).label.replace("_", " "))
        if label >= 0:
            told.append(self._source.classes[label])
        caption = "<br>".join(html.escape(text) for text in told)
        return f"<figure>{self._image(place)}<figcaption>{caption}</figcaption></figure>"

    def _image(self, place: int) -> str:
        try:
            image = Image.fromarray(decode(self._source.raw(place), at_least_px=(_SIDE_PX, _SIDE_PX)))
        except DataError:
            return ""
        image.thumbnail((_SIDE_PX, _SIDE_PX))
        content = io.BytesIO()
        image.save(content, "WEBP", quality=80)
        return f'<img alt="" src="data:image/webp;base64,{base64.b64encode(content.getvalue()).decode()}">'


def _summary(record: CheckRecord) -> str:
    if not record.findings:
        return ""
    rows = "".join(
        f"<tr><td><span class='severity {finding.severity}'>{finding.severity}</span> "
        f"<a href='#{finding.kind}'>{finding.kind}</a><td>{finding.count:,}"
        for finding in record.findings
    )
    return f"<table><tr><th>finding<th>pictures{rows}</table>"


def _section(finding: Finding, gallery: _Gallery) -> str:
    """Show one finding."""
    sets = finding.sets[:SHOWN_SETS] or tuple((name,) for name in finding.files[:SHOWN_FILES])
    shown = "".join(
        f"<div class=set>{''.join(gallery.figure(name) for name in members[:SHOWN_MEMBERS])}</div>" for members in sets
    )
    named = "\n".join(html.escape(name) for name in finding.files[:_NAMED])
    more = f"\n… and {finding.count - _NAMED:,} more" if finding.count > _NAMED else ""
    files = f"<details><summary>files</summary><pre>{named}{more}</pre></details>" if finding.files else ""
    return (
        f"<section><h2 id='{finding.kind}'>{finding.kind} <span class='severity {finding.severity}'>"
        f"{finding.severity}</span></h2><p>{html.escape(finding.sentence)}</p><div class=sets>{shown}</div>{files}"
        f"</section>\n"
    )


def _pixels(record: CheckRecord) -> str:
    """Set out how pixels are spread over the classes of masks, and what weights that would make."""
    if not record.class_weights:
        return ""
    total = sum(record.pixels.values())
    rows = "".join(
        f"<tr><td>{html.escape(name)}<td>{count / total:.2%}"
        + "".join(f"<td>{weights[name]:.2f}" for weights in record.class_weights.values())
        for name, count in record.pixels.items()
    )
    ways = "".join(f"<th>weight, {html.escape(way)}" for way in record.class_weights)
    return f"<h2>Pixels by class</h2>\n<table><tr><th>class<th>share of the pixels{ways}{rows}</table>"


def _table(heading: str, counts: dict[str, int]) -> str:
    if not counts:
        return ""
    rows = "".join(f"<tr><td>{html.escape(name)}<td>{count:,}" for name, count in counts.items())
    return f"<h2>{heading}</h2><table>{rows}</table>"
