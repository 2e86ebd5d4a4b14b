"""How a cell of a notebook shows a figure, a table and a text."""

from __future__ import annotations

import html
from typing import Any

from etude.figures.theme import WIDE_IN
from etude.report.drawings import Drawing
from etude.report.tables import Cell, Column, Table

_DPI = 96
_SET_OFF = ' style="font-weight:bold"'


def show_html(text: str) -> None:
    """Show a piece of HTML."""
    from IPython.display import HTML, display

    shown: Any = HTML(text)
    display(shown)


def show_drawing(drawing: Drawing) -> None:
    """Show a figure as PNG."""
    from IPython.display import Image, display

    display(Image(drawing.png(WIDE_IN, _DPI), alt=drawing.label))


def write_table(table: Table) -> str:
    """Return a table as HTML, the rows that are set off in bold."""
    heads = "".join(
        f'<th style="text-align:{_side(column)}">{html.escape(column.heading)}</th>' for column in table.columns
    )
    rows = "".join(
        f"<tr{_SET_OFF if place in table.marked else ''}>"
        + "".join(
            f'<td style="text-align:{_side(c)}">{_text_of(cell)}</td>'
            for c, cell in zip(table.columns, row, strict=True)
        )
        + "</tr>"
        for place, row in enumerate(table.rows)
    )
    return f"<div style='overflow-x:auto'><table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"


def _text_of(cell: Cell) -> str:
    text = html.escape(cell.text)
    return f'<a href="{html.escape(cell.link)}">{text}</a>' if cell.link else text


def mark_english(text: str, is_english: bool) -> str:
    """Return a text for a page, marked where it is English in whatever report."""
    return f'<span lang="en">{html.escape(text)}</span>' if is_english else html.escape(text)


def _side(column: Column) -> str:
    return "right" if column.numeric else "left"
