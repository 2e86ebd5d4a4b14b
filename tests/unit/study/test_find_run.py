"""Which run is exported: chosen on validation, among those that one graph can answer."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean
from types import SimpleNamespace
from typing import Any, cast

import pytest

from etude.core.errors import MistakeError
from etude.study import deploying


def make_study(runs: list[Any], board: list[str], *, higher: bool = True, planned: int = 0) -> Any:
    refs = tuple(SimpleNamespace(identity=run.identity, candidate=run.candidate, status="finished") for run in runs)
    refs += tuple(SimpleNamespace(identity=f"p{at}", candidate=board[0], status="planned") for at in range(planned))
    own = {name: [run for run in runs if run.candidate == name] for name in board}
    means = {
        name: fmean(run.validation["score"] for run in of)
        if of and all("score" in run.validation for run in of)
        else None
        for name, of in own.items()
    }
    rows = tuple(SimpleNamespace(candidate=name, score=0.5, validation_score=means[name]) for name in board)
    config = {"candidates": {name: of[0].config for name, of in own.items() if of}}
    return SimpleNamespace(
        name="x", runs=refs, leaderboard=rows, metric="score", higher_is_better=higher, config=config,
        task="classification", n_planned=len(refs),
    )  # fmt: skip


def make_run(identity: str, candidate: str, score: float | None, **combine: object) -> Any:
    validation = {} if score is None else {"score": score}
    return SimpleNamespace(
        identity=identity, candidate=candidate, validation=validation, config={"combine": combine}
    )  # fmt: skip


def find(monkeypatch: pytest.MonkeyPatch, runs: list[Any], board: list[str], wanted: str = "", **of: Any) -> Any:
    by_name = {run.identity: run for run in runs}
    monkeypatch.setattr(deploying, "_load", lambda folder, identity: by_name[identity])
    return deploying.find_run(cast("Any", Path()), make_study(runs, board, **of), wanted)


RUNS = [make_run("a1", "a", 0.7), make_run("a2", "a", 0.8), make_run("b1", "b", 0.9), make_run("b2", "b", 0.5)]


def test_the_candidate_is_the_best_on_validation_and_not_the_first_of_the_board(monkeypatch) -> None:
    run, told = find(monkeypatch, RUNS, ["b", "a"])
    assert run.identity == "a2", "its mean is 0.75, that of b 0.7"
    assert told.startswith("Chosen on validation: the candidate with the best mean score there, and the best of its 2")


def test_that_runs_are_still_to_come_is_said(monkeypatch) -> None:
    assert find(monkeypatch, RUNS, ["b", "a"])[1].endswith("and the best of its 2 runs.")
    told = find(monkeypatch, RUNS, ["b", "a"], planned=2)[1]
    assert told.endswith("2 of the 6 planned runs are not finished: another may be chosen once the study is whole.")
    assert find(monkeypatch, RUNS, ["a"], "b2", planned=2)[1] == "", "a run that is named was chosen by nobody"


def test_lower_is_better_where_the_metric_says_so(monkeypatch) -> None:
    run, _ = find(monkeypatch, RUNS, ["a", "b"], higher=False)
    assert run.identity == "b2"


def test_what_no_graph_can_answer_is_passed_over(monkeypatch) -> None:
    folds = [make_run("e1", "ensemble", 0.99, folds=3), make_run("t1", "twice", 0.6, tta="flip")]
    run, _ = find(monkeypatch, [*folds, make_run("p1", "plain", 0.5)], ["ensemble", "plain", "twice"])
    assert run.identity == "t1"


def test_without_validation_the_first_of_the_board_is_taken_and_it_is_said(monkeypatch) -> None:
    run, told = find(monkeypatch, [make_run("g1", "g", None), make_run("h1", "h", None)], ["h", "g"])
    assert run.identity == "h1"
    assert "by the test part" in told


def test_a_run_that_is_named_is_taken_as_it_is_and_an_ambiguous_name_is_refused(monkeypatch) -> None:
    assert find(monkeypatch, RUNS, ["a"], "b2") == (RUNS[3], "")
    with pytest.raises(MistakeError, match="--run must be the identity of one finished run"):
        find(monkeypatch, RUNS, ["a"], "a")
    with pytest.raises(MistakeError, match="has no finished run"):
        find(monkeypatch, [], ["a"])


def test_a_run_without_a_score_on_validation_does_not_win(monkeypatch) -> None:
    run, _ = find(monkeypatch, [make_run("n1", "n", float("nan")), make_run("o1", "o", 0.4)], ["n", "o"])
    assert run.identity == "o1"
    ensembles = [make_run("e1", "e", None, folds=3), make_run("g1", "g", None)]
    assert find(monkeypatch, ensembles, ["e", "g"])[0].identity == "g1", "one graph cannot answer for e"


def test_notes_of_other_candidates_and_other_runs_stay_behind() -> None:
    run = SimpleNamespace(candidate="a", fold=None, notes=("a, seed 0: its own.",), identity="a0")
    notes = ("a, seed 0: its own.", "a, seed 1: another's.", "b, seed 0: of b.", "b: of b.", "a: of a.", "Of all.")
    study = SimpleNamespace(
        runs=(SimpleNamespace(candidate="a"), SimpleNamespace(candidate="b")), notes=notes, task="classification"
    )
    told = deploying._notes_on(cast("Any", run), cast("Any", study), cast("Any", None))
    assert told == ("a: of a.", "Of all.", "a, seed 0: its own.")
