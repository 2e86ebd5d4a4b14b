"""The examples of `--help`: every command has some, and each could be typed as it stands."""

from __future__ import annotations

import shlex

import click
import pytest
import typer.main

from etude.cli.examples import EXAMPLES, walk
from etude.cli.main import app

LINES = [(words, line) for words, lines in EXAMPLES.items() for line in lines]


def test_every_command_has_examples():
    assert {words for words, _ in walk(app)} == set(EXAMPLES)


@pytest.mark.parametrize(("words", "line"), LINES, ids=[line for _, line in LINES])
def test_an_example_names_its_command_and_options_that_exist(words, line):
    program, *rest = shlex.split(line.partition(" > ")[0])
    assert program == "etude"
    command, context = typer.main.get_command(app), None
    for word in words.split():
        assert rest.pop(0) == word
        context = click.Context(command, parent=context, info_name=word)
        command = command.get_command(context, word)
    command.make_context(words, rest)  # parses and checks, and runs nothing
