"""What was measured of a generator: beside its run's record, as `generation.json`."""

from __future__ import annotations

from typing import Any, ClassVar, Final, Literal

from etude.core.interval import Interval
from etude.core.records import Config, Record

GENERATION_FILE: Final = "generation.json"
"""Its name in the folder of a run."""


class GeneratedMeasure(Config):
    """One measure of the generated pictures."""

    name: str
    """Its name: kid, fid, density, coverage, diversity or near_copies."""
    value: float
    """Against held-out real pictures."""
    interval: Interval
    """95 % interval over the held-out pictures (bootstrap), the generated ones as they are."""
    against_training: float | None = None
    """Against the training pictures in the place of held-out ones; none for what compares with both."""


class TrivialGenerator(Config):
    """What everyone could do, measured in the same way, so that the numbers can be read."""

    name: str
    """training (the training pictures themselves), blurred (the same, blurred) or noise (uniform)."""
    scores: dict[str, float]
    """Its measures against held-out real pictures, by name."""


class NearestPair(Config):
    """A generated picture and the training picture that lies nearest to it."""

    item: str
    """Id of the training picture."""
    distance: float
    """How near it is, measured as `GenerationRecord.near_by` says."""


class GenerationRecord(Record):
    """What a finished generator was found to give.

    Nearness is by pixels in format 3; before by features: by their distance alone in format 1, by its ratio in 2.
    """

    FORMAT: ClassVar[int] = 3

    format: int = FORMAT
    """The number of the format that this record was written in."""
    features: str
    """What the measures are over: the name of a pretrained network, or pixels. Over another they are others."""
    weights: str = ""
    """SHA-256 of the file of that network's weights, as two files may have one name; empty for pixels, and in records
    of earlier versions."""
    comparable: bool = False
    """Whether they may stand beside published values: only over the network and the pictures of those."""
    n_generated: int
    """Generated pictures that were measured."""
    n_real: int
    """Held-out real pictures, the test part."""
    n_training: int
    """Training pictures."""
    measures: tuple[GeneratedMeasure, ...]
    """Every measure."""
    trivial: tuple[TrivialGenerator, ...]
    """What trivial generators get."""
    classes: dict[str, dict[str, float]] = {}
    """For a conditional generator, measures by class that was asked for, against held-out pictures of that class."""
    near_by: Literal["distance", "ratio", "pixels"] = "pixels"
    """Nearness to a training picture: the distance of features, its ratio to the mean of the next nine's, or that ratio
    of pixels (`etude.metrics.copies`)."""
    near_limit: float
    """Nearness to the nearest training picture under which 1 of 20 held-out real pictures lie."""
    nearest_generated: float
    """Median nearness of a generated picture to the nearest training picture."""
    nearest_real: float
    """The same of a held-out real picture."""
    nearest: tuple[NearestPair, ...]
    """Generated pictures that are nearest to a training picture, nearest first, as in `samples/nearest.png`."""
    note: str = ""
    """That the generator collapsed, and whether training stopped there; empty where it did not."""

    @classmethod
    def upgrade(cls, content: dict[str, Any]) -> dict[str, Any]:
        """Say of earlier formats how they measured what is near."""
        if content.get("format", 1) == 1:
            content = content | {"near_by": "distance", "format": 2}
        if content["format"] == 2:
            content = content | {"near_by": content.get("near_by", "ratio"), "format": cls.FORMAT}
        return content
