"""What a study file says about its data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import field_validator

from etude.core.records import Config
from etude.core.translated import Translated, in_language
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
    names: dict[str, Translated] = {}
    """What the classes are called in reports, as `{red_panda: {en: red panda, fr: panda roux}}`; else as in the source.
    Reports in French know the classes of CIFAR-10, CamVid and Cityscapes by themselves."""
    labels: Labels = "classes"
    """For Cityscapes, what the masks tell apart: the 19 `classes` or the 8 `categories`."""

    @field_validator("names")
    @classmethod
    def _must_differ(cls, names: dict[str, Any]) -> dict[str, Any]:
        """Refuse one name for two classes: a table could not tell them apart."""
        for language in ("en", "fr"):
            classes: dict[str, str] = {}
            for name in names:
                told = call_class(name, names, language)
                if told in classes:
                    raise ValueError(f"must not call {classes[told]!r} and {name!r} both {told!r} ({language})")
                classes[told] = name
        return names


def call_class(name: str, names: Mapping[str, str | Mapping[Any, str]], language: str) -> str:
    """Return what a class is called in a language; its own name where it is not called otherwise there.

    >>> call_class("red_panda", {"red_panda": {"fr": "panda roux"}}, "fr")
    'panda roux'
    >>> call_class("red_panda", {"red_panda": {"fr": "panda roux"}}, "en")
    'red_panda'
    """
    given = names.get(name, name)
    if isinstance(given, str):
        return given
    return in_language({language: given[language]}, language) if given.get(language) else name
