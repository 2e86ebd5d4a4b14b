"""A value that others published, as a study file states it and a study's record keeps it."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Annotated, Any

from pydantic import AfterValidator, Discriminator, Field, Tag, ValidationInfo, field_validator

from etude.core.records import Config
from etude.core.translated import Translated


def _said(given: Any) -> Any:  # noqa: ANN401 - a Translated
    """Refuse a text that says nothing."""
    texts = [given] if isinstance(given, str) else list(given.values())
    if not texts or not all(text.strip() for text in texts):
        raise ValueError(f"must be a text, or a text for each language as {{en: …, fr: …}}. Got {given!r}.")
    return given


Said = Annotated[Translated, AfterValidator(_said)]
"""A text that says something, in one language or in several."""

Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]


def _in_order(given: tuple[float, ...]) -> tuple[float, ...]:
    """Refuse what is no range."""
    if len(given) != 2 or given[0] >= given[1]:
        raise ValueError(f"must be one number, or a range [low, high] with low below high. Got {list(given)}.")
    return given


def _kind(given: Any) -> str:  # noqa: ANN401 - raw input
    return "[low, high]" if isinstance(given, list | tuple) else "a number"


Value = Annotated[
    Annotated[Number, Tag("a number")] | Annotated[tuple[Number, ...], AfterValidator(_in_order), Tag("[low, high]")],
    Discriminator(_kind),
]


class PublishedValue(Config):
    """A value that others published, to stand beside a study's own."""

    name: Said
    """What reached it: a network, a method, or whose it is."""
    metric: Said
    """What was measured: a metric of Étude's (`miou`, `accuracy`, …), or another one in words, shown as they are."""
    value: Value
    """The value, or [low, high] where a range was published; of a metric that is read in percent a share, 0 to 1."""
    spread: Annotated[float, Field(strict=True, allow_inf_nan=False, gt=0)] | None = None
    """The deviation that was stated with it, what stands after ±, in the unit of the value."""
    measured_on: Said
    """The conditions: pictures, part, classes, size, and what else sets it apart from the study's own."""
    of_data: str = ""
    """The source whose pictures it was measured on, by its name in `data.source`: reports on other pictures leave it
    out. Empty: it stands in all."""
    source: Said
    """Who published it, and when."""
    url: str = ""
    """Where it can be read."""

    @field_validator("spread")
    @classmethod
    def _of_one_value(cls, spread: float | None, info: ValidationInfo) -> float | None:
        if spread is not None and isinstance(info.data.get("value"), tuple):
            raise ValueError(f"must go with one value, not with a range. Got {spread:g}. Leave one of the two out.")
        return spread

    @field_validator("url")
    @classmethod
    def _is_address(cls, url: str) -> str:
        if url and not re.fullmatch(r"https?://[^\s<>\"]+", url):
            raise ValueError(f"must be an address that begins with https:// or http://. Got {url!r}.")
        return url

    def is_of(self, source: str) -> bool:
        """Whether it may stand beside results on a source: a name, or a path that ends in it.

        >>> value = PublishedValue(name="a", metric="miou", value=0.5, measured_on="x", source="b", of_data="camvid")
        >>> value.is_of("/data/CamVid"), value.is_of("cityscapes")
        (True, False)
        """
        return not self.of_data or PurePath(self.of_data).stem.casefold() == PurePath(source).stem.casefold()

    @property
    def ends(self) -> tuple[float, ...]:
        """The value, or both ends of its range."""
        return self.value if isinstance(self.value, tuple) else (self.value,)
