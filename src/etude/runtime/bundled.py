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

CARD_FILE: Final = "MODEL_CARD.md"
_DECIDING: Final = ("task", "classes", "palette", "prepare", "threshold", "latent", "conditional")
"""Fields of the record that an answer depends on beside the graph."""


class Files(Protocol):
    """A bundle's record and files, wherever they are."""

    @property
    def record(self) -> BundleRecord:
        """The record."""
        ...

    def __getitem__(self, name: str) -> bytes:
        """Return the content of a file."""
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
