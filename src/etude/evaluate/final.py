"""Which candidate of a study is handed over: validation chooses it, as the test part must not choose."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from etude.core.study_record import LeaderboardRow, StudyRecord


def final_row(record: StudyRecord) -> LeaderboardRow | None:
    """Return the row of the candidate that is exported, explained and looked at; none where no run is finished.

    It is that with the best mean on validation among those that one file can answer. Where none was scored on
    validation, and of generators, of which nothing is chosen by so few pictures, it is the first of the leaderboard.
    """
    scored = [row for row in record.leaderboard if row.score is not None]
    answering = [row for row in scored if not asks_several(combine_of(record, row.candidate))] or scored
    validated = [row for row in answering if _is_known(row.validation_score)]
    if not validated or record.task == "generation":
        return answering[0] if answering else None
    sign = 1.0 if record.higher_is_better else -1.0
    return max(validated, key=lambda row: sign * (row.validation_score or 0.0))


def final_candidate(record: StudyRecord) -> str:
    """Return the name of that candidate; empty where no run is finished."""
    row = final_row(record)
    return row.candidate if row else ""


def asks_several(combine: Mapping[str, Any]) -> dict[str, Any]:
    """Return what of a combination one file cannot give: answers of several networks, or of windows over a picture.

    >>> asks_several({"tta": "flip", "members": 5, "average": "weights", "folds": None})
    {}
    >>> asks_several({"tta": "flip", "members": 5})
    {'members': 5}
    """
    odd = {name: combine[name] for name in ("members", "folds") if combine.get(name)}
    if combine.get("average") == "weights":  # averaged weights are those of one network, which is what a run has kept
        odd.pop("members", None)
    if combine.get("windows", "whole") != "whole":
        odd["windows"] = combine["windows"]
    return odd


def combine_of(record: StudyRecord, candidate: str) -> dict[str, Any]:
    """Return what a candidate combines, as the study file resolved to; empty where nothing is known of it."""
    own = record.config.get("candidates", {}).get(candidate)
    return dict(own.get("combine") or {}) if isinstance(own, dict) else {}


def _is_known(value: float | None) -> bool:
    return value is not None and math.isfinite(value)
