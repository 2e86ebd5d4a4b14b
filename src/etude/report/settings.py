"""Configurations told apart: what each candidate changes in the baseline's."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from etude.report.reading import StudyResults

_NOT_A_SETTING = ("seed", "fold", "study", "candidate", "format")
_TRAIN_ITEMS = "data.split.train_items"


@dataclass(frozen=True)
class Change:
    """One field that a candidate changes."""

    field: str
    before: str
    """The baseline's value; empty where it has none."""
    after: str
    """The candidate's value; empty where it has none."""


def flatten(config: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Return a nested configuration as dotted names and the JSON texts of their values.

    >>> flatten({"train": {"epochs": 10, "optimizer": {"name": "sgd"}}})
    {'train.epochs': '10', 'train.optimizer.name': 'sgd'}
    """
    flat: dict[str, str] = {}
    for key, value in config.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            flat |= flatten(value, name + ".")
        else:
            flat[name] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return flat


def read_settings(study: StudyResults) -> dict[str, dict[str, str]]:
    """Return each candidate's flat configuration, as its first finished run was given it."""
    settings: dict[str, dict[str, str]] = {}
    known: dict[str, dict[str, str]] = {}
    whole = study.record.config
    for ref in study.record.runs:
        run = study.runs.get(ref.identity)
        if run is not None and ref.candidate not in settings:
            config = {key: value for key, value in run.config.items() if key not in _NOT_A_SETTING}
            flat = flatten(config)
            if flat.get(_TRAIN_ITEMS) == "null":  # all that the split leaves: told as a number, it joins its curve
                flat[_TRAIN_ITEMS] = str(run.n_train)
            settings[ref.candidate] = flat
            shared = {key: whole[key] for key in config if key in whole}
            known[ref.candidate] = flatten(shared | whole.get("candidates", {}).get(ref.candidate, {}))
    # Runs of an earlier version lack the fields that came later: what the study file resolved to tells their defaults.
    names = {name for flat in settings.values() for name in flat}
    for candidate, flat in settings.items():
        flat |= {name: known[candidate][name] for name in names - flat.keys() if name in known[candidate]}
    return settings


def list_changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[Change]:
    """Return the fields whose values differ, in the order of the configuration.

    Of a group that has another name now (a model, an optimiser), only what the new one has is listed: that it lacks
    the settings of the old one goes without saying.
    """
    renamed = {
        name.removesuffix("name") for name in after if name.endswith(".name") and before.get(name) != after[name]
    }
    return [
        Change(name, before.get(name, ""), after.get(name, ""))
        for name in dict.fromkeys([*before, *after])
        if before.get(name) != after.get(name)
        and (name in after or not any(name.startswith(group) for group in renamed))
    ]
