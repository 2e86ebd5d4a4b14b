"""A registry: a decorator that fills one dict.

A duplicate raises, and an unknown name lists the nearest matches.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

from etude.core.errors import MistakeError

T = TypeVar("T")


class Registry(Generic[T]):
    """Named things of one kind, such as the sources or the augmentations.

    >>> shapes: Registry[int] = Registry("shape")
    >>> shapes.register("square")(4)
    4
    >>> shapes["square"]
    4
    >>> shapes["sqare"]
    Traceback (most recent call last):
    ...
    etude.core.errors.MistakeError: shape: unknown name 'sqare'. Did you mean 'square'?
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._entries: dict[str, T] = {}

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that enters its argument under `name`.

        Raises:
            ValueError: if the name is taken already.
        """

        def enter(entry: T) -> T:
            if name in self._entries:
                raise ValueError(f"{self.kind}: {name!r} is registered twice")
            self._entries[name] = entry
            return entry

        return enter

    def __getitem__(self, name: str) -> T:
        """Return the entry `name`.

        Raises:
            MistakeError: if there is none; the text names the nearest.
        """
        try:
            return self._entries[name]
        except KeyError:
            raise MistakeError(unknown(self.kind, name, self._entries)) from None

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)

    def names(self) -> tuple[str, ...]:
        """Return all names, in the order in which they were registered."""
        return tuple(self._entries)


def nearest(name: str, known: Iterator[str] | list[str] | tuple[str, ...]) -> list[str]:
    """Return up to three of the known names that look like `name`, the likest first.

    >>> nearest("acuracy", ["accuracy", "f1_macro"])
    ['accuracy']
    """
    return difflib.get_close_matches(name, list(known), n=3, cutoff=0.55)


def unknown(kind: str, name: str, known: object) -> str:
    """Write the sentence for a name that is not known.

    >>> unknown("model", "cn", ["cnn", "mlp"])
    "model: unknown name 'cn'. Did you mean 'cnn'?"
    >>> unknown("model", "xyz", ["cnn", "mlp"])
    "model: unknown name 'xyz'. Known: cnn, mlp."
    """
    names = [str(entry) for entry in known]  # type: ignore[attr-defined]
    close = nearest(str(name), names)
    if close:
        hint = " or ".join(repr(entry) for entry in close)
        return f"{kind}: unknown name {name!r}. Did you mean {hint}?"
    return f"{kind}: unknown name {name!r}. Known: {', '.join(names)}."
