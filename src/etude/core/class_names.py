"""Which texts of a record name classes, so that a report can call each class as its readers do."""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Annotated, Any, Final, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel


class _Naming:
    """The mark of a field of a record."""


CLASS_NAMES: Final = _Naming()
"""Marks a type of a record: every text in such a value, the keys of mappings among them, is the name of a class or none
that a class could have."""
ClassName = Annotated[str, CLASS_NAMES]
"""The name of a class, as the source of the pictures has it."""
Model = TypeVar("Model", bound=BaseModel)


def rename_classes(record: Model, called: Callable[[str], str]) -> Model:
    """Return a record in which each class has another name; ids, paths and settings stay as they are.

    Args:
        record: a record, or a part of one.
        called: gives the new name of a class, or the text itself where it is none.

    >>> class Answer(BaseModel):
    ...     item: str
    ...     truth: ClassName
    >>> rename_classes(Answer(item="cat", truth="cat"), {"cat": "chat"}.get)
    Answer(item='cat', truth='chat')
    """
    changed = {}
    for name, field in type(record).model_fields.items():
        value = getattr(record, name)
        new = _everywhere(value, called) if CLASS_NAMES in field.metadata else _within(value, field.annotation, called)
        if new is not value:
            changed[name] = new
    return record.model_copy(update=changed) if changed else record


def _within(value: Any, kind: Any, called: Callable[[str], str]) -> Any:  # noqa: ANN401 - any value of its type
    """Rename where the type says that there are classes; the very value where it says so nowhere."""
    if isinstance(value, BaseModel):
        return rename_classes(value, called)
    if get_origin(kind) is Annotated:
        kind, *marks = get_args(kind)
        return _everywhere(value, called) if CLASS_NAMES in marks else _within(value, kind, called)
    if get_origin(kind) in (Union, types.UnionType):
        kind = next((one for one in get_args(kind) if get_origin(one) is type(value)), None)
    inner = get_args(kind)
    if isinstance(value, dict) and len(inner) == 2:
        new = {_within(key, inner[0], called): _within(own, inner[1], called) for key, own in value.items()}
        return value if all(a is b and value[a] is new[b] for a, b in zip(value, new, strict=True)) else new
    if isinstance(value, tuple) and inner:
        items = tuple(_within(own, inner[0], called) for own in value)
        return value if all(new is own for new, own in zip(items, value, strict=True)) else items
    return value


def _everywhere(value: Any, called: Callable[[str], str]) -> Any:  # noqa: ANN401 - any value
    """Rename every text in a value."""
    if isinstance(value, str):
        return called(value)
    if isinstance(value, dict):
        return {_everywhere(key, called): _everywhere(own, called) for key, own in value.items()}
    if isinstance(value, tuple):
        return tuple(_everywhere(own, called) for own in value)
    if isinstance(value, BaseModel):
        return value.model_copy(
            update={name: _everywhere(getattr(value, name), called) for name in type(value).model_fields}
        )
    return value
