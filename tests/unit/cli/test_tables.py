"""The leaderboard in a terminal: as many columns as have room, and none of them cut."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from etude.cli.tables import leaderboard_table
from etude.core.interval import Interval
from etude.core.study_record import LeaderboardRow, StudyRecord


def board():
    rows = tuple(
        LeaderboardRow(
            candidate=name, n_runs=3, score=0.8816, deviation=0.0004, interval_runs=Interval(low=0.88, high=0.883),
            interval_pictures=Interval(low=0.876, high=0.887), validation_score=0.89, seconds=425.0, images_per_s=867.0,
            params=1_970_000, macs=118_000_000, memory_mb=2986.0, own_memory_mb=811.0, latency_ms=2.69, score_clean=0.8784,
            seconds_to_best=371.0, size_mb=7.88,
        )
        for name in ("airnet", "a candidate with a long name")
    )  # fmt: skip
    return StudyRecord(
        name="study", question="", task="classification", metric="balanced_accuracy", higher_is_better=True,
        baseline=None, config={}, classes=(), counts={}, runs=(), leaderboard=rows, verdicts=(),
    )  # fmt: skip


def printed(width):
    console = Console(width=width, file=io.StringIO())
    console.print(leaderboard_table(board(), width))
    return console.file.getvalue()


@pytest.mark.parametrize("width", range(58, 220, 6))
def test_no_column_is_cut_at_any_width(width):
    text = printed(width)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width


def test_a_wide_terminal_shows_all_and_a_narrow_one_the_score():
    assert "memory MiB" in printed(220)
    assert "balanced_accuracy" in printed(58)
    assert "room for more" not in printed(220)
    assert len(printed(100).splitlines()[3]) > len(printed(58).splitlines()[3])


def test_time_to_the_best_epoch_and_size_are_shown_or_named():
    wide = printed(220)
    for told in ("to best", "6 min 11 s", "MB", "7.88"):
        assert told in wide
    named = " ".join(printed(80).split("room for more:")[1].split())
    assert "to best" in named
    assert "MB" in named.replace(",", "").split()


@pytest.mark.parametrize("width", [58, 160])
def test_the_columns_that_have_no_room_are_named_below(width):
    table, below = printed(width).split("A wider terminal, or a file, has room for more:")
    assert "memory MiB" not in table
    assert "memory MiB" in " ".join(below.split())


def test_a_column_without_a_value_takes_no_room():
    rows = tuple(row.model_copy(update={"deviation": None}) for row in board().leaderboard)
    console = Console(width=220, file=io.StringIO())
    console.print(leaderboard_table(board().model_copy(update={"leaderboard": rows}), 220))
    assert "±" not in console.file.getvalue()
    assert "±" in printed(220)
