"""One restrained theme for all figures, and the two ways out: SVG and PNG.

The colours are those of Okabe and Ito (2008), which stay apart for colour-blind readers. In a page, each of them is
written as a CSS variable, so that the page's dark side can restate it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from etude.core.files import writing

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#1f2328"
MUTED = "#646c77"
RULE = "#d9dde3"
PAPER = "#fefefe"
BLUE = "#0072b2"
ORANGE = "#d55e00"
SERIES = (BLUE, ORANGE, "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
DASHES: tuple[tuple[float, ...], ...] = ((), (4, 1.6), (1.2, 1.4), (6, 1.6, 1.2, 1.6))

VARIABLES = {INK: "--ink", MUTED: "--muted", RULE: "--rule", PAPER: "--paper"} | {
    color: f"--series-{index}" for index, color in enumerate(SERIES)
}
"""The CSS variable that stands for each colour in a page."""

WIDE_IN = 7.65
NARROW_IN = 3.5
TEXT_PT = 9.0
SMALL_PT = 8.0
_QUALITY = 90  # of JPEG: words within a figure stay clean


@dataclass(frozen=True)
class Look:
    """How one candidate is drawn in every figure of a study."""

    index: int
    """Place of the candidate in the study, from 0."""
    color: str
    """Colour as #rrggbb."""
    dash: tuple[float, ...]
    """Lengths in line widths of ink and gap; empty for a full line."""


def assign_looks(candidates: Iterable[str], baseline: str | None = None) -> dict[str, Look]:
    """Give each candidate its colour and dash; the baseline has the colour of the text.

    >>> looks = assign_looks(["plain", "wide"], baseline="plain")
    >>> looks["plain"].color == INK, looks["wide"].color == BLUE
    (True, True)
    """
    looks: dict[str, Look] = {}
    drawn = 0
    for index, candidate in enumerate(candidates):
        if candidate == baseline:
            looks[candidate] = Look(index, INK, ())
            continue
        looks[candidate] = Look(index, SERIES[drawn % len(SERIES)], DASHES[drawn // len(SERIES) % len(DASHES)])
        drawn += 1
    return looks


def new_figure(width_in: float, height_in: float) -> Figure:
    """Return an empty figure of this size in inches, on transparent ground, laid out so that nothing is cut."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width_in, height_in), layout="constrained")
    figure.patch.set_facecolor("none")
    figure.get_layout_engine().set(w_pad=0.03, h_pad=0.03, hspace=0.07)  # type: ignore[union-attr,call-arg]
    return figure


def dress(axes: Axes, *, grid: str = "y", spines: tuple[str, ...] = ("bottom",)) -> None:
    """Dress a pair of axes: few lines, quiet grid, small text."""
    axes.set_facecolor("none")
    for side, spine in axes.spines.items():
        spine.set_visible(side in spines)
        spine.set_color(MUTED)
        spine.set_linewidth(0.7)
    axes.tick_params(length=0, pad=4, labelsize=SMALL_PT, colors=MUTED, labelcolor=MUTED, which="both")
    if "bottom" in spines:
        axes.tick_params(axis="x", length=3, width=0.7)
    axes.xaxis.label.set(color=INK, fontsize=TEXT_PT)
    axes.yaxis.label.set(color=INK, fontsize=TEXT_PT)
    axes.set_axisbelow(True)
    if grid != "none":
        axes.grid(True, axis=grid, color=RULE, linewidth=0.7)  # type: ignore[arg-type]


def title(axes: Axes, text: str) -> None:
    """Write the heading of one panel, flush left."""
    axes.set_title(text, loc="left", fontsize=TEXT_PT, color=INK, fontweight="bold", pad=7)


def fit(text: str, width_in: float, size_pt: float = TEXT_PT) -> str:
    """Shorten a name in its middle so that it is no wider than this; its ends are what tells names apart.

    >>> fit("mobilenetv2_100-all-but-cutmix", 1.2), fit("cnn", 1.2)
    ('mobile…cutmix', 'cnn')
    """
    room = max(3, int(width_in * 72 / (0.7 * size_pt)))  # 0.7 em: a wide letter of a bold sans serif
    if len(text) <= room:
        return text
    return text[: room // 2] + "…" + text[len(text) - (room - 1) // 2 :]


def belongs_to(artist: Artist, look: Look) -> None:
    """Mark what belongs to a candidate; in SVG it carries the class ``series-N``."""
    artist.set_gid(f"series:{look.index}")


def to_svg(figure: Figure, *, inline: str | None = None, label: str = "") -> str:
    """Return the figure as SVG text: the same figure gives the same text.

    Args:
        figure: what to write.
        inline: a prefix for ids, to set the figure into a page: colours become CSS variables, the font is the
            page's, and the size follows the width. None gives a file of its own.
        label: what the figure shows, in a sentence, for those who do not see it.
    """
    import matplotlib

    out = io.StringIO()
    with matplotlib.rc_context({"svg.hashsalt": "etude", "svg.fonttype": "none"}):
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    text = re.sub(r"<metadata>.*?</metadata>", "", out.getvalue(), flags=re.DOTALL)
    text = re.sub(r'id="series:(\d+)"', r'class="series-\1"', text)
    if inline is None:
        return text.replace("<defs>", f"<title>{escape(label)}</title>\n <defs>", 1) if label else text
    return _set_into_page(text, inline, label)


def _set_into_page(text: str, prefix: str, label: str) -> str:
    """Make an SVG file part of a page: no clash of ids, no size of its own, colours as variables."""
    text = text[text.index("<svg") :]
    text = re.sub(r'<style type="text/css">.*?</style>', "", text, flags=re.DOTALL)
    used = set(re.findall(r"url\(#([^)]+)\)", text)) | set(re.findall(r'href="#([^"]+)"', text))
    text = re.sub(r' id="([^"]+)"', lambda found: f' id="{prefix}-{found[1]}"' if found[1] in used else "", text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{prefix}-\1)", text)
    text = re.sub(r'href="#([^"]+)"', rf'href="#{prefix}-\1"', text)
    for color, variable in VARIABLES.items():
        text = text.replace(color, f"var({variable})")
    text = re.sub(r"(font: [^;\"']*?px) [^;\"]*", r"\1 var(--figure-font)", text).replace("font: bold", "font: 600")
    text = re.sub(r"\n\s*", "\n", text).replace("<g>\n</g>\n", "").replace("<defs>\n</defs>\n", "")
    width_px = float(re.search(r'width="([\d.]+)pt"', text)[1]) * 96 / 72  # type: ignore[index]
    opening = (
        f'<svg role="img" aria-label="{escape(label, {chr(34): "&quot;"})}" viewBox="{re.search(VIEW, text)[1]}" '  # type: ignore[index]
        f'style="max-width:{width_px:.0f}px" stroke-linejoin="round" stroke-linecap="butt">'
    )
    return re.sub(r"<svg[^>]*>", lambda _: opening, text, count=1).strip()


VIEW = r'viewBox="([^"]+)"'


def to_png(figure: Figure, path: Path, dpi: int = 150) -> Path:
    """Write the figure as a PNG on white ground, whole or not at all; the same figure gives the same bytes."""
    with writing(path) as beside:
        figure.savefig(beside, format="png", dpi=dpi, facecolor=PAPER, metadata={"Software": None})
    return path


def to_pixels(figure: Figure, path: Path, dpi: int = 150) -> Path:
    """Write a figure of photographs as JPEG or PNG, whichever is smaller; flat colours stay sharp, as PNG.

    Args:
        figure: what to write, on white ground.
        path: the file without its ending, which is added.
        dpi: pixels an inch.
    """
    from PIL import Image

    png, jpeg = path.with_name(f"{path.name}.png"), path.with_name(f"{path.name}.jpg")
    to_png(figure, png, dpi)
    with Image.open(png) as drawn, writing(jpeg) as beside:  # to draw it takes longer than to read it
        drawn.convert("RGB").save(beside, format="JPEG", quality=_QUALITY, subsampling=0, dpi=(dpi, dpi))
    larger, smaller = sorted((png, jpeg), key=lambda file: file.stat().st_size, reverse=True)
    larger.unlink()
    return smaller
