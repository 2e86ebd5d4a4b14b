"""What every model out of a bundle has, whatever it does."""

from __future__ import annotations

import hashlib
import json
import threading
from functools import cached_property
from typing import Final, Protocol

from etude.core.bundle_record import BundleRecord
from etude.core.errors import BundleError, sentence
from etude.pictures.prepare import Preparation
from etude.pictures.reading import SizePx

CARD_FILE: Final = "MODEL_CARD.md"
MOST_PIXELS: Final = 1 << 21
"""Pixels of the pictures that a graph is asked about at a time: what its layers keep of them is many times as large."""
_DECIDING: Final = ("task", "classes", "palette", "prepare", "threshold", "latent", "conditional")
"""Fields of the record that an answer depends on beside the graph."""


def at_once(size_px: SizePx, most: int, pixels: int = MOST_PIXELS) -> int:
    """Return how many prepared pictures a graph is asked about at a time: `most`, or fewer of a large size.

    Args:
        size_px: height and width of a prepared picture.
        most: how many of a small size.
        pixels: how many pixels they may have together; one picture is asked about whatever its size.

    >>> at_once((224, 224), 16), at_once((1024, 1024), 16), at_once((2048, 2048), 16)
    (16, 2, 1)
    """
    height, width = size_px
    return max(1, min(most, pixels // (height * width)))


class Files(Protocol):
    """A bundle's record and files, wherever they are."""

    @property
    def record(self) -> BundleRecord:
        """The record."""
        ...

    def __getitem__(self, name: str) -> bytes:
        """Return the content of a file."""
        ...

    def forget(self, name: str) -> None:
        """Hear that the content of a file is not asked for again."""
        ...


class Bundled:
    """A model out of a bundle.

    Args:
        archive: the record and the files of a bundle.
        threads: threads of one call; 0: all that the machine has.

    Raises:
        BundleError: if its rule of preparation cannot be read.
    """

    def __init__(self, archive: Files, threads: int = 0) -> None:
        self.record: BundleRecord = archive.record
        self._archive = archive
        self._threads = threads
        self._opening = threading.Lock()
        try:
            self.prepare = Preparation.read(self.record.prepare)
        except ValueError as error:
            raise BundleError(sentence("bundle", "prepare", "a rule that can be read", self.record.prepare)) from error

    @property
    def name(self) -> str:
        """Name of the model."""
        return self.record.name

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, in the order of their ids."""
        return self.record.classes

    @property
    def task(self) -> str:
        """What it does: classification, segmentation or generation."""
        return self.record.task

    @property
    def size_px(self) -> SizePx:
        """Height and width of a prepared picture, or of one that is made."""
        return self.prepare.height_px, self.prepare.width_px

    def at_once(self, most: int) -> int:
        """Return how many pictures to ask about at a time: `most`, or fewer where they are large."""
        return at_once(self.size_px, most)

    @property
    def graph_sha256(self) -> str:
        """SHA-256 of the graph alone."""
        return self.record.files[self.record.graph].sha256

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the graph with all that decides beside it: the same fingerprint gives the same answers."""
        record = self.record
        deciding = {name: getattr(record, name) for name in _DECIDING} | {
            "graph": self.graph_sha256,
            "unsure_below": record.certainty and record.certainty.unsure_below,
            "unfamiliar_below": record.familiarity and record.familiarity.unfamiliar_below,
        }
        # The record is what somebody sent: unlike `core.records.canonical` this takes any text and number of JSON's.
        return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()

    def document(self, name: str) -> str:
        """Return a text of the bundle, such as `MODEL_CARD.md`.

        Raises:
            BundleError: if there is none of this name.
        """
        return self._archive[name].decode("utf-8", "replace")
