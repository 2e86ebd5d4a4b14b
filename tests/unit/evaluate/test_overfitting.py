"""Whether a candidate knows its training pictures better than others, by its row of the leaderboard."""

from __future__ import annotations

import pytest

from etude.core.interval import Interval
from etude.core.study_record import LeaderboardRow, StudyRecord, Verdict
from etude.evaluate.overfitting import gap_of


def row(train: float | None, score: float | None, half: float = 0.01) -> LeaderboardRow:
    interval = None if score is None else Interval(low=score - half, high=score + half)
    return LeaderboardRow(candidate="a", n_runs=1, score=score, train_score=train, interval_pictures=interval)


@pytest.mark.parametrize(
    ("train", "score", "higher", "is_overfit", "gain"),
    [
        (0.95, 0.80, True, True, 0.15),
        (0.805, 0.80, True, False, 0.005),
        (0.70, 0.80, True, False, -0.10),
        (0.20, 0.60, False, True, 0.40),
        (0.60, 0.60, False, False, 0.0),
        (0.90, 0.60, False, False, -0.30),
    ],
)
def test_training_must_be_better_than_the_intervals_of_test_allow(
    train: float, score: float, higher: bool, is_overfit: bool, gain: float
) -> None:
    gap = gap_of(row(train, score), higher)
    assert gap is not None
    assert gap.is_overfit is is_overfit
    assert gap.gain == pytest.approx(gain)


def test_both_intervals_count() -> None:
    wide = row(0.82, 0.80).model_copy(update={"interval_runs": Interval(low=0.75, high=0.85)})
    narrow, broad = gap_of(row(0.82, 0.80), True), gap_of(wide, True)
    assert narrow is not None
    assert narrow.is_overfit
    assert broad is not None
    assert not broad.is_overfit


def test_the_training_score_is_uncertain_too() -> None:
    """A training score 0.009 points above the interval of test was told as overfitting."""
    found = gap_of(row(0.812, 0.80), True)
    assert found is not None
    assert not found.is_overfit


def test_what_is_known_by_heart_is_hardly_uncertain() -> None:
    """100 % on training beside 89.5 % [81.7, 97.3] on test was told as no overfitting."""
    certain, other = gap_of(row(1.0, 0.895, 0.078), True), gap_of(row(0.99, 0.895, 0.092), True)
    assert certain is not None
    assert certain.is_overfit
    assert other is not None
    assert not other.is_overfit


def test_without_a_finished_run_there_is_no_gap() -> None:
    assert gap_of(row(None, None), True) is None


def test_records_of_before_ablations_are_still_read() -> None:
    for record, fields in (
        (Verdict, ("group",)),
        (StudyRecord, ("ablations", "times", "split_digests", "data_fingerprint")),
    ):
        assert all(not record.model_fields[name].is_required() for name in fields)
