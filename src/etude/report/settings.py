"""Configurations told apart: what each candidate changes in the baseline's."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from etude.core.durations import write_seconds
from etude.report.reading import StudyResults

_NOT_A_SETTING = ("seed", "fold", "study", "candidate", "format")
_OR = " / "
_SEARCHED = ("model.", "train.", "augment.", "prepare.", "finetune.")
_UNSET = ("null", "[]", "{}")
_LONG_FRACTION = re.compile(r"\b\d+\.\d{6,}(e-?\d+)?")
_BUDGET, _TRAIN_ITEMS = "train.budget", "data.split.train_items"


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
        elif name == _BUDGET and isinstance(value, float | int):
            flat[name] = write_seconds(value)
        else:
            flat[name] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return flat


def read_settings(study: StudyResults) -> dict[str, dict[str, str]]:
    """Return each candidate's flat configuration, as its finished runs were given it."""
    settings: dict[str, dict[str, str]] = {}
    known: dict[str, dict[str, str]] = {}
    whole = study.record.config
    for ref in study.record.runs:
        run = study.runs.get(ref.identity)
        if run is not None and ref.candidate in settings:
            _join_found(settings[ref.candidate], flatten(run.config))
        elif run is not None:
            config = {key: value for key, value in run.config.items() if key not in _NOT_A_SETTING}
            flat = flatten(config)
            if flat.get(_TRAIN_ITEMS) == "null":  # all that the split leaves: told as a number, it joins its curve
                is_over_folds = flat.get("combine.folds", "null") != "null"  # each picture of validation is learnt from
                flat[_TRAIN_ITEMS] = str(run.n_train - is_over_folds * study.record.sizes.get("validation", 0))
            settings[ref.candidate] = flat
            shared = {key: whole[key] for key in config if key in whole}
            known[ref.candidate] = flatten(shared | whole.get("candidates", {}).get(ref.candidate, {}))
    # Runs of an earlier version lack the fields that came later: what the study file resolved to tells their defaults.
    names = {name for flat in settings.values() for name in flat}
    for candidate, flat in settings.items():
        flat |= {name: known[candidate][name] for name in names - flat.keys() if name in known[candidate]}
    return settings


def _join_found(flat: dict[str, str], other: Mapping[str, str]) -> None:
    """Put what another run has of a field beside what is there: with folds, each search has found its own."""
    for field, value in other.items():
        known = flat.get(field)
        if field.startswith(_SEARCHED) and known is not None and value not in known.split(_OR):
            flat[field] = f"{known}{_OR}{value}"


def list_changes(before: Mapping[str, str], after: Mapping[str, str]) -> list[Change]:
    """Return the fields whose values differ, in the order of the configuration.

    Of a group that has another name now (a model, an optimiser), only what the new one has is listed: that it lacks
    the settings of the old one goes without saying, as do those that it leaves unset. Long fractions are rounded.
    """
    renamed = {
        name.removesuffix("name") for name in after if name.endswith(".name") and before.get(name) != after[name]
    }
    return [
        Change(name, _round(before.get(name, "")), _round(after.get(name, "")))
        for name in dict.fromkeys([*before, *after])
        if before.get(name) != after.get(name)
        and not (name not in before and after[name] in _UNSET)
        and (name in after or not any(name.startswith(group) for group in renamed))
    ]


def _round(text: str) -> str:
    """Round the fractions of a text that have more digits than anyone reads."""
    return _LONG_FRACTION.sub(lambda found: f"{float(found[0]):.4g}", text)
