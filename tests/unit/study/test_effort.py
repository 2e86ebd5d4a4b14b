"""What the trainings of a study took: each counted once, with the features and the generators that several share."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from etude.study import effort


def run(identity, seconds, features=0.0):
    return SimpleNamespace(
        identity=identity, cost=SimpleNamespace(seconds=seconds, features_seconds=features)
    )  # fmt: skip


def ref(candidate, identity):
    return SimpleNamespace(candidate=candidate, identity=identity, seed=0, fold=None)


@pytest.fixture
def count(monkeypatch):
    """Sum up runs that are made of trainings: candidate to the names of these, and what generators took of each."""

    def sum_up(records, made_of, refs, generators=None):
        monkeypatch.setattr(effort, "_trainings", lambda parts, ref: [(name, 0) for name in parts])
        monkeypatch.setattr(effort, "run_identity", lambda workspace, own, seed, fold: own)
        monkeypatch.setattr(effort, "_generators", lambda workspace, own, seed, fold: (generators or {}).get(own, {}))
        folder = SimpleNamespace(load_run={record.identity: record for record in records}.get)
        return effort.training_seconds(None, folder, made_of, refs)

    return sum_up


def test_a_training_that_several_runs_share_counts_once(count):
    records = [run("a", 10.0), run("b", 20.0), run("a-flip", 10.0), run("ab", 30.0)]
    made_of = {"plain": ["a"], "flip": ["a"], "pair": ["a", "b"]}
    refs = [ref("plain", "a"), ref("flip", "a-flip"), ref("pair", "ab")]
    assert count(records, made_of, refs) == 30.0
    assert count(records, made_of, refs[1:]) == 30.0
    assert count(records, made_of, [*refs, ref("planned", "none")]) == 30.0


def test_one_pass_over_the_pictures_gives_the_features_of_all_members(count):
    records = [run("a", 310.0, 300.0), run("b", 310.0, 300.0), run("ab", 320.0, 300.0)]
    assert count(records, {"pair": ["a", "b"]}, [ref("pair", "ab")]) == 320.0
    assert count(records, {"pair": ["a", "b"], "plain": ["a"]}, [ref("pair", "ab"), ref("plain", "a")]) == 320.0


def test_a_generator_that_several_candidates_learn_from_counts_once(count):
    records = [run("a", 110.0), run("b", 120.0)]
    made_of, refs = {"one": ["a"], "two": ["b"]}, [ref("one", "a"), ref("two", "b")]
    assert count(records, made_of, refs, {"a": {"g": 100.0}, "b": {"g": 100.0}}) == 130.0


def test_a_run_whose_trainings_are_gone_counts_as_what_it_cost(count):
    assert count([run("ab", 30.0)], {"pair": ["a", "b"]}, [ref("pair", "ab"), ref("unknown", "ab")]) == 30.0
