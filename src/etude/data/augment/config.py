"""Which augmentations a study uses, and how strongly."""

from __future__ import annotations

from pydantic import Field, field_validator

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
