"""Durations as people write them."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

_UNITS = {"s": 1, "min": 60, "h": 3600, "d": 86400}


def read_seconds(given: Any) -> Any:  # noqa: ANN401 - raw input
    """Read a duration such as '90s', '60min', '4h' into seconds; a number is seconds already.

    >>> read_seconds("60min"), read_seconds("1.5h"), read_seconds(30)
    (3600.0, 5400.0, 30)
    """
    if not isinstance(given, str):
        return given
    match = re.fullmatch(r"\s*([0-9.]+)\s*(s|min|h|d)\s*", given)
    if not match:
        raise ValueError("must be a duration such as 90s, 60min or 4h")
    return float(match[1]) * _UNITS[match[2]]


def write_seconds(seconds: float) -> str:
    """Write a duration as a study file has it, in the largest unit that leaves no fraction.

    >>> write_seconds(3600.0), write_seconds(90), write_seconds(0.5), read_seconds(write_seconds(5400))
    ('1h', '90s', '0.5s', 5400.0)
    """
    unit = next((unit for unit in ("d", "h", "min") if seconds % _UNITS[unit] == 0), "s")
    return f"{seconds / _UNITS[unit]:g}{unit}"


Seconds = Annotated[float, BeforeValidator(read_seconds, json_schema_input_type=float | str), Field(gt=0)]
