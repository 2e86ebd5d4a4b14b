"""The message catalogues: gettext text files, read as they are."""

from __future__ import annotations

import functools
import gettext
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources

from etude.core.errors import MistakeError, sentence

LANGUAGES = ("fr", "en")
_IN = "\4"  # what gettext too sets between a context and a message


@dataclass(frozen=True)
class Messages:
    """One language's catalogue."""

    language: str
    """Code of the language: fr or en."""
    texts: dict[str, str | tuple[str, ...]]
    """Translation by message id; a tuple of forms for a message that counts."""
    choose_plural: Callable[[int], int]
    """Gives the place of the form for a number."""

    def get(self, message: str) -> str:
        """Return the translation, or the message itself where it has none (a name out of a record)."""
        text = self.texts.get(message, message)
        return text if isinstance(text, str) else text[0]

    def get_in(self, context: str, message: str) -> str | None:
        """Return the translation of a word in a context, of which others may have the same word; none without one."""
        text = self.texts.get(f"{context}{_IN}{message}")
        return text if isinstance(text, str) else None

    def get_plural(self, singular: str, plural: str, number: int) -> str:
        """Return the form that goes with a number."""
        forms = self.texts.get(singular)
        if not isinstance(forms, tuple):
            return singular if number == 1 else plural
        return forms[self.choose_plural(number)]

    def __contains__(self, message: str) -> bool:
        return message in self.texts


def mark(message: str) -> str:
    """Mark a text for translation where it stands in a table of constants."""
    return message


def mark_in(context: str, message: str) -> str:
    """Mark a word for translation that means something else elsewhere, such as the class 'train'."""
    return message


def mark_count(singular: str, plural: str) -> tuple[str, str]:
    """Mark the two forms of a text that counts, where they stand in a table of constants."""
    return singular, plural


@functools.cache
def read_messages(language: str) -> Messages:
    """Read the catalogue of a language.

    Raises:
        MistakeError: if there is none.
    """
    from babel.messages.pofile import read_po

    if language not in LANGUAGES:
        raise MistakeError(sentence("report", "language", f"one of {', '.join(LANGUAGES)}", language))
    source = resources.files("etude.report") / "locale" / language / "LC_MESSAGES" / "etude.po"
    with source.open("rb") as file:
        catalogue = read_po(file, locale=language)
    texts: dict[str, str | tuple[str, ...]] = {}
    for message in catalogue:
        if isinstance(message.id, str):
            if message.id and isinstance(message.string, str) and message.string:
                texts[f"{message.context}{_IN}{message.id}" if message.context else message.id] = message.string
        elif isinstance(message.string, (tuple, list)) and all(message.string):
            texts[message.id[0]] = tuple(message.string)
    return Messages(language, texts, gettext.c2py(catalogue.plural_expr))
