"""The augmentations by name: what each does, and where its code is. Nothing here needs torch.

To add one, write its draw in the file of its stage (each stage's file states the signature it calls) and
register its card here; the contract tests then cover it.
"""

from __future__ import annotations

import dataclasses
import importlib
from collections.abc import Callable
from typing import Any, Literal

from etude.core.registry import Registry

Stage = Literal["geometry", "color", "pixels", "erase", "mix"]


@dataclasses.dataclass(frozen=True)
class Augmentation:
    """The card of one augmentation."""

    name: str
    """Its name in the study file."""

    summary: str
    """What it does, in one sentence."""

    at_strength_1: str
    """Its range at strength 1."""

    stage: Stage
    """The stage that it belongs to; stages run in the order of `Stage`."""

    code: str
    """Where its draw is: `module:function`, imported when it is first used."""

    lattice: bool = False
    """Whether it moves whole pixels onto whole pixels, so that nothing is interpolated."""

    @property
    def moves_geometry(self) -> bool:
        """Whether it moves pixels, and so the mask with them."""
        return self.stage == "geometry"

    @property
    def mixes_pictures(self) -> bool:
        """Whether it mixes pictures of one batch, and so their targets."""
        return self.stage == "mix"

    def load(self) -> Callable[..., Any]:
        """Import the function that draws it; its signature is that of its stage."""
        module, _, function = self.code.partition(":")
        loaded: Callable[..., Any] = getattr(importlib.import_module(module), function)
        return loaded


AUGMENTATIONS: Registry[Augmentation] = Registry("augmentation")
"""All augmentations, in the order in which they are applied within their stage."""


def add(card: Augmentation) -> Augmentation:
    """Register a card under its own name."""
    return AUGMENTATIONS.register(card.name)(card)


add(
    Augmentation(
        name="flip",
        summary="Mirrors the picture left to right.",
        at_strength_1="one picture in two",
        stage="geometry",
        code="etude.data.augment.geometry:flip",
        lattice=True,
    )
)
add(
    Augmentation(
        name="shift",
        summary="Moves the picture by whole pixels and fills the border with its reflection.",
        at_strength_1="up to an eighth of the height and of the width",
        stage="geometry",
        code="etude.data.augment.geometry:shift",
        lattice=True,
    )
)
add(
    Augmentation(
        name="rotate",
        summary="Turns the picture about its centre and fills the corners with its reflection.",
        at_strength_1="up to 15 degrees either way",
        stage="geometry",
        code="etude.data.augment.geometry:rotate",
    )
)
add(
    Augmentation(
        name="scale",
        summary="Magnifies or shrinks the picture about its centre.",
        at_strength_1="by a factor between 0.8 and 1.25",
        stage="geometry",
        code="etude.data.augment.geometry:scale",
    )
)
add(
    Augmentation(
        name="perspective",
        summary="Looks at the picture from another side and fills the border with its reflection.",
        at_strength_1="each border up to 15 % nearer or farther",
        stage="geometry",
        code="etude.data.augment.geometry:perspective",
    )
)
add(
    Augmentation(
        name="color",
        summary="Changes brightness, contrast and saturation.",
        at_strength_1="each by a factor between 0.7 and 1.3",
        stage="color",
        code="etude.data.augment.color:color",
    )
)
add(
    Augmentation(
        name="night",
        summary="Takes light away, red most and blue least, and color with it.",
        at_strength_1="down to a third of the light",
        stage="color",
        code="etude.data.augment.color:night",
    )
)
add(
    Augmentation(
        name="blur",
        summary="Blurs the picture with a Gaussian.",
        at_strength_1="a deviation of up to a 128th of the shorter side, or 0.8 pixel",
        stage="pixels",
        code="etude.data.augment.pixels:blur",
    )
)
add(
    Augmentation(
        name="haze",
        summary="Veils the picture with a grey light, the top (far) more than the bottom (near).",
        at_strength_1="the top loses up to 60 % of its contrast",
        stage="pixels",
        code="etude.data.augment.pixels:haze",
    )
)
add(
    Augmentation(
        name="rain",
        summary="Draws bright slanted streaks and darkens the picture.",
        at_strength_1="up to one streak for 200 pixels",
        stage="pixels",
        code="etude.data.augment.pixels:rain",
    )
)
add(
    Augmentation(
        name="noise",
        summary="Adds Gaussian noise to every pixel and channel.",
        at_strength_1="a standard deviation of up to 0.05 of the range from black to white",
        stage="pixels",
        code="etude.data.augment.pixels:noise",
    )
)
add(
    Augmentation(
        name="jpeg",
        summary="Adds the artefacts of a JPEG file: blocks, ringing, washed-out color.",
        at_strength_1="quality 95 down to 35",
        stage="pixels",
        code="etude.data.augment.pixels:jpeg",
    )
)
add(
    Augmentation(
        name="cutout",
        summary="Hides a square with the mean colour; it may stick out over the border (DeVries and Taylor, 2017).",
        at_strength_1="a side of a quarter of the picture's shorter side",
        stage="erase",
        code="etude.data.augment.erase:cutout",
    )
)
add(
    Augmentation(
        name="mixup",
        summary="Blends the picture and its target with another of the batch (Zhang et al., 2018).",
        at_strength_1="a weight drawn from Beta(0.2, 0.2)",
        stage="mix",
        code="etude.data.augment.mix:mixup",
    )
)
add(
    Augmentation(
        name="cutmix",
        summary="Pastes a box of another picture of the batch; its target counts by area (Yun et al., 2019).",
        at_strength_1="one picture in two, a box of 0 to 100 % of the area",
        stage="mix",
        code="etude.data.augment.mix:cutmix",
    )
)
