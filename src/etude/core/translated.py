"""A text that people read, as a study file gives it: in one language, or in several."""

from __future__ import annotations

import re
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


_FRENCH = ((re.compile(r"(?<=\w)'(?=\w)"), "’"), (re.compile(r"(?<=\S) (?=[:;?!%»])"), "\N{NO-BREAK SPACE}"))
"""What is written for what a keyboard has: apostrophes, and spaces at which no line may break."""


def in_language(text: str | Mapping[Any, str], language: str = "") -> str:
    r"""Return a text in a language; in the one that stands first where it is not given in that one.

    French is given its apostrophes and no-break spaces, which keyboards do not have.

    >>> in_language({"fr": "De combien l'aide-t-elle ?", "en": "By how much?"}, "fr")
    'De combien l’aide-t-elle\xa0?'
    >>> in_language({"en": "By how much?"}, "fr")
    'By how much?'
    """
    if isinstance(text, str):
        return text
    given = language if text.get(language) else next(iter(text), "")
    told = text.get(given, "")
    if given == "fr":
        for pattern, instead in _FRENCH:
            told = pattern.sub(instead, told)
    return told
