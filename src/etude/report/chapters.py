"""A chapter of what was explained of a run: sentences, figures and tables, whatever the format."""

from __future__ import annotations

from dataclasses import dataclass, field

from etude.report.drawings import Drawing
from etude.report.tables import Table


@dataclass(frozen=True)
class Exhibit:
    """A figure and what is said below it."""

    drawing: Drawing
    caption: str


@dataclass(frozen=True)
class Chapter:
    """One thing that was explained."""

    name: str
    heading: str
    told: list[str]
    exhibits: list[Exhibit] = field(default_factory=list)
    tables: list[tuple[Table, str]] = field(default_factory=list)
