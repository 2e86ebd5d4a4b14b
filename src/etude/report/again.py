"""The command that makes a study again, as another person would type it."""

from __future__ import annotations

import shlex


def portable(command: object) -> str:
    """Take out of a command what changes no result: the results folder of who ran it, and their yes to replacing one.

    >>> portable("etude run studies/dogs.yaml --results /home/me/results --set protocol.seeds=5 --yes")
    'etude run studies/dogs.yaml --set protocol.seeds=5'
    """
    words = iter(shlex.split(str(command)))
    kept = []
    for word in words:
        if word == "--results":
            next(words, None)
        elif word != "--yes" and not word.startswith("--results="):
            kept.append(word)
    return shlex.join(kept)
