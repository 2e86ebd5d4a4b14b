"""The card of a model: what it is, where it comes from, and what it needs."""

from __future__ import annotations

from typing import Literal

from etude.core.records import Config


class Card(Config):
    """What a person should know before using a model; `etude models show` prints it."""

    name: str
    """The name that a study file uses."""
    title: str
    """Its name in full."""
    sentence: str
    """What it is and when to use it, in one sentence."""
    paper: str = ""
    """Authors, title, year and arXiv number or DOI of its source; empty where there is none."""
    licence_code: str = "MIT"
    """Licence of the code that runs."""
    licence_weights: str = ""
    """Licence of its pretrained weights; empty where there are none."""
    input_px: int
    """The side, in pixels, of the pictures that it was drawn for."""
    min_px: int
    """The smallest side, in pixels, that it accepts with its default parameters."""
    pretrained: tuple[str, ...] = ()
    """The pretrained weights that can be asked for by name."""
    normalize: Literal["imagenet", "half", "none"] | None = None
    """The normalisation that its pretrained weights were trained with; none where there are none or it is another."""
    notes: tuple[str, ...] = ()
    """Sentences that a reader must know."""
