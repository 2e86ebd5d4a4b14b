"""The drawing of a network: one line a layer, or a block where there are many; SVG in the page's colours."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final
from xml.sax.saxutils import escape

from markupsafe import Markup

from etude.explain.records import Kind, LayerRow, LayersRecord
from etude.report.layer_words import KIND_WORDS, shape_text
from etude.report.words import Words

_MOST_LINES = 44
_LINE_PX, _TOP_PX = 22, 26
_SHAPE_PX: Final = 490
"""Where shapes end on a wide page."""
_LETTER_PX: Final = 7.0
"""The width of a letter, of the widest font that the drawing may be written in."""
_COLORS: dict[Kind, str] = {
    **dict.fromkeys(("convolution", "depthwise convolution", "pointwise convolution", "patch embedding"), "--series-0"),
    **dict.fromkeys(("dense", "head", "attention"), "--series-1"),
    **dict.fromkeys(("residual", "gate", "join", "up-sampling", "resizing"), "--series-2"),
    **dict.fromkeys(("pooling", "global pooling"), "--series-4"),
    "activation": "--series-3",
}


_ARC = "<path "  # nothing else in a drawing is a path


@dataclass(frozen=True)
class Sketch:
    """A drawing as SVG text, for a wide page and for a phone."""

    wide: Markup
    narrow: Markup

    @property
    def has_arcs(self) -> bool:
        """Whether any arc goes round a residual block: one within a line has none."""
        return _ARC in self.wide


@dataclass(frozen=True)
class Line:
    """One line of the drawing: a layer, or layers of one block."""

    label: str
    rows: tuple[LayerRow, ...]
    first: int
    """Place of its first layer."""

    @property
    def last(self) -> int:
        """Place of its last layer."""
        return self.first + len(self.rows) - 1

    @property
    def kind(self) -> Kind:
        """The kind of the layer that computes most."""
        return max(self.rows, key=lambda row: (row.macs, row.params)).kind


def group_layers(rows: Sequence[LayerRow], most: int = _MOST_LINES) -> list[Line]:
    """Put layers of one block together until there are few enough lines.

    The dotted names are cut at the greatest depth at which that holds.
    """
    if len(rows) <= most:
        return [Line(row.name, (row,), place) for place, row in enumerate(rows)]
    lines: list[Line] = []
    for depth in range(max(row.name.count(".") for row in rows) + 1, 0, -1):
        lines = _cut(rows, depth)
        if len(lines) <= most:
            break
    return lines


def _cut(rows: Sequence[LayerRow], depth: int) -> list[Line]:
    lines, place = [], 0
    for label, members in groupby(rows, key=lambda row: ".".join(row.name.split(" · ")[0].split(".")[:depth])):
        found = tuple(members)
        lines.append(Line(label or found[0].name, found, place))
        place += len(found)
    return lines


def draw_network(record: LayersRecord, words: Words) -> Sketch:
    """Draw a network for a wide page and for a phone.

    The wider a bar, the larger the map; its colour is the kind's. Arcs at the left go round residual blocks; at the
    right stands the share of the multiply-adds.
    """
    lines = group_layers([row for row in record.rows if row.kind != "parameters"])
    return Sketch(Markup(_draw(record, lines, words, 760)), Markup(_draw(record, lines, words, 360)))


def svg_file(record: LayersRecord, words: Words) -> str:
    """Return the drawing as an SVG file of its own, its colours written out."""
    from etude.figures.theme import VARIABLES

    lines = group_layers([row for row in record.rows if row.kind != "parameters"])
    text = _draw(record, lines, words, 760)
    for color, variable in VARIABLES.items():
        text = text.replace(f"var({variable})", color)
    return (
        text.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1).replace("var(--figure-font)", "sans-serif")
        + "\n"
    )


def _draw(record: LayersRecord, lines: list[Line], words: Words, width_px: int) -> str:
    narrow = width_px < 500
    height_px = _TOP_PX + _LINE_PX * len(lines) + 8
    middle, widest = (76, 84) if narrow else (130, 130)
    text_x = middle + widest // 2 + 12
    label = escape(_label(record, words), {'"': "&quot;"})
    height, width = record.size_px
    given = (
        words.say("latent vector") if record.side == "generator" else words.say("picture") + f" 3 × {height} × {width}"
    )
    out = [
        f'<svg role="img" aria-label="{label}" '
        f'viewBox="0 0 {width_px} {height_px}" style="max-width:{width_px}px" font-size="12" fill="var(--ink)" font-family="var(--figure-font)">',  # noqa: E501
        f'<text x="{text_x}" y="14" fill="var(--muted)">{escape(given)}</text>',
    ]
    places = {place: number for number, line in enumerate(lines) for place in range(line.first, line.last + 1)}
    for number, line in enumerate(lines):
        out += _line(record, line, words, number, (middle, widest, text_x), width_px)
        for row in line.rows:
            if row.kind == "residual":
                start = -1 if row.joins is None else places.get(row.joins, -1)
                if number - start > 1:
                    out.append(_arc(start, number, middle - widest // 2 - 4, min(46, middle - widest // 2 - 6)))
    return "\n".join([*out, "</svg>"])


def _label(record: LayersRecord, words: Words) -> str:
    """Say what a drawing shows to those who do not see it."""
    if record.side == "generator":
        return words.say("Drawing of the generator, from latent vector to picture")
    return words.say("Drawing of the network, from picture to answer")


def _line(
    record: LayersRecord, line: Line, words: Words, number: int, at: tuple[int, int, int], width_px: int
) -> list[str]:  # fmt: skip
    middle, widest, text_x = at
    y = _TOP_PX + _LINE_PX * number
    shape = line.rows[-1].output_shape
    bar = max(8.0, widest * _size(shape) / _size((3, *record.size_px)))
    color = _COLORS.get(line.kind, "--muted")
    narrow = width_px < 500
    kinds = _list_kinds(line, words)
    whole = f"{line.label}: {', '.join(kinds)}"
    shape_x = width_px - 4 if narrow else _SHAPE_PX
    name = _fit(line.label, int((shape_x - text_x) / _LETTER_PX) - len(shape_text(shape)) - 1)
    out = [
        f'<rect x="{middle - min(bar, widest) / 2:.1f}" y="{y}" width="{min(bar, widest):.1f}" height="{_LINE_PX - 6}" rx="3" '  # noqa: E501
        f'fill="var({color})" fill-opacity="{0.9 if record.macs and any(row.macs for row in line.rows) else 0.45}">'
        f"<title>{escape(whole)}</title></rect>",
        f'<text x="{text_x}" y="{y + 12}">{escape(name)}</text>',
    ]
    out.append(f'<text x="{shape_x}" y="{y + 12}" text-anchor="end" fill="var(--muted)">{shape_text(shape)}</text>')
    if not narrow:
        share = sum(row.macs for row in line.rows) / record.macs if record.macs else 0.0
        out.append(
            f'<text x="{_SHAPE_PX + 12}" y="{y + 12}" fill="var(--muted)">{escape(_first_kinds(kinds, 30))}</text>'
        )
        if share >= 0.0005:
            out.append(f'<text x="{width_px - 4}" y="{y + 12}" text-anchor="end">{escape(words.percent(share))}</text>')
    return out


def _list_kinds(line: Line, words: Words) -> list[str]:
    """Name the kinds of a line's layers, the commonest first."""
    counts = Counter(row.kind for row in line.rows).most_common()
    return [words.say(KIND_WORDS[kind]) + (f" ×{count}" if count > 1 else "") for kind, count in counts]


def _first_kinds(kinds: list[str], room: int) -> str:
    """Return the first kinds that there is room for, each whole, and how many there are besides."""
    for kept in range(len(kinds), 0, -1):
        rest = f", +{len(kinds) - kept}" if kept < len(kinds) else ""
        if len(text := ", ".join(kinds[:kept]) + rest) <= room:
            return text
    return _fit(kinds[0], room)


def _arc(start: int, end: int, x: int, reach: int) -> str:
    """Draw the way round a residual block."""
    top = _TOP_PX + _LINE_PX * start + 8
    bottom = _TOP_PX + _LINE_PX * end + 8
    far = x - min(reach, 10 + 4 * (end - start))
    return (
        f'{_ARC}d="M {x} {top} C {far} {top}, {far} {bottom}, {x} {bottom}" fill="none" stroke="var(--series-2)" '
        f'stroke-width="1.4"/>'
    )


def _size(shape: Sequence[int]) -> float:
    """Return how wide a map is drawn: by the logarithm of its side."""
    side = max(shape[1:], default=0) if len(shape) == 3 else math.sqrt(shape[0]) if len(shape) == 2 else 0
    return math.log2(2 + side)


def _fit(text: str, room: int) -> str:
    """Shorten a text in its middle."""
    return text if len(text) <= room else text[: room // 2] + "…" + text[len(text) - (room - 1) // 2 :]
