"""Labels that stay in the room they have: their width is measured, they are wrapped, and what is left is shortened."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

_POINTS_AN_INCH = 72
_LINE = 1.25  # height of a line over that of its letters
_HANDLE_EM = 4.5  # of a legend's entry beside its text: the dot, and the space to the next


@lru_cache(maxsize=4096)
def width_of(text: str, size_pt: float) -> float:
    """Return how wide a line of text is in inches.

    >>> width_of("mm", 10) == 2 * width_of("m", 10) > width_of("ii", 10)
    True
    """
    return sum(_advance(letter, size_pt) for letter in text) / _POINTS_AN_INCH


@lru_cache(maxsize=4096)
def _advance(letter: str, size_pt: float) -> float:
    """Return the width of a letter in points: measured once, as a text that is wrapped asks for the same ones often."""
    from matplotlib.textpath import text_to_path

    return float(text_to_path.get_text_width_height_descent(letter, _font(size_pt), ismath=False)[0])


@lru_cache(maxsize=16)
def _font(size_pt: float):  # type: ignore[no-untyped-def]  # noqa: ANN202 - matplotlib's
    from matplotlib.font_manager import FontProperties

    return FontProperties(size=size_pt)


def shorten(text: str, width_in: float, size_pt: float) -> str:
    """Shorten a line in its middle so that it is no wider than this; its ends are what tells names apart."""
    if width_of(text, size_pt) <= width_in:
        return text
    for kept in range(len(text) - 1, 1, -1):
        short = text[: (kept + 1) // 2] + "…" + text[len(text) - kept // 2 :]
        if width_of(short, size_pt) <= width_in:
            return short
    return text[:1] + "…"


def wrap(text: str, width_in: float, size_pt: float, most_lines: int = 2) -> str:
    r"""Break a text into lines no wider than this, at spaces and behind hyphens, underscores, points and slashes.

    What does not fit into so many lines, or a word that fits into none, is shortened in its middle.

    >>> wrap("cat 90 %", 2.0, 8), wrap("german_short-haired", 0.8, 8)
    ('cat 90 %', 'german_\nshort-haired')
    >>> wrap("features, t-SNE", 0.75, 8)
    'features,\nt-SNE'
    """
    lines = [""]
    words = [word for word in re.findall(r"(?:[^ \-_./]{0,2}[\-_./]+)*[^ \-_./]*[\-_./]*| ", text) if word]
    for place, word in enumerate(words):
        if width_of((lines[-1] + word).rstrip(" "), size_pt) <= width_in or not lines[-1]:
            lines[-1] += word
        elif len(lines) < most_lines:
            lines.append(word)
        else:
            lines[-1] += "".join(words[place:])
            break
    return "\n".join(shorten(line.strip(" "), width_in, size_pt) for line in lines)


def wrap_each(text: str, width_in: float, size_pt: float, most_lines: int = 3) -> str:
    """Wrap each line of a text by itself."""
    return "\n".join(wrap(line, width_in, size_pt, most_lines) for line in text.split("\n"))


def height_of(texts: Sequence[str], size_pt: float) -> float:
    """Return the height in inches of the text with the most lines."""
    most = max((text.count("\n") + 1 for text in texts), default=0)
    return most * _LINE * size_pt / _POINTS_AN_INCH


def legend_columns(names: Sequence[str], width_in: float, size_pt: float) -> int:
    """Return how many columns of a legend stand side by side in this width: at least one."""
    widest = max((width_of(name, size_pt) for name in names), default=0.0) + _HANDLE_EM * size_pt / _POINTS_AN_INCH
    return max(1, min(len(names), int(width_in / widest)))
