"""One group of fields of a study file laid over another."""

from __future__ import annotations

from typing import Any


def merge(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    """Lay one group of fields over another.

    A group with a `name` (a model, an optimiser) whose name changes is replaced whole: the learning rate of
    one optimiser says nothing about another's.

    >>> merge({"lr": 1, "schedule": {"name": "step", "gamma": 0.5}}, {"schedule": {"name": "cosine"}})
    {'lr': 1, 'schedule': {'name': 'cosine'}}
    """
    merged = dict(under)
    for key, value in over.items():
        below = merged.get(key)
        if isinstance(below, dict) and isinstance(value, dict) and not _is_another(below, value):
            merged[key] = merge(below, value)
        else:
            merged[key] = value
    return merged


def _is_another(below: dict[str, Any], value: dict[str, Any]) -> bool:
    return "name" in value and value["name"] != below.get("name", value["name"])
