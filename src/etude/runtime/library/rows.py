"""What a library knows of a file, as it is written, and of a picture, as search gives it."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from etude.pictures.reading import printable

Told = tuple[str, float | None, bool, str]
"""What was answered about a content: label, probability, doubt, and the whole answer as JSON."""
COLUMNS: Final = (
    "path", "label", "probability", "unsure", "unfamiliar", "corrected", "none", "answered", "duplicate_of", "status",
    "reason",
)  # fmt: skip
"""The columns of the table that is written for people."""
READING: Final = "reading:"
"""What `model` of a broken file begins with, where its content was read and is refused as long as nothing changes."""


@dataclass(frozen=True)
class Row:
    """What is known of one file."""

    path: str
    """Relative to the folder that was indexed, with `/`."""
    size: int
    mtime_ns: int
    sha256: str
    status: str
    """answered or broken."""
    model: str
    """Fingerprint of the model that answered; of a broken file the conditions that it was read under."""
    reason: str = ""
    """Why it is broken."""
    label: str = ""
    probability: float | None = None
    unsure: bool = False
    answer: str = "{}"
    """The whole answer as JSON."""


Key = tuple[bool, float, str]
"""Where a picture stands in a list: corrected ones first, then the most probable, then by path."""


@dataclass(frozen=True)
class Found:
    """A picture as search gives it."""

    id: int
    path: str
    file: Path
    """Where it lies."""
    sha256: str
    label: str
    """The correction, or what was answered; empty where it is none of the classes."""
    probability: float | None
    """That of the label; none where a correction gave it another one than was answered."""
    unsure: bool
    unfamiliar: bool
    """Unlike the pictures that the model was trained on."""
    corrected: bool
    none: bool
    """None of the classes, says a correction."""
    answered: str
    """What the model answered."""
    duplicate_of: str | None

    @property
    def key(self) -> Key:
        """Where it stands in a list."""
        return self.corrected, -1.0 if self.probability is None else self.probability, self.path


def shown(path: str | Path) -> str:
    """Return a path as the library shows it: bytes that are no text are escaped."""
    return printable(str(path))


def raw(path: str) -> bytes | None:
    """Return the bytes of a path that is no text; none for all others."""
    return None if shown(path) == path else os.fsencode(path)


def lies_in(path: str, places: Collection[str]) -> bool:
    """Whether a path is one of these, or lies in a folder that is."""
    while places and path:
        if path in places:
            return True
        path = path.rpartition("/")[0]
    return False
