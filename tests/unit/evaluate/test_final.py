"""Which candidate is handed over: validation chooses among those that one file can answer."""

from __future__ import annotations

from typing import Any

import pytest

from etude.core.study_record import LeaderboardRow, StudyRecord
from etude.evaluate.final import asks_several, final_candidate, final_row


def make_record(scores: dict[str, tuple[float | None, float | None]], combine: dict[str, Any], **changes: Any) -> Any:
    """Return a record whose leaderboard has these candidates, each with its score on test and on validation."""
    rows = tuple(
        LeaderboardRow(
            candidate=name, n_runs=1, score=test, deviation=None, interval_runs=None, interval_pictures=None,
            validation_score=validation,
        )
        for name, (test, validation) in scores.items()
    )  # fmt: skip
    given = {
        "leaderboard": rows,
        "task": "classification",
        "higher_is_better": True,
        "config": {"candidates": {name: {"combine": own} for name, own in combine.items()}},
    }
    return StudyRecord.model_construct(**(given | changes))


BOARD = {"first": (0.9, 0.80), "second": (0.8, 0.85), "third": (0.7, None)}


def test_validation_chooses_and_the_test_part_does_not():
    assert final_candidate(make_record(BOARD, {})) == "second"
    assert final_candidate(make_record(BOARD, {}, higher_is_better=False)) == "first"


@pytest.mark.parametrize("combine", [{"members": 5}, {"folds": 3}, {"windows": "sliding"}])
def test_what_one_file_cannot_answer_is_passed_over(combine):
    assert asks_several(combine) == combine
    assert final_candidate(make_record(BOARD, {"second": {"tta": "flip", **combine}})) == "first"


@pytest.mark.parametrize("combine", [{"tta": "flip"}, {"members": 5, "average": "weights"}, {"last_epochs": 4}, {}])
def test_what_one_file_can_answer_is_taken(combine):
    assert asks_several(combine) == {}
    assert final_candidate(make_record(BOARD, {"second": combine})) == "second"


def test_without_validation_and_of_generators_it_is_the_first_of_the_leaderboard():
    unknown = {name: (test, None) for name, (test, _) in BOARD.items()}
    assert final_candidate(make_record(unknown, {})) == "first"
    assert final_candidate(make_record(unknown, {"first": {"folds": 5}})) == "second"
    assert final_candidate(make_record(BOARD, {}, task="generation")) == "first"
    assert final_candidate(make_record({"nan": (0.9, float("nan")), "known": (0.1, 0.1)}, {})) == "known"


def test_before_any_run_is_finished_there_is_none():
    nothing = make_record({"a": (None, None)}, {})
    assert final_row(nothing) is None
    assert final_candidate(nothing) == ""
    assert final_candidate(make_record(BOARD, {name: {"members": 3} for name in BOARD})) == "second", "all are odd"
