"""`etude models`: the cards of the networks."""

from __future__ import annotations

import json
import sys

from etude.cli.printing import add_row, answer_console, make_table, print_line, print_table
from etude.models import MODELS, card_of


def list_models(as_json: bool) -> None:
    """Print a line for each family."""
    cards = [MODELS[name].card for name in MODELS]
    if as_json:
        sys.stdout.write(json.dumps([card.model_dump(mode="json") for card in cards], indent=1) + "\n")
        return
    table = make_table("name", "what it is")
    for card in cards:
        add_row(table, card.name, card.sentence)
    print_table(table, answer_console())


def show_model(name: str, as_json: bool) -> None:
    """Print a card and the parameters that a study file may give."""
    card = card_of(name)
    fields = MODELS[name].params.model_fields if name in MODELS else {}
    if as_json:
        parameters = {key: {"default": field.default, "doc": field.description} for key, field in fields.items()}
        content = {**card.model_dump(mode="json"), "parameters": parameters}
        sys.stdout.write(json.dumps(content, indent=1, default=str) + "\n")
        return
    console = answer_console()
    for key, value in card.model_dump().items():
        if value not in (None, "", ()):
            told = "; ".join(map(str, value)) if isinstance(value, tuple) else value
            print_line(f"{key.replace('_', ' ')}: {told}", console)
    if fields:
        table = make_table("parameter", "default", "what it is", title="Parameters")
        for key, field in fields.items():
            add_row(table, key, str(field.default), field.description or "")
        print_table(table, console)
