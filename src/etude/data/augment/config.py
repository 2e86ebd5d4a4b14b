"""Which augmentations a study uses, and how strongly."""

from __future__ import annotations

from typing import Self

from pydantic import Field, field_validator, model_validator

from etude.core.errors import sentence
from etude.core.records import Config
from etude.core.registry import unknown
from etude.data.augment.catalog import AUGMENTATIONS


class AugmentConfig(Config):
    """Augmentations by name, with one strength for all."""

    use: tuple[str, ...] = ()
    """Names of augmentations; kept in the order of the registry, which is the order of application."""

    strength: float = Field(default=1.0, ge=0.0, le=3.0)
    """How far each goes, from 0 (the identity) through 1 (the range on its card) to 3."""

    copies: int = Field(default=0, ge=0, le=100)
    """Offline multiplication: the training part so many times, itself first, then augmented copies of it, drawn once
    and kept on the disk; nothing is drawn while training then. 0: each picture is augmented anew at each epoch."""

    @model_validator(mode="after")
    def _can_be_copied(self) -> Self:
        if self.copies == 0:
            return self
        faults = []
        if self.copies == 1:
            faults.append(sentence("augment", "copies", "0, or 2 or more", self.copies, "1 would change nothing."))
        mixing = [name for name in self.use if AUGMENTATIONS[name].stage == "mix"]
        if mixing:
            remedy = "A mixed picture has two classes: use it without copies."
            faults.append(sentence("augment", "use", "without mixing where copies are made", mixing[0], remedy))
        if faults:
            raise ValueError(" ".join(faults))
        return self

    @field_validator("use")
    @classmethod
    def _check_names(cls, use: tuple[str, ...]) -> tuple[str, ...]:
        """Refuse unknown and repeated names, all at once; then order them, so that one set has one identity."""
        faults = [unknown("augment.use", name, AUGMENTATIONS.names()) for name in use if name not in AUGMENTATIONS]
        repeated = sorted({name for name in use if use.count(name) > 1})
        if repeated:
            faults.append(sentence("augment", "use", "a list of different names", use, f"Repeated: {repeated[0]}."))
        if faults:
            raise ValueError(" ".join(faults))
        return tuple(name for name in AUGMENTATIONS if name in use)

    @property
    def times(self) -> int:
        """How many times the training part is there: copies of nothing but itself are not made."""
        return self.copies if self.copies and self.use and self.strength > 0 else 1
