"""A contact sheet of a study's training pictures, drawn where the pictures are at hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from etude.core.errors import EtudeError
from etude.core.words import Part
from etude.data.source import Source, open_source
from etude.data.split_file import read_split
from etude.report.drawings import Drawing
from etude.report.reading import StudyResults
from etude.report.words import Words

_MOST_CLASSES, _PER_CLASS, _SIDE_PX = 8, 10, 128
_MOST_HASHED = 20_000
"""Up to so many pictures their fingerprint is compared with the study's; of more, their names are."""


@dataclass(frozen=True)
class ContactSheet:
    """Pictures of the training part, class by class."""

    drawing: Drawing
    n_left: int
    """Classes that there was no room for."""


def draw_contact(study: StudyResults, words: Words) -> ContactSheet | None:
    """Draw pictures of each class, evenly spread over the training part; of masks, pictures of all of it.

    None where the pictures are not at hand any more, are others than those of the study, or cannot be read.
    """
    source = _open(study)
    if source is None:
        return None
    try:
        train = np.flatnonzero(read_split(study.folder / "split.parquet", source.items)[0] == Part.TRAIN)
        labels = source.items.labels[train]
        names = list(study.record.classes) if (labels >= 0).any() else ["", "", ""]
        shown = names[:_MOST_CLASSES]
        chosen = [
            _spread(train[labels == place] if any(names) else train[place :: len(names)]) for place in range(len(shown))
        ]
        pictures = [_shrink(source, index) for indices in chosen for index in indices]
    except (EtudeError, OSError):
        return None
    rows = [place for place, indices in enumerate(chosen) for _ in indices]
    if not pictures:
        return None
    from etude.figures.gallery import draw_contact_sheet

    drawing = Drawing(
        "contact",
        words.say("Training pictures, a row for each class") if any(names) else words.say("Training pictures"),
        lambda width_in: draw_contact_sheet(pictures, rows, shown, per_class=_PER_CLASS, width_in=width_in),
        is_picture=True,
    )
    return ContactSheet(drawing, len(names) - len(shown))


def _open(study: StudyResults) -> Source | None:
    """Open the source where it holds the pictures of the study; nothing is fetched for it."""
    record = study.record
    data = record.config.get("data", {})
    if not data.get("source") or not (study.folder / "split.parquet").is_file():
        return None
    try:
        source = open_source(
            str(data["source"]), task=record.task, positive=data.get("positive"),
            labels=data.get("labels", "classes"), classes=data.get("classes"),
        )  # fmt: skip
        if tuple(map(study.called, source.classes)) != record.classes:
            return None
        if record.data_fingerprint and len(source.items) <= _MOST_HASHED:
            return source if source.fingerprint() == record.data_fingerprint else None
    except (EtudeError, ImportError, OSError):
        return None
    return source


def _spread(indices: np.ndarray) -> list[int]:
    """Return some of the pictures, evenly spread."""
    places = np.linspace(0, len(indices) - 1, min(_PER_CLASS, len(indices))).round().astype(int)
    return [int(index) for index in indices[places]]


def _shrink(source: Source, index: int) -> np.ndarray:
    """Return a picture no larger than it is looked at, uint8 (H, W, 3)."""
    from PIL import Image

    from etude.pictures.reading import decode

    image = Image.fromarray(decode(source.raw(index), at_least_px=(_SIDE_PX, _SIDE_PX)))
    image.thumbnail((_SIDE_PX, _SIDE_PX))
    return np.asarray(image)
