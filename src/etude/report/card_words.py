"""The card of a model in the reader's language: its texts are messages of the catalogues like all others."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from etude.models.card import Card
from etude.report.messages import mark
from etude.report.words import Words

_OF_WEIGHTS = mark("Its weights were trained on pictures of {side} px, {way} resizing.")
_PATTERNS = (
    mark("{title} on an encoder of timm"),
    mark("{title} as segmentation_models.pytorch has it, on any encoder of timm, pretrained or not."),
    mark("{name} as timm {version} defines it."),
    _OF_WEIGHTS,
    mark("It is built for one size of pictures, that of prepare.size_px."),
)
"""What cards say that are made for many networks at once; the places are filled there."""
_JOINED = (
    mark("after {work}"),
    mark("pre-activation: {work}"),
    mark("batch normalisation: {work}"),
    mark("spectral normalisation: {work}"),
)
"""What joins a second paper to the first, after a semicolon."""
_WAYS = (mark("bicubic"), mark("bilinear"))


def tell_card(card: Card, words: Words) -> Card:
    """Return a card with its texts in a language; titles of papers and names of licences stay as they are."""
    return card.model_copy(
        update={
            "title": _translate(card.title, words),
            "paper": tell_paper(card.paper, words),
            "sentence": _translate(card.sentence, words),
            "notes": tuple(_translate(note, words) for note in card.notes),
            "licence_code": _translate(card.licence_code, words),
            "licence_weights": _translate(card.licence_weights, words),
        }
    )


def is_of_network(note: str) -> bool:
    """Whether a note of a card is about the network, and not about its pretrained weights."""
    return _match(note)[0] != _OF_WEIGHTS


def tell_paper(paper: str, words: Words) -> str:
    """Tell the source of a network: authors and titles as they are, what joins them in the language."""
    return words.apart(_tell_joined(part, words) for part in paper.split("; "))


def _tell_joined(part: str, words: Words) -> str:
    for pattern in _JOINED:
        if found := _expression(pattern).fullmatch(part):
            return words.say(pattern, work=found["work"])
    return part


def list_messages(card: Card) -> Iterator[str]:
    """Give the messages that the texts of a card stand for: what a catalogue must hold for it."""
    licences = [text for text in (card.licence_code, card.licence_weights) if text == "yours" or " " in text]
    for text in (card.title, card.sentence, *card.notes, *licences):
        pattern, places = _match(text)
        yield pattern
        yield from (value for name, value in places.items() if name in ("title", "way") and value)


def _translate(text: str, words: Words) -> str:
    """Translate a text as it stands: of one that no pattern makes, braces are its own."""
    pattern, places = _match(text)
    if not places:
        return words.messages.get(text)
    return words.say(pattern, **{name: words.messages.get(value) for name, value in places.items()})


def _match(text: str) -> tuple[str, dict[str, str]]:
    """Return the pattern that a text was made by and what stands in its places; else the text itself."""
    for pattern in _PATTERNS:
        found = _expression(pattern).fullmatch(text)
        if found:
            return pattern, found.groupdict()
    return text, {}


@cache
def _expression(pattern: str) -> re.Pattern[str]:
    pieces = re.split(r"\{(\w+)\}", pattern)
    return re.compile("".join(f"(?P<{piece}>.*?)" if n % 2 else re.escape(piece) for n, piece in enumerate(pieces)))
