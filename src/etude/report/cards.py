"""The cards of a study's networks: those of timm's are written down, so that a notebook needs no timm to be read."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from etude.core.errors import EtudeError
from etude.models.card import Card

CARDS_FILE = "cards.json"
"""Beside the records in a notebook: cards by name, of networks that Étude itself does not hold."""


def find_card(study_folder: Path, name: str) -> Card | None:
    """Return the card of a network: as written down, else as its library gives it; none where it cannot be had.

    Args:
        study_folder: where cards may have been written down.
        name: a family, or a name of timm's.
    """
    from etude.models import MODELS, card_of

    path = study_folder / CARDS_FILE
    if name not in MODELS and path.is_file():
        written = json.loads(path.read_bytes())
        if name in written:
            return Card.model_validate(written[name])
    try:
        return card_of(name)
    except (EtudeError, ImportError):  # an unknown name, or one of timm's where timm is not installed
        return None


def dump_cards(study_folder: Path, names: Iterable[str]) -> bytes:
    """Return the cards of those networks that Étude itself does not hold, as the JSON of `cards.json`."""
    from etude.models import MODELS

    cards = {name: find_card(study_folder, name) for name in sorted({*names} - {*MODELS, ""})}
    content = {name: card.model_dump(mode="json") for name, card in cards.items() if card is not None}
    return json.dumps(content, indent=1, ensure_ascii=False).encode("utf-8")
