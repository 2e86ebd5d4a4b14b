"""What the API sends, as its document describes it; the tests hold the answers against these."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from etude.core.bundle_record import GraphKind, Rgb, Score
from etude.core.records import Config

Share = Annotated[float, Field(ge=0, le=1)]


class LabelTold(Config):
    """A class and its probability."""

    label: str
    """Name of the class."""
    probability: Share
    """Its probability."""


class ClassTold(Config):
    """The class of a picture."""

    name: str
    """Name of the file in the form; empty for a picture that was sent as the body."""
    label: str
    """The answer: the most probable class; a detector's by its threshold."""
    probability: Share
    """Probability of the answer."""
    unsure: bool
    """Whether the probability is below that of sure answers, or the picture is unfamiliar."""
    top: list[LabelTold]
    """The most probable classes, the likeliest first."""
    positive: bool = False
    """A detector's yes or no; absent for other models."""
    threshold: Share = 0.5
    """The probability from which a detector says yes; absent for other models."""
    unfamiliar: bool = False
    """Whether the picture is unlike those of the training; absent where the model does not tell."""
    familiarity: float = 1.0
    """How like them it is, from -1 to 1; absent where the model does not tell."""


class MaskTold(Config):
    """The classes of a picture's pixels."""

    name: str
    """Name of the file in the form; empty for a picture that was sent as the body."""
    height: int
    """Height of the picture in pixels."""
    width: int
    """Width of the picture in pixels."""
    areas: dict[str, Share]
    """Share of the pixels that each class has."""


class UnreadTold(Config):
    """A picture of a form that could not be read; the others are answered."""

    name: str
    """Name of the file in the form."""
    error: str
    """Why it could not be read."""
    cause: str = ""
    """A word for why, such as `pixels`; absent where there is none."""
    facts: dict[str, float | str] = {}
    """The numbers of it, such as the width and the height; absent where there are none."""


class Predicted(Config):
    """Answers of a classifier or a detector, in the order of the pictures."""

    model: str
    """Name of the model that answered."""
    version: str
    """The beginning of the hash of its graph and thresholds: the same version gives the same answers."""
    predictions: list[ClassTold | UnreadTold]
    """One for each picture."""


class Segmented(Config):
    """Answers of a segmenter, in the order of the pictures."""

    model: str
    """Name of the model that answered."""
    version: str
    """The beginning of the hash of its graph and thresholds: the same version gives the same answers."""
    predictions: list[MaskTold | UnreadTold]
    """One for each picture."""


class ModelTold(Config):
    """What a model is and can do."""

    name: str
    """Name to ask it by."""
    task: Literal["classification", "segmentation", "generation"]
    """One class a picture, one class a pixel, or new pictures."""
    classes: list[str]
    """Names of the classes, in the order of their ids."""
    called: dict[str, dict[str, str]]
    """What a page calls classes in a language, by their names; those that keep theirs are left out."""
    conditional: bool
    """Whether a generator can be asked for a class."""
    palette: list[Rgb]
    """Colour of each class; empty for classification."""
    size_px: tuple[int, int]
    """Height and width that pictures are brought to."""
    kind: GraphKind
    """Numbers that it computes with."""
    threshold: Share | None
    """The probability from which a detector says yes; null for other models."""
    unsure_below: Share | None
    """Answers with a smaller probability are unsure; null where that was not chosen."""
    unfamiliar_below: float | None
    """Pictures with a smaller familiarity are unlike those of the training; null where the model does not tell."""
    scores: list[Score]
    """Scores that the study measured."""
    licence_weights: str
    """Licence of the pretrained weights; empty where there are none or it is not known."""
    version: str
    """The beginning of the hash of its graph, thresholds and all that decides beside them."""
    card: str
    """The model card, as Markdown."""


class ModelsTold(Config):
    """All models that are offered."""

    models: list[ModelTold]
    """In the order in which the server was given them."""


class Alive(Config):
    """The server lives."""

    status: Literal["ok"] = "ok"
    """Always ok."""


class Ready(Config):
    """Every model has passed its own test."""

    status: Literal["ready"] = "ready"
    """Always ready: the server starts, and takes bundles anew, only after that."""
    models: int
    """Number of models."""


class Fault(Config):
    """What was wrong with a request."""

    code: str
    """A word for programs."""
    message: str
    """A sentence for people."""
    cause: str = ""
    """A second word, which says what is wrong with a picture; absent where there is none."""
    facts: dict[str, float | str] = {}
    """The numbers of it, such as the limit that was passed; absent where there are none."""


class Refused(Config):
    """The one form of every error."""

    error: Fault
    """What was wrong."""
