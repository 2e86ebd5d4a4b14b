"""The command that makes a study again, as another person would type it."""

from __future__ import annotations

import shlex
from typing import Final

_OF_THE_CALL: Final = ("--yes", "-q", "--quiet", "--debug")


def portable(command: object) -> str:
    """Take out of a command what changes no result.

    That is the results folder of who ran it, their yes to replacing one, and how much they were told.

    >>> portable("etude run studies/dogs.yaml --results /home/me/results --set protocol.seeds=5 --yes -q")
    'etude run studies/dogs.yaml --set protocol.seeds=5'
    """
    words = iter(shlex.split(str(command)))
    kept = []
    for word in words:
        if word == "--results":
            next(words, None)
        elif word not in _OF_THE_CALL and not word.startswith("--results="):
            kept.append(word)
    return shlex.join(kept)
