"""What pydantic finds amiss, in our words; and the fields that a record has."""

from __future__ import annotations

import types
import typing
from typing import Any

from pydantic import BaseModel

from etude.core.registry import nearest

_RULES = {
    "greater_than": "greater than {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "less_than_equal": "at most {le}",
    "int_parsing": "a whole number",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_parsing": "a number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_parsing": "true or false",
    "bool_type": "true or false",
    "string_type": "a text",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a group of fields",
    "model_type": "a group of fields",
    "model_attributes_type": "a group of fields",
    "too_short": "a list of at least {min_length}",
    "literal_error": "one of {expected}",
    "string_pattern_mismatch": "letters, digits, '.', '_' and '-', without spaces",
}


def told_fault(fault: Any) -> str:  # noqa: ANN401 - pydantic's
    """Write what is wrong with a value, to stand after the name of its field: ' must be … Got ….'."""
    kind, context = fault["type"], fault.get("ctx", {})
    if kind == "value_error":
        return f": {context.get('error', fault['msg'])}"
    rule = _RULES.get(kind)
    told = rule.format(**context) if rule else fault["msg"][0].lower() + fault["msg"][1:]
    close = ""
    if kind == "literal_error" and isinstance(fault["input"], str):
        names = [word.strip().strip("'") for word in context["expected"].replace(" or ", ", ").split(",")]
        matches = nearest(fault["input"], names)
        close = f" Did you mean {matches[0]!r}?" if matches else ""
    return f" must be {told}. Got {fault['input']!r}.{close}"


def fields_at(model: type[BaseModel], path: tuple[str | int, ...]) -> list[str]:
    """Return the names of the fields of the record that lies at `path` below `model`; none where there is no record."""
    found: type[BaseModel] | None = model
    words = list(path)
    while words and found is not None:
        field = found.model_fields.get(str(words.pop(0)))
        annotation = field.annotation if field else None
        if typing.get_origin(annotation) in (dict, tuple) and words:
            words.pop(0)
        found = record_in(annotation)
    return list(found.model_fields) if found is not None else []


def record_in(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 - any annotation
    """Find the record in an annotation such as `Annotated[Record, …] | None` or `dict[str, Record]`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if typing.get_origin(annotation) in (typing.Union, types.UnionType, dict, typing.Annotated, tuple):
        for argument in typing.get_args(annotation):
            record = record_in(argument)
            if record is not None:
                return record
    return None
