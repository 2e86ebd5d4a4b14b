"""What the final detector of another study says of generated pictures (`judgement.json`)."""

from __future__ import annotations

from typing import ClassVar, Final, Literal

from etude.core.class_names import ClassName
from etude.core.interval import Interval
from etude.core.records import Config, Record

JUDGEMENT_FILE: Final = "judgement.json"
"""Its name in the folder of a study."""
Kind = Literal["generated", "real", "other"]


class JudgedPictures(Config):
    """Pictures of one kind, and how many of them are called what was asked about."""

    kind: Kind
    """generated; real: photographs of the class that is asked about; other: photographs of other classes."""
    candidate: str = ""
    """For generated pictures, the generator's name; empty for photographs."""
    label: ClassName = ""
    """For generated pictures, the class that was asked for; empty where the generator is not told one."""
    target: ClassName
    """The class that is asked about."""
    size_px: int | None = None
    """Side of the pictures that were judged; none in records of earlier versions, which have one size alone."""
    n: int
    """Pictures, of all runs together."""
    called: float
    """Share of them that is called the class, mean over the networks that were asked, from 0 to 1."""
    called_interval: Interval
    """95 % interval over the pictures (Wilson; in records of earlier versions bootstrap), the runs as they are."""
    confidence: float
    """Mean probability that the class is given, from 0 to 1."""
    confidence_interval: Interval
    """95 % interval over the pictures (bootstrap)."""


class JudgementRecord(Record):
    """Generated pictures before a detector, beside photographs that it did not learn from."""

    FORMAT: ClassVar[int] = 1

    key: str
    """Hash of the runs on both sides: the same runs are not judged twice."""
    generators: tuple[str, ...] = ()
    """Identities of the finished runs whose pictures were judged; empty in records of earlier versions."""
    study: str
    """Name of the study that the detector comes from."""
    candidate: str
    """Its final candidate."""
    metric: str
    """The metric of that study."""
    score: float
    """Its score on its own test pictures."""
    networks: int
    """Finished runs that were asked. Photographs are answered by those of them that had not learnt from them."""
    size_px: int
    """Side to which photographs were brought first: that of the first candidate's pictures."""
    pictures: tuple[JudgedPictures, ...]
    """Generated pictures by candidate and class, then photographs."""
