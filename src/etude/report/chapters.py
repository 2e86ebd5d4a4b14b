"""A chapter of what was explained of a run: sentences, figures and tables, whatever the format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from etude.explain.records import LEAST_OF_GROUP, MOST_GROUPS
from etude.report.drawings import Drawing
from etude.report.tables import Table
from etude.report.words import Words


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


def tell_runs(candidate: str, n_runs: int, words: Words) -> str:
    """Write whose answers a chapter on errors is about."""
    return words.say_count(
        "The answers of one run of {candidate} on the test part.",
        "The answers of {n} runs of {candidate} on the test part, taken together.",
        n_runs,
        candidate=candidate,
    )


def tell_groups_left(n_shown: int, words: Words) -> str:
    """Say, after the caption of a table of groups, which are not in it: small ones, and the better of very many."""
    told = " " + words.say(
        "Groups of fewer than {least} test pictures are left out.", least=words.count(LEAST_OF_GROUP)
    )
    if n_shown < MOST_GROUPS:
        return told
    return told + " " + words.say("At most {most} groups are shown.", most=words.count(MOST_GROUPS))


def at_width(draw: Callable[..., Any], *given: Any) -> Any:  # noqa: ANN401 - the last one is the width
    """Draw a figure at the width that comes last."""
    return draw(*given[:-1], width_in=given[-1])


def exhibit(name: str, label: str, draw: Callable[[float], Any], caption: str) -> Exhibit:
    """Return a figure that is a picture, with what is said below it."""
    return Exhibit(Drawing(name, label, draw, is_picture=True), caption)
