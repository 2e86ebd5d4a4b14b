"""The space of a search: parameters in an order in which each comes after those that it depends on."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from etude.core.errors import MistakeError
from etude.core.search_record import ParameterKind, ParameterRecord
from etude.search.config import ParameterConfig, SearchConfig

Point = dict[str, Any]
"""Values by name of parameter, of the parameters that are active."""


@dataclass(frozen=True)
class Parameter:
    """One field and the values that it takes."""

    name: str
    """The dotted field; with its condition, where the field has several ranges."""
    field: str
    kind: ParameterKind
    low: float = 0.0
    high: float = 0.0
    choices: tuple[Any, ...] = ()
    points: int = 3
    when: tuple[tuple[str, tuple[Any, ...]], ...] = ()
    """Fields, and the values that each must have for this one to be varied."""

    def at(self, share: float) -> Any:  # noqa: ANN401 - a number, or any value of a choice
        """Return the value at `share`, from 0 to 1, of the way through the range, or through the choices."""
        if self.kind == "choice":
            return self.choices[min(int(share * len(self.choices)), len(self.choices) - 1)]
        if self.kind == "integer":
            return min(int(self.low + share * (self.high - self.low + 1)), int(self.high))
        if self.kind == "log":
            return self._within(math.exp(math.log(self.low) + share * math.log(self.high / self.low)))
        return self._within(self.low + share * (self.high - self.low))

    def levels(self) -> list[Any]:
        """Return the values that a grid has: every choice, or points evenly along the range."""
        if self.kind == "choice":
            return list(self.choices)
        steps = [place / (self.points - 1) for place in range(self.points)]
        if self.kind == "integer":
            return list(dict.fromkeys(round(self.low + step * (self.high - self.low)) for step in steps))
        return [self.at(step) for step in steps]

    def around(self, value: Any, step: float) -> list[Any]:  # noqa: ANN401 - any value
        """Return the values on both sides of `value`, with itself first: `step` is a share of the range."""
        if self.kind == "choice":
            return [value, *(choice for choice in self.choices if choice != value)]
        if self.kind == "log":
            factor = (self.high / self.low) ** step
            return _once([value, self._within(value / factor), self._within(value * factor)])
        by = step * (self.high - self.low)
        if self.kind == "integer":
            whole = max(1, round(by))
            return _once([value, max(int(self.low), value - whole), min(int(self.high), value + whole)])
        return _once([value, self._within(value - by), self._within(value + by)])

    def _within(self, value: float) -> float:
        return min(max(value, self.low), self.high)

    def is_active(self, settings: Mapping[str, Any]) -> bool:
        """Say whether it is varied where other fields have these values."""
        return all(field in settings and settings[field] in values for field, values in self.when)

    def record(self, importance: float | None = None) -> ParameterRecord:
        """Return what the search's record holds of it."""
        ends = {} if self.kind == "choice" else {"low": self.low, "high": self.high}
        return ParameterRecord(
            name=self.name, field=self.field, kind=self.kind, choices=self.choices, importance=importance, **ends
        )


Space = tuple[Parameter, ...]


def make_space(config: SearchConfig) -> Space:
    """Return the parameters of a search, each after those that its condition names.

    Raises:
        MistakeError: if a condition names a field that is not in the space, or conditions go in a circle.
    """
    waiting = [
        _parameter(field, branch, several=len(branches) > 1)
        for field, branches in config.space.items()
        for branch in branches
    ]
    for parameter in waiting:
        for field, _ in parameter.when:
            if field not in config.space:
                known = ", ".join(name for name in config.space if name != parameter.field)
                raise MistakeError(
                    f"{parameter.field}: when must name another field of the space. Got {field!r}. Fields: {known}."
                )
    ordered: list[Parameter] = []
    while waiting:
        left = {parameter.field for parameter in waiting}
        ready = [parameter for parameter in waiting if not any(field in left for field, _ in parameter.when)]
        if not ready:
            raise MistakeError(f"{waiting[0].field}: when must not go in a circle. Got {sorted(left)}.")
        ordered.append(ready[0])
        waiting.remove(ready[0])
    return tuple(ordered)


def _parameter(field: str, config: ParameterConfig, *, several: bool) -> Parameter:
    when = tuple((name, tuple(given) if isinstance(given, list | tuple) else (given,))
                 for name, given in config.when.items())  # fmt: skip
    told = ", ".join(f"{name}={'|'.join(map(str, values))}" for name, values in when)
    name = f"{field} ({told})" if several and told else field
    if config.choice is not None:
        return Parameter(name, field, "choice", choices=config.choice, when=when)
    kind: ParameterKind = "uniform" if config.uniform else "log" if config.log else "integer"
    low, high = getattr(config, kind)
    return Parameter(name, field, kind, low, high, points=config.points, when=when)


def settings_of(space: Space, point: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values by field of a point, which holds them by parameter."""
    return {parameter.field: point[parameter.name] for parameter in space if parameter.name in point}


def walk(space: Space, levels: Mapping[str, Sequence[Any]]) -> Iterator[Point]:
    """Give every combination of these levels, a parameter taken only where it is active."""

    def go(place: int, point: Point) -> Iterator[Point]:
        if place == len(space):
            yield dict(point)
            return
        parameter = space[place]
        if not parameter.is_active(settings_of(space, point)):
            yield from go(place + 1, point)
            return
        for value in levels[parameter.name]:
            yield from go(place + 1, {**point, parameter.name: value})

    return go(0, {})


def label(value: Any) -> Any:  # noqa: ANN401 - any YAML value
    """Return what stands for a choice in the storage: itself where it is plain, else its JSON text."""
    return value if value is None or isinstance(value, bool | int | float | str) else json.dumps(value)


def _once(values: Sequence[Any]) -> list[Any]:
    return list(dict.fromkeys(values))
