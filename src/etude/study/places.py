"""Where in a study file a mistake lies that shows only once its pictures and networks are opened."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from etude.core.errors import FieldPath, MistakeError
from etude.study.yaml_text import read_yaml


@dataclass(frozen=True)
class Places:
    """The lines of a study's text, and what was given beside it."""

    text: str
    """The YAML, as it was read."""
    file: str = ""
    """What messages call the file; empty for a text that nobody has written as a file."""
    sets: Sequence[str] = ()
    """Overrides `key=value` that were laid over it."""

    def find(self, field: FieldPath) -> str:
        r"""Return where a field, or else the group that it would stand in, is given; empty where neither is.

        >>> places = Places("data: {source: fotos}\ntrain: {epochs: 3}", "breeds.yaml", ["train.epochs=5"])
        >>> places.find(("data", "split")), places.find(("train", "epochs")), places.find(("protocol",))
        ('breeds.yaml, line 1', '--set train.epochs', '')
        """
        dotted = [given.partition("=")[0].strip() for given in self.sets]
        lines = read_yaml(self.text, self.file)[1] if self.file else {}
        # Of a candidate at least its name must be there: a variant of an ablation is written elsewhere.
        least = 2 if field[:1] == ("candidates",) else 1
        for length in range(len(field), least - 1, -1):
            name = ".".join(map(str, field[:length]))
            if name in dotted:
                return f"--set {name}"
            if field[:length] in lines:
                return f"{self.file}, line {lines[field[:length]]}"
        return ""

    @contextlib.contextmanager
    def told(self) -> Iterator[None]:
        """Begin the sentence of a mistake that belongs to a field with the line of that field."""
        try:
            yield
        except MistakeError as error:
            where = self.find(error.field) if error.field else ""
            if where:
                error.args = (f"{where}: {error}", *error.args[1:])
            raise
