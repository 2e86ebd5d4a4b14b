"""A text that people read, as a study file gives it: in one language, or in several."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Discriminator, Tag

from etude.core.words import Language


def _kind(given: Any) -> str:  # noqa: ANN401 - raw input
    """Say which of the two ways of giving a text is meant, so that a mistake is told of that way alone."""
    return "by language" if isinstance(given, Mapping) else "one text"


Translated = Annotated[
    Annotated[str, Tag("one text")] | Annotated[dict[Language, str], Tag("by language")], Discriminator(_kind)
]
"""A text, or one a language as ``{en: …, fr: …}``."""


def in_language(text: str | Mapping[Any, str], language: str = "") -> str:
    """Return a text in a language; in the one that stands first where it is not given in that one.

    >>> in_language({"fr": "Laquelle ?", "en": "Which one?"}, "en"), in_language({"fr": "Laquelle ?"}, "en")
    ('Which one?', 'Laquelle ?')
    """
    if isinstance(text, str):
        return text
    return text.get(language) or next(iter(text.values()), "")
