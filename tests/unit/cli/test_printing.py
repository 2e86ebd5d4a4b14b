"""Tables in a terminal and in a file: whatever the width, every cell can be read."""

from __future__ import annotations

import io
from collections import Counter

import pytest
from rich.console import Console
from tests.unit.cli.test_tables import board

from etude.cli.plans import plan_lines, plan_table, plan_times_table
from etude.cli.printing import add_row, answer_console, make_table, print_table
from etude.cli.tables import leaderboard_table
from etude.core.study_record import RunRef
from etude.study.estimate import CandidatePlan, Resolution, StudyPlan

CANDIDATE = "a candidate with augment.use=[flip, shift] and a long name"


def plan(deviation=0.01, is_assumed=True, n_runs=2):
    runs = tuple(
        RunRef(candidate=CANDIDATE, seed=seed, identity="0123456789abcdef", status="planned") for seed in range(n_runs)
    )
    times = CandidatePlan(candidate=CANDIDATE, n_runs=2, n_left=2, steps=12_000, step_ms=3.5, run_seconds=3700.0)
    answer = Resolution(
        group="", baseline="plain", n_comparisons=1, n_pairs=2, deviation=deviation, is_assumed=is_assumed,
        smallest=4 * deviation,
    )  # fmt: skip
    return StudyPlan(
        study="study", metric="accuracy", runs=runs, candidates=(times,), seconds_left=7400.0, resolutions=(answer,)
    )


def printed(table, width):
    console = Console(width=width, file=io.StringIO())
    print_table(table, console)
    return console.file.getvalue()


def signs(text):
    return Counter(sign for sign in text if not sign.isspace() and sign != "─")


@pytest.mark.parametrize("width", [34, 60, 80, 120])
@pytest.mark.parametrize("draw", [plan_table, plan_times_table])
def test_a_narrow_terminal_breaks_cells_and_cuts_none(draw, width):
    text = printed(draw(plan()), width)
    assert max(map(len, text.splitlines())) <= width
    assert signs(text) == signs(printed(draw(plan()), 1000))


def test_into_a_file_every_column_goes_and_no_line_is_broken(capsys):
    console = answer_console()
    print_table(leaderboard_table(board(), console.width), console)
    print_table(plan_table(plan()), console)
    text = capsys.readouterr().out
    for heading in ("balanced_accuracy", "95 % runs", "MACs", "memory MiB"):
        assert heading in text
    assert CANDIDATE in text
    assert all(line == line.rstrip() for line in text.splitlines())


def test_what_stands_in_brackets_is_no_markup():
    table = make_table("name")
    add_row(table, "augment.use=[bold]")
    assert "augment.use=[bold]" in printed(table, 80)


def test_the_plan_says_what_its_answer_rests_on():
    lines = list(plan_lines(plan()))
    (told,) = [line for line in lines if line.startswith("Against")]
    assert "2 pairs and 1 comparison show a difference in accuracy from about 0.04 on" in told
    assert "a standard deviation of 0.01 (assumed)" in told
    assert any("no measurement" in line and "the answer changes" in line for line in lines)
    lines = list(plan_lines(plan(0.02, is_assumed=False)))
    (told,) = [line for line in lines if line.startswith("Against")]
    assert "a standard deviation of 0.02 (that of the finished pairs)" in told
    assert not any("assum" in line for line in lines)


def test_one_is_singular():
    assert next(plan_lines(plan(n_runs=1))) == "1 run, 1 of them to be trained."


def test_a_column_without_a_value_takes_no_room():
    text = printed(plan_table(plan()), 200)
    assert "seed" in text
    assert "fold" not in text
