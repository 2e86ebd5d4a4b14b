"""What only the training of a generator has: `train.adversarial` in a study file."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from etude.core.records import Config


class AdversarialConfig(Config):
    """How two networks are trained against each other."""

    augment: tuple[Literal["color", "translation", "cutout"], ...] = ()
    """Differentiable augmentations of all that the discriminator sees, real and generated."""
    r1: Annotated[float, Field(ge=0)] = 0.0
    """Weight of the penalty on the discriminator's gradient at real pictures (R1); 0: none."""
    r1_every: Annotated[int, Field(ge=1)] = 16
    """Steps from one penalty to the next, which counts so many times more (lazy regularisation)."""
    redraw: Annotated[float, Field(ge=0)] = 1.0
    """Weight of redrawing the real pictures, where the discriminator does that."""
    look_every: Annotated[int, Field(ge=1)] = 250
    """Steps between looks: a sample grid, a line of history, a saved state, and the check for collapse."""
    collapse: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Training stops where the samples of three looks in a row differ from each other by less than this share of what
    training pictures do; 0: never, and the record tells what would have stopped it by default."""
