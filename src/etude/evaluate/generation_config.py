"""How generated pictures are measured: `protocol.generation` in a study file."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from etude.core.records import Config


class GenerationConfig(Config):
    """How many pictures are measured, and over which features."""

    pictures: Annotated[int, Field(ge=20, le=50_000)] = 1000
    """Generated pictures that are measured; FID depends on their number."""
    features: str = "auto"
    """The network whose features are compared: a timm name whose weights are at hand, `pixels`, or auto: Inception
    where its weights are at hand, else the most telling network that is, pixels where there is none."""
    judge: str = ""
    """A finished study of one class a picture, by name, folder or file: its final candidate is asked what the generated
    pictures show, beside photographs that it did not learn from. Empty: none. No run is trained anew for it."""
