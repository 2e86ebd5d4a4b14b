"""How a study file says what size and range pictures are brought to."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from etude.core.records import Config
from etude.pictures.prepare import MAX_SIDE, Fit, Range, Sided

Side = Annotated[int, Field(ge=1, le=MAX_SIDE)]


class Prepare(Sided, Config):
    """How pictures are brought to the size and range that the network takes."""

    size_px: Side | tuple[Side, Side] = 32
    """Side of the square in pixels, or (height, width)."""
    fit: Fit = "stretch"
    """`stretch` changes the proportions, `crop` keeps the centre, `letterbox` adds a grey border."""
    crop_to_box: bool = False
    """Keep only the annotated box of each picture, where the source gives boxes."""
    normalize: Range = "imagenet"
    """Mean and deviation taken off: ImageNet's, 0.5 and 0.5, or nothing (0..1)."""
