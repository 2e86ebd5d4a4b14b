"""Records of what is deployed: frozen dataclasses, read from JSON and checked by their annotations.

A program that opens a bundle waits for all that is imported for it, and pydantic takes more than half as long as NumPy.
So what a bundle is read with does without it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, ClassVar, Self


@dataclasses.dataclass(frozen=True)
class Plain:
    """A frozen dataclass that is read from JSON; unknown fields are refused."""

    # A pydantic record may hold one of these: it refuses unknown fields too, and finds the same docs.
    __pydantic_config__: ClassVar[Any] = {"extra": "forbid", "use_attribute_docstrings": True}

    @classmethod
    def read(cls, content: object) -> Self:
        """Return the record that the content of a JSON text stands for.

        Raises:
            ValueError: if a field is missing, unknown, or has another type than its annotation; if a number is NaN or
                infinite, which nothing can be compared with.
        """
        record: Self = _read(cls, content, cls.__name__)
        return record

    def plain(self) -> dict[str, Any]:
        """Return the fields as dictionaries, lists and numbers."""
        return dataclasses.asdict(self)

    def text(self, indent: int | None = None) -> str:
        """Return the record as JSON.

        Raises:
            ValueError: if a number is NaN or infinite: it could not be read again.
        """
        return json.dumps(self.plain(), indent=indent, ensure_ascii=False, default=_number, allow_nan=False)


def _number(value: Any) -> object:  # noqa: ANN401 - what JSON does not know
    """Return a number of NumPy's as one of Python's."""
    return value.item()


def _read(kind: Any, value: object, where: str) -> Any:  # noqa: ANN401 - any annotation, and what it stands for
    """Return a JSON value as what an annotation says.

    >>> _read(tuple[int, ...], [1, 2], "sizes"), _read(float | None, 3, "score")
    ((1, 2), 3.0)
    """
    if kind is Any:
        return value
    if isinstance(kind, type) and issubclass(kind, Plain):
        return _read_record(kind, value, where)
    origin, members = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _read_union(members, value, where)
    if origin is typing.Literal and type(value) in map(type, members) and value in members:
        return value
    if origin is tuple and isinstance(value, list | tuple):
        each = [members[0]] * len(value) if members[-1] is ... else members
        if len(each) == len(value):
            return tuple(
                _read(own, entry, f"{where}[{place}]")
                for place, (own, entry) in enumerate(zip(each, value, strict=True))
            )
    if origin is dict and isinstance(value, Mapping) and all(isinstance(name, str) for name in value):
        return {name: _read(members[1], entry, f"{where}.{name}") for name, entry in value.items()}
    if kind is float and type(value) in (int, float):
        return _read_float(typing.cast("float", value), where)
    if origin is None and type(value) is kind:  # a bool is no int here
        return value
    raise ValueError(f"{where} must be {_name(kind)}. Got {value!r}.")


def _read_float(value: float, where: str) -> float:
    with contextlib.suppress(OverflowError):  # JSON knows whole numbers of any length
        if math.isfinite(value):
            return float(value)
    raise ValueError(f"{where} must be a finite number. Got {str(value)[:20]}.")


def _read_record(kind: type[Plain], value: object, where: str) -> Plain:
    if isinstance(value, kind):
        return value
    if not isinstance(value, Mapping):
        raise ValueError(f"{where} must be a group of fields. Got {value!r}.")
    annotations = _annotations(typing.cast("Any", kind))  # mypy takes a class of dataclasses for unhashable
    if strange := [name for name in value if name not in annotations]:
        raise ValueError(f"{where} must have known fields. Got {strange[0]!r}.")
    fields = {name: _read(annotations[name], given, f"{where}.{name}") for name, given in value.items()}
    try:
        return kind(**fields)
    except TypeError as error:
        raise ValueError(f"{where} must have all its fields ({error}).") from error


def _read_union(members: tuple[Any, ...], value: object, where: str) -> Any:  # noqa: ANN401 - as the members say
    for member in members:
        try:
            return None if member is types.NoneType and value is None else _read(member, value, where)
        except ValueError:
            continue
    raise ValueError(f"{where} must be {' or '.join(map(_name, members))}. Got {value!r}.")


@functools.cache
def _annotations(kind: type[Plain]) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}


def _name(kind: Any) -> str:  # noqa: ANN401 - any annotation
    return kind.__name__ if isinstance(kind, type) and not typing.get_args(kind) else str(kind)
