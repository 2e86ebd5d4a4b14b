"""What was measured of a generator: beside its run's record, as `generation.json`."""

from __future__ import annotations

from typing import Any, ClassVar, Final, Literal

from etude.core.class_names import ClassName
from etude.core.interval import Interval
from etude.core.records import Config, Record

GENERATION_FILE: Final = "generation.json"
"""Its name in the folder of a run."""


class GeneratedMeasure(Config):
    """One measure of the generated pictures."""

    name: str
    """Its name: kid, fid, density, coverage, diversity, near_copies or closest_copies."""
    value: float
    """Against held-out real pictures."""
    interval: Interval | None
    """95 % interval over the held-out pictures, the generated ones as they are: by the bootstrap (KID, diversity) or
    the jackknife, about what as many pictures give on average; in records of earlier versions all by the bootstrap.
    None where there is no honest one (near copies), or no spread."""
    against_training: float | None = None
    """Against the training pictures in the place of held-out ones; none for what compares with both."""
    interval_training: Interval | None = None
    """The interval of that over the training pictures, in the same way; none in records of earlier versions."""


class TrivialGenerator(Config):
    """What everyone could do, measured in the same way, so that the numbers can be read."""

    name: str
    """training (the training pictures themselves), blurred (the same, blurred) or noise (uniform)."""
    n: int | None = None
    """Its pictures; none in records of earlier versions. FID hangs on how many there are, and to format 4 coverage."""
    scores: dict[str, float]
    """Its measures against held-out real pictures, by name."""
    intervals: dict[str, Interval] = {}
    """Their 95 % intervals over the held-out pictures, where there is an honest one; empty in those records."""


class NearestPair(Config):
    """A generated picture and the training picture that lies nearest to it."""

    item: str
    """Id of the training picture."""
    distance: float
    """How near it is, measured as `GenerationRecord.near_by` says."""


class NearPhotographs(Config):
    """Which photographs generated pictures lie near to, of which: so that runs can be shuffled together."""

    trained: tuple[str, ...]
    """Ids of the photographs that were learnt from, as far as they were compared with."""
    held_out: tuple[str, ...]
    """Ids of those that were held out."""
    counts: dict[str, int]
    """How many near pictures lie nearest to each photograph, by its id; photographs without one are left out."""
    groups: dict[str, str] = {}
    """Group of each photograph by its id, where they are of groups; empty where they are not."""


class GenerationRecord(Record):
    """What a finished generator was found to give.

    Nearness is by pixels from format 3 on; before by features: by their distance alone in format 1, by its ratio in 2.
    From format 4 on near copies are counted by ranks, and intervals contain their value; from format 5 on coverage is
    that of as many generated pictures as there are held-out ones; from format 6 on it is told whose photographs near
    pictures lie near, from format 7 on which photographs these are.
    """

    FORMAT: ClassVar[int] = 7

    format: int = FORMAT
    """The number of the format that this record was written in."""
    features: str
    """What the measures are over: the name of a pretrained network, or pixels. Over another they are others."""
    weights: str = ""
    """SHA-256 of the file of that network's weights, as two files may have one name; empty for pixels, and in records
    of earlier versions."""
    statistics: tuple[tuple[float, float, float], tuple[float, float, float]] | None = None
    """The mean and the deviation by which pictures scaled to 0..1 are normalised for that network, chosen on training
    pictures; none for pixels, and in records of earlier versions."""
    n_generated: int
    """Generated pictures that were measured."""
    n_real: int
    """Held-out real pictures, the test part."""
    n_training: int
    """Training pictures, by all of which nearness is told."""
    n_training_measured: int | None = None
    """Those of them, drawn by the seed, over whose features all else is measured that is of training pictures: no more
    than memory has room for. None in records of earlier versions: all."""
    measures: tuple[GeneratedMeasure, ...]
    """Every measure."""
    trivial: tuple[TrivialGenerator, ...]
    """What trivial generators get."""
    classes: dict[ClassName, dict[str, float]] = {}
    """For a conditional generator, measures by class that was asked for, against held-out pictures of that class, and
    of near copies by training pictures of that class (in records of earlier versions by all)."""
    class_intervals: dict[ClassName, dict[str, Interval]] = {}
    """Their 95 % intervals over the held-out pictures of the class, where there is an honest one; empty in those
    records."""
    near_by: Literal["distance", "ratio", "pixels", "zooms"] = "zooms"
    """Nearness to a training picture: the distance of features, its ratio to the mean of the next nine's, that ratio of
    pixels, or the same with training pictures enlarged too (`etude.metrics.copies`)."""
    near_any: float | None = None
    """Share of the generated pictures that lie as near to any photograph, training or held out, as 1 of 20 photographs
    does to another one; none in records of earlier versions."""
    near_trained: float | None = None
    """Share of those whose nearest photograph is a training one: more than chance shows copies
    (`etude.metrics.copied`); none where none is near, and in those records."""
    near_trained_chance: Interval | None = None
    """Between what ends that lies in 95 of 100 shuffles of which photographs were trained on."""
    near_photographs: int | None = None
    """Different photographs that those lie nearest to: of a handful, chance often finds all trained on. None in records
    of earlier versions, as all that follows."""
    near_photographs_trained: int | None = None
    """Those of them that were learnt from."""
    near_to: NearPhotographs | None = None
    """Which they are; none where there are too many photographs to name all of them."""
    outright_trained: float | None = None
    """Share of the generated pictures that lie at most two thirds as far from a training photograph as any two
    photographs do from each other, all beside the next ones."""
    outright_held_out: float | None = None
    """The same of held-out photographs."""
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
            content = content | {"near_by": content.get("near_by", "ratio"), "format": 3}
        if content["format"] == 3:
            kept = {name: content[name] for name in content if name != "comparable"}
            content = {"near_by": "pixels"} | kept | {"format": 4}
        return content
