"""Lines of a legend: how each format writes the dashes by which candidates of one colour are told apart."""

from __future__ import annotations

from etude.figures.theme import DASHES, Look

_IN_TEXT = (
    "\N{EM DASH}",
    "\N{EN DASH} \N{EN DASH}",
    "\N{MIDDLE DOT}\N{MIDDLE DOT}\N{MIDDLE DOT}",
    "\N{EN DASH} \N{MIDDLE DOT}",
)
"""What a text has for each of `DASHES`: full, dashed, dotted, dashes and dots."""
_IN_TYPST = ("solid", "dashed", "dotted", "dash-dotted")
"""What Typst calls them."""


def line_of(look: Look) -> str:
    """Return a line as a text writes it.

    >>> line_of(Look(0, "#0072b2", ())) == "\N{EM DASH}"
    True
    """
    return _IN_TEXT[DASHES.index(look.dash)]


def typst_dash_of(look: Look) -> str:
    """Return the name of a line's dashes in Typst.

    >>> typst_dash_of(Look(0, "#0072b2", (1.2, 1.4)))
    'dotted'
    """
    return _IN_TYPST[DASHES.index(look.dash)]
