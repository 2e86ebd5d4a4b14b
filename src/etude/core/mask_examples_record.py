"""The record of the test pictures of a segmentation run that are kept to be looked at."""

from __future__ import annotations

from typing import ClassVar, Literal

from etude.core.class_names import ClassName
from etude.core.records import Config, Record


class MaskExample(Config):
    """One picture; its files lie beside the record: `STEM.jpg`, `STEM.truth.png`, `STEM.answer.png`."""

    item: str
    """Id of the picture."""
    kind: Literal["spread", "worst", "best"]
    """Why it was kept: evenly spread over the part, or among those with the lowest or highest mean IoU."""
    stem: str
    """What its files are called."""
    score: float | None
    """Its mean IoU over the classes that are in it or were predicted; none where it has none."""


class MaskExamples(Record):
    """The pictures that are kept (`masks/examples.json`); masks are PNG files of ids, 255 being void."""

    FORMAT: ClassVar[int] = 1

    classes: tuple[ClassName, ...]
    """Names of the classes, in the order of the ids."""
    examples: tuple[MaskExample, ...]
    """The pictures: those evenly spread in the order of the part, the worst first, the best first."""
