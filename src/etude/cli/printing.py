"""What a command answers with: as wide as the terminal, and without end into a file, so that no cell is ever cut."""

from __future__ import annotations

import sys
from collections.abc import Collection, Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

_ENDLESS = 100_000
"""Columns of a file or a pipe: more than any table has."""


def answer_console() -> Console:
    """Return the console of standard output."""
    return Console(width=None if sys.stdout.isatty() else _ENDLESS)


def make_table(
    *headings: str, right: Collection[str] = (), whole: Collection[str] = (), title: str | None = None
) -> Table:
    """Return an empty table whose cells go on in a further line where the terminal is too narrow for them.

    Args:
        headings: one a column.
        right: the headings of the columns that are set flush right: numbers, which are broken last of all.
        whole: the headings of other columns that are broken last: what is copied from the terminal.
        title: what stands above it.
    """
    table = Table(title=title, title_justify="left", header_style="bold", box=box.SIMPLE_HEAD)
    for heading in headings:
        is_right = heading in right
        table.add_column(
            heading, justify="right" if is_right else "left", overflow="fold", no_wrap=is_right or heading in whole
        )
    return table


def add_row(table: Table, *cells: str | Text) -> None:
    """Add a row; what stands in brackets in a name is no markup."""
    table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in cells))


def fill_table(
    headings: Sequence[str], rows: Sequence[Sequence[str]], *, right: Collection[str] = (), whole: Collection[str] = ()
) -> Table:
    """Return a table of rows; a column without a value takes no room. See `make_table`."""
    shown = [place for place in range(len(headings)) if any(row[place] for row in rows)]
    table = make_table(*(headings[place] for place in shown), right=right, whole=whole)
    for row in rows:
        add_row(table, *(row[place] for place in shown))
    return table


def print_table(table: Table, console: Console) -> None:
    """Print a table; its lines end where their text ends."""
    if _least_width(table) > console.width:
        for column in table.columns:
            column.no_wrap = False
    if console.is_terminal:
        console.print(table)
        return
    with console.capture() as printed:
        console.print(table)
    console.file.write("".join(f"{line.rstrip()}\n" for line in printed.get().splitlines()))


def _least_width(table: Table) -> int:
    """Return how wide a table is whose columns are as narrow as they may be."""
    return 1 + sum(3 + _narrowest(column) for column in table.columns)


def _narrowest(column: Column) -> int:
    """Return the width of a column's longest word, or of its longest cell where cells are to stay whole."""
    cells = [str(cell) for cell in (column.header, *column.cells)]
    pieces = cells if column.no_wrap else [word for cell in cells for word in cell.split()]
    return max(map(cell_len, pieces), default=0)


def print_line(text: str, console: Console) -> None:
    """Print a sentence as it is: names in it are no markup, and the terminal breaks it."""
    console.print(text, highlight=False, markup=False, soft_wrap=True)
