"""The few words that every room uses."""

from __future__ import annotations

import enum
from typing import Literal


class Part(enum.IntEnum):
    """The part of a split that a picture is in; the number is what `split.parquet` and arrays hold."""

    LEFT_OUT = -1
    TRAIN = 0
    VALIDATION = 1
    TEST = 2

    @property
    def label(self) -> str:
        """The part's name in files and messages."""
        return self.name.lower()


TaskName = Literal["classification", "segmentation", "generation"]
Language = Literal["fr", "en"]
