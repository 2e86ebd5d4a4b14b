"""Trials in a storage: as many as asked for, kept, pruned, resumed, shared."""

from __future__ import annotations

import contextlib
import threading
import time

import pytest

from etude.core.errors import MistakeError
from etude.core.search_record import TrialRecord
from etude.search import SearchConfig, make_space
from etude.search.session import Search, SearchTask, Turn

SPACE = {"x": {"uniform": [-1, 1]}, "kind": {"choice": ["good", ["bad", 1]]}}


def make_search(folder, space=SPACE, higher=True, **fields):
    config = SearchConfig(of="plain", space=space, pruner=fields.pop("pruner", "none"), **fields)
    return Search(SearchTask("study", config, make_space(config), "accuracy", higher, folder, max_epochs=9))


def score_of(settings):
    return 1 - abs(settings["x"] - 0.3) - (settings.get("kind") == ["bad", 1])


def evaluate(turn: Turn) -> TrialRecord:
    return TrialRecord(
        number=turn.number, state="complete", settings=turn.settings, phase=turn.phase, score=score_of(turn.settings),
        seconds=1.0, identity=f"run-{turn.number}",
    )  # fmt: skip


def run(search, evaluate=evaluate, may_start=lambda: True):
    heard: list[TrialRecord] = []
    search.work(evaluate, heard.append, may_start)
    return heard


@pytest.mark.parametrize("sampler", ["random", "random-then-grid", "tpe"])
def test_it_makes_its_trials_once_and_finds_the_best(tmp_path, sampler):
    search = make_search(tmp_path, sampler=sampler, trials=14)
    heard = run(search)
    record = search.record()
    assert [trial.number for trial in heard] == list(range(14))
    assert search.is_over()
    assert record.best_score == max(trial.score for trial in record.trials)
    assert record.settings == record.trials[record.best].settings
    assert record.seconds == 14
    assert sum(parameter.importance for parameter in record.parameters) == pytest.approx(1)
    again = make_search(tmp_path, sampler=sampler, trials=14)
    assert run(again) == []
    assert again.record() == record


def test_a_lower_metric_is_better_where_the_metric_says_so(tmp_path):
    search = make_search(tmp_path, higher=False, sampler="random", trials=6)
    run(search)
    assert search.record().best_score == min(trial.score for trial in search.record().trials)


def test_random_then_grid_looks_around_the_best_of_the_random_ones(tmp_path):
    search = make_search(tmp_path, sampler="random-then-grid", trials=20, random_share=0.6)
    trials = run(search)
    assert [trial.phase for trial in trials] == ["random"] * 12 + ["grid"] * 8
    centre = max(trials[:12], key=lambda trial: trial.score).settings["x"]
    assert all(abs(trial.settings["x"] - centre) <= 0.2501 for trial in trials[12:])
    assert len({(trial.settings["x"], str(trial.settings["kind"])) for trial in trials}) == 20


def test_what_matters_is_told_by_the_trials_that_were_drawn_at_random(tmp_path):
    search = make_search(tmp_path, sampler="random-then-grid", trials=20, random_share=0.6)
    run(search)
    random = make_search(tmp_path / "random", sampler="random", trials=12)
    run(random)
    shares, alone = ([entry.importance for entry in found.record().parameters] for found in (search, random))
    assert [trial.settings for trial in search.trials()[:12]] == [trial.settings for trial in random.trials()]
    assert shares == pytest.approx(alone)  # those around the best would change them


def test_a_grid_has_its_own_length(tmp_path):
    search = make_search(tmp_path, sampler="grid")
    trials = run(search)
    assert {trial.phase for trial in trials} == {"grid"}
    assert len(trials) == search.record().n_trials == 6
    assert [trial.settings["kind"] for trial in trials] == ["good", ["bad", 1]] * 3


def test_trials_can_be_added_and_what_was_tried_is_not_tried_again(tmp_path):
    first = run(make_search(tmp_path, sampler="random", trials=4))
    more = run(make_search(tmp_path, sampler="random", trials=7))
    assert [trial.number for trial in more] == [4, 5, 6]
    assert not {trial.settings["x"] for trial in first} & {trial.settings["x"] for trial in more}


def test_a_budget_stops_the_search(tmp_path):
    search = make_search(tmp_path, sampler="random", trials=50, budget=3)
    assert len(run(search)) == 3
    assert search.is_over()


def test_no_trial_starts_once_the_study_has_no_time_left(tmp_path):
    search = make_search(tmp_path, sampler="random", trials=5)
    left = [True, True, False]
    assert len(run(search, may_start=lambda: left.pop(0))) == 2
    assert not search.is_over()


def test_an_interrupted_trial_goes_on_with_its_own_settings(tmp_path):
    seen = []

    def interrupted(turn):
        seen.append((turn.number, turn.settings, turn.phase))
        if len(seen) == 3:
            raise KeyboardInterrupt
        return evaluate(turn)

    with pytest.raises(KeyboardInterrupt):
        run(make_search(tmp_path, sampler="tpe", trials=5), interrupted)
    search = make_search(tmp_path, sampler="tpe", trials=5)
    assert [trial.state for trial in search.trials()] == ["complete", "complete", "running"]
    assert not search.is_over()
    run(search, interrupted)
    assert seen[3] == seen[2]
    assert [number for number, _, _ in seen] == [0, 1, 2, 2, 3, 4]


def test_failed_and_pruned_trials_keep_their_record(tmp_path):
    def sometimes(turn):
        if turn.number == 0:
            return TrialRecord(number=0, state="failed", settings=turn.settings, failure="the loss is no number")
        for epoch in range(1, 10):
            if turn.report(epoch, -turn.number):  # each trial is worse than those before it
                return TrialRecord(
                    number=turn.number, state="pruned", settings=turn.settings, score=-turn.number, epochs=epoch
                )
        return evaluate(turn)

    search = make_search(tmp_path, sampler="random", trials=8, pruner={"name": "median", "startup": 2, "warmup": 3})
    run(search, sometimes)
    trials = search.record().trials
    assert [trial.state for trial in trials] == ["failed", "complete", "complete", *["pruned"] * 5]
    assert trials[0].failure == "the loss is no number"
    assert {trial.epochs for trial in trials[3:]} == {4}  # the first epoch after the warm-up
    assert search.record().best in (1, 2)


def test_hyperband_prunes_too(tmp_path):
    def worse_and_worse(turn):
        for epoch in range(1, 10):
            if turn.report(epoch, -turn.number):
                return TrialRecord(number=turn.number, state="pruned", score=-turn.number)
        return evaluate(turn)

    search = make_search(tmp_path, sampler="random", trials=15, pruner="hyperband")
    run(search, worse_and_worse)
    assert 0 < search.record().count("pruned") < 15


def test_a_search_of_which_nothing_is_complete_has_no_best(tmp_path):
    search = make_search(tmp_path, sampler="random-then-grid", trials=5)
    run(search, lambda turn: TrialRecord(number=turn.number, state="failed", failure="no"))
    assert (search.record().best, search.record().settings, search.record().count("failed")) == (None, {}, 5)


@pytest.mark.parametrize("sampler", ["random-then-grid", "tpe"])
def test_two_on_one_storage_share_the_trials(tmp_path, sampler):
    tried: list[int] = []

    def slowly(turn):
        tried.append(turn.number)
        time.sleep(0.03)
        return evaluate(turn)

    searches = [make_search(tmp_path, sampler=sampler, trials=16) for _ in range(2)]
    threads = [threading.Thread(target=run, args=(search, slowly)) for search in searches]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(tried) == list(range(16))
    assert searches[0].record() == searches[1].record()


def test_a_trial_of_another_that_ends_between_two_looks_leaves_nothing_undone(tmp_path, monkeypatch):
    """The grid waits for the random trials: the last of them may end just after one more was asked for."""
    ours, theirs = (make_search(tmp_path, sampler="random-then-grid", trials=10) for _ in range(2))
    begun, may_end = threading.Event(), threading.Event()
    last = ours.task.n_random - 1

    def slow_at_last(turn):
        if turn.number == last:
            begun.set()
            may_end.wait(20)
        return evaluate(turn)

    def until_the_last():
        theirs.work(slow_at_last, lambda trial: None, lambda: not begun.is_set())

    thread = threading.Thread(target=until_the_last)
    thread.start()
    assert begun.wait(20)
    take = ours._take

    @contextlib.contextmanager
    def take_late(may_start):
        with take(may_start) as trial:
            if trial is None and not may_end.is_set():
                may_end.set()
                thread.join()
            yield trial

    monkeypatch.setattr(ours, "_take", take_late)
    run(ours)
    assert ours.is_over()
    assert ours.record().count("complete") == 10


def test_a_storage_of_ones_own_takes_any_url(tmp_path):
    url = f"sqlite:///{tmp_path / 'trials.db'}"
    search = make_search(tmp_path / "a", sampler="random", trials=3, storage=url)
    run(search)
    assert (tmp_path / "trials.db").exists()
    assert not list((tmp_path / "a").glob("*.log"))
    elsewhere = make_search(tmp_path / "b", sampler="random", trials=3, storage=url)
    assert elsewhere.record().trials == search.record().trials
    with pytest.raises(MistakeError, match=r"storage must be an Optuna storage URL .* Got 'nosuch://x'"):
        make_search(tmp_path, storage="nosuch://x")
    with pytest.raises(MistakeError, match="whose direction is maximize"):
        make_search(tmp_path / "a", higher=False, sampler="random", trials=3, storage=url)
