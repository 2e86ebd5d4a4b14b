"""`etude models`: the cards of the networks."""

from __future__ import annotations

import json
import sys

from rich import box
from rich.console import Console
from rich.table import Table

from etude.models import MODELS, card_of


def list_models(as_json: bool) -> None:
    """Print a line for each family."""
    cards = [MODELS[name].card for name in MODELS]
    if as_json:
        sys.stdout.write(json.dumps([card.model_dump(mode="json") for card in cards], indent=1) + "\n")
        return
    table = Table(header_style="bold", box=box.SIMPLE_HEAD)
    table.add_column("name", no_wrap=True)
    table.add_column("what it is")
    for card in cards:
        table.add_row(card.name, card.sentence)
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def show_model(name: str, as_json: bool) -> None:
    """Print a card and the parameters that a study file may give."""
    card = card_of(name)
    fields = MODELS[name].params.model_fields if name in MODELS else {}
    if as_json:
        parameters = {key: {"default": field.default, "doc": field.description} for key, field in fields.items()}
        content = {**card.model_dump(mode="json"), "parameters": parameters}
        sys.stdout.write(json.dumps(content, indent=1, default=str) + "\n")
        return
    console = Console(width=None if sys.stdout.isatty() else 120)
    for key, value in card.model_dump().items():
        if value not in (None, "", ()):
            console.print(f"{key}: {value}", highlight=False, markup=False)
    if fields:
        table = Table(title="Parameters", title_justify="left", header_style="bold", box=box.SIMPLE_HEAD)
        for heading in ("parameter", "default", "what it is"):
            table.add_column(heading)
        for key, field in fields.items():
            table.add_row(key, str(field.default), field.description or "")
        console.print(table)
