"""Verdicts in a terminal: what is corrected for the number of comparisons is told apart from what is not."""

from __future__ import annotations

from etude.cli.tables import few_runs_line, verdict_lines
from etude.core.interval import Interval
from etude.core.study_record import LeaderboardRow, StudyRecord, Verdict


def verdict(candidate, low, word, p_adjusted=0.08, group=""):
    return Verdict(
        baseline="plain", candidate=candidate, metric="accuracy", n_pairs=5, gain=0.02, low=low, high=0.04, p=0.04,
        p_adjusted=p_adjusted, verdict=word, smallest_detectable=0.01, method="paired t", group=group,
    )  # fmt: skip


def board(*verdicts, n_runs=2):
    row = LeaderboardRow(candidate="wide", n_runs=n_runs, score=0.9, interval_runs=Interval(low=0.5, high=1.0))
    return StudyRecord(
        name="study", question="", task="classification", metric="accuracy", higher_is_better=True, baseline="plain",
        config={}, classes=(), counts={}, runs=(), leaderboard=(row,), verdicts=verdicts,
    )  # fmt: skip


def lines(*verdicts):
    return [line.plain for line in verdict_lines(board(*verdicts))]


def test_the_number_of_comparisons_is_told_and_the_interval_that_is_not_corrected():
    nothing = "no difference shown"
    found = lines(verdict("a", 0.001, nothing), verdict("b", -0.01, nothing), verdict("c", 0.01, "better", 0.001))
    assert found[0].endswith("p = 0.08 corrected for 3 comparisons, as the interval is not)")
    assert found[1].endswith("p = 0.08 corrected for 3 comparisons)")
    assert found[2].endswith("p = 0.001 corrected for 3 comparisons)")


def test_one_comparison_alone_is_not_called_corrected_and_groups_are_counted_apart():
    assert lines(verdict("a", 0.01, "better", 0.04))[0].endswith("p = 0.04)")
    found = lines(verdict("a", 0.01, "better", 0.04), verdict("b", 0.01, "better", 0.04, group="plain: augment.use"))
    assert not any("corrected" in line for line in found)


def test_what_a_candidate_costs_beside_its_baseline_ends_its_line():
    record = board(verdict("wide", 0.01, "better", 0.001), verdict("other", 0.01, "better", 0.001))
    rows = [
        LeaderboardRow(candidate="wide", n_runs=2, score=0.9, seconds=140.0, latency_ms=4.0),
        LeaderboardRow(candidate="plain", n_runs=2, score=0.8, seconds=100.0, latency_ms=2.0),
        LeaderboardRow(candidate="other", n_runs=2, score=0.8, seconds=1234.0),
    ]
    told = [line.plain for line in verdict_lines(record.model_copy(update={"leaderboard": tuple(rows)}))]
    assert told[0].endswith("comparisons); time ×1.4, ms ×2")
    assert told[1].endswith("comparisons); time ×12")


def test_two_runs_are_called_few_and_three_are_not():
    assert "too few" in few_runs_line(board())
    assert few_runs_line(board(n_runs=3)) == ""
