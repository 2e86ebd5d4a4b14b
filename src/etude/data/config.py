"""What a study file says about its data."""

from __future__ import annotations

from typing import Literal

from etude.core.records import Config
from etude.data.sources.cityscapes import Labels
from etude.data.split import SplitConfig


class DataConfig(Config):
    """Where the pictures come from, how they are split, and what to do about bad ones."""

    source: str = "shapes"
    """A registered source, or the path of a folder, a Parquet or a CSV file; `$ETUDE_DATA` is looked in first."""
    split: SplitConfig = SplitConfig()
    """How the pictures are parted into train, validation and test."""
    on_leak: Literal["stop", "drop", "allow"] = "stop"
    """What to do when the same picture is on both sides of the split."""
    unreadable: Literal["stop", "skip"] = "stop"
    """Whether pictures that cannot be read stop the study or are left out and listed."""
    positive: str | None = None
    """The one class to tell from all others: makes a binary task of any source."""
    classes: tuple[str, ...] | None = None
    """The classes to use; by default all. A generation may have one."""
    licence: str = ""
    """Terms of the pictures and what to cite, where the source does not state them, as of a folder of one's own."""
    labels: Labels = "classes"
    """For Cityscapes, what the masks tell apart: the 19 `classes` or the 8 `categories`."""
