"""A search from the study file to a candidate with a verdict; its trials never see the test part."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

import pytest

from etude import Study
from etude.core.errors import BudgetError, RuleError, StudyFileError
from etude.core.search_record import SearchRecord
from etude.core.study_record import StudyRecord
from etude.core.watch import Silent
from etude.report.markdown import write_markdown
from etude.report.note import write_note
from etude.study.folder import StudyFolder
from etude.study.run import preview_study
from etude.study.searching import Searching
from etude.study.workspace import Workspace
from etude.train import loop

TEXT = """
study: searched
data: {source: shapes, split: {train_items: 120}}
prepare: {size_px: 32, normalize: half}
train: {epochs: 3, batch: 32, precision: fp32, optimizer: {name: adamw, lr: 0.003}}
baseline: other
candidates:
  plain: {model: {name: mlp, widths: [16]}}
  other: {model: {name: mlp, widths: [8]}}
search:
  of: plain
  space:
    train.optimizer.name: {choice: [sgd, adamw]}
    train.optimizer.lr:
      - {log: [0.01, 0.5], when: {train.optimizer.name: sgd}}
      - {log: [0.0003, 0.03], when: {train.optimizer.name: adamw}}
    model.widths: {choice: [[16], [32]]}
  trials: 6
  pruner: none
protocol: {seeds: 2}
"""


def searching_of(text: str, results: Path, watch: Silent | None = None) -> Searching:
    config = Study.from_text(text).config
    workspace = Workspace(config, Path(), StudyFolder(results, config.study), "cpu", watch or Silent())
    return Searching(config, workspace, workspace.watch, time.monotonic())


@pytest.fixture
def trained(monkeypatch):
    """Names of the runs that were trained, in order."""
    labels: list[str] = []
    real = loop.fit

    def fit(job, folder, watch):
        labels.append(job.label)
        return real(job, folder, watch)

    monkeypatch.setattr(loop, "fit", fit)
    monkeypatch.setattr("etude.train.finish.fit", fit)
    return labels


def test_what_it_finds_is_trained_under_the_protocol_and_gets_its_verdicts(tmp_path, trained):
    plan = preview_study(Study.from_text(TEXT).config, Path(), tmp_path, Silent())
    assert [(search.n_trials, search.n_done) for search in plan.searches] == [(6, 0)]
    assert plan.seconds_left > sum(entry.run_seconds * entry.n_left for entry in plan.candidates)
    assert {ref.identity for ref in plan.runs if ref.candidate == "plain-searched"} == {""}

    record = Study.from_text(TEXT).run(tmp_path).record
    assert len([label for label in trained if "trial" in label]) == 6
    search = SearchRecord.load(tmp_path / "searched" / record.searches[0].records[0])
    assert (record.searches[0].n_complete, search.count("complete")) == (6, 6)
    assert all(trial.score is not None and len(trial.scores) == 3 for trial in search.trials)
    config = record.config["candidates"]["plain-searched"]
    assert config["train"]["optimizer"]["lr"] == search.settings["train.optimizer.lr"]
    assert config["train"]["optimizer"]["name"] == search.settings["train.optimizer.name"]
    verdicts = {(verdict.candidate, verdict.baseline): verdict for verdict in record.verdicts}
    assert set(verdicts) == {("plain", "other"), ("plain-searched", "other"), ("plain-searched", "plain")}
    assert record.verdict_on(record.searches[0]) == verdicts["plain-searched", "plain"]
    rows = {row.candidate: row for row in record.leaderboard}
    assert rows["plain-searched"].search_seconds == pytest.approx(search.seconds) != 0
    assert rows["plain"].search_seconds is None
    assert len(rows) == 3

    for language, told in (
        ("en", "6 trials (6 complete, 0 stopped early, 0 failed)"),
        ("fr", "6 essais (jusqu’au bout\N{NO-BREAK SPACE}: 6"),
    ):
        page = write_note(tmp_path / "searched", language).read_text()
        part = page[page.index('<section id="searches"') : page.index('<section id="curves"')]
        assert told in part
        assert all(field in part for field in search.settings)
        assert part.count("<svg") == 2 * 4  # history, settings side by side, slices, importance; each for two widths
        page, *figures = write_markdown(tmp_path / "searched", language, to=tmp_path / "kept")
        part = page.read_text("utf-8").partition({"en": "## Searches", "fr": "## Recherches"}[language])[2]
        part = part.partition("\n## ")[0]
        assert told in part
        assert all(field in part for field in search.settings)
        assert "`plain-searched`" in part  # the verdict against what was searched
        drawn = [f"search-0-{kind}.{language}.svg" for kind in ("history", "parallel", "importance")]
        assert {path.name for path in figures} >= set(drawn)
        assert all(f"({name})" in part for name in drawn)

    trained.clear()
    assert Study.from_text(TEXT).run(tmp_path).record.verdicts == record.verdicts
    assert trained == []
    plan = preview_study(Study.from_text(TEXT).config, Path(), tmp_path, Silent())
    assert (plan.searches[0].n_done, plan.seconds_left) == (6, 0)


def test_its_trials_never_open_the_test_part_and_leave_no_weights(tmp_path, monkeypatch):
    real = Workspace.parts

    def parts(self, *given):
        part = real(self, *given)

        def open_part(name):
            assert name != "test"
            return part(name)

        return open_part

    monkeypatch.setattr(Workspace, "parts", parts)
    found = searching_of(TEXT, tmp_path).run()
    folders = [tmp_path / "searched" / "runs" / trial.identity for trial in found.records[0].trials]
    assert {path.name for folder in folders for path in folder.iterdir()} == {".lock", "history.jsonl", "trial.json"}


def test_with_folds_each_has_a_search_of_its_own_inside_its_training_part(tmp_path, monkeypatch):
    text = TEXT.replace("{train_items: 120}", "{kind: kfold, folds: 3, train_items: 120}").replace(
        "seeds: 2", "seeds: 1"
    )
    opened: list[tuple[int, str]] = []
    real = Workspace.parts

    def parts(self, prepare, fold, *given):
        part = real(self, prepare, fold, *given)
        return lambda name: opened.append((fold, name)) or part(name)

    monkeypatch.setattr(Workspace, "parts", parts)
    searching_of(text.replace("trials: 6", "trials: 3"), tmp_path).run()
    assert {name for _, name in opened} == {"train", "validation"}
    assert {fold for fold, _ in opened} == {0, 1, 2}
    monkeypatch.undo()

    record = Study.from_text(text.replace("trials: 6", "trials: 3")).run(tmp_path).record
    assert record.searches[0].n_trials == 9
    searches = [SearchRecord.load(tmp_path / "searched" / path) for path in record.searches[0].records]
    assert [search.fold for search in searches] == [0, 1, 2]
    for search in searches:
        ref = next(ref for ref in record.runs if (ref.candidate, ref.fold) == ("plain-searched", search.fold))
        run = json.loads((tmp_path / "searched" / "runs" / ref.identity / "run.json").read_text())
        assert run["config"]["train"]["optimizer"]["lr"] == search.settings["train.optimizer.lr"]
        assert run["config"]["model"]["widths"] == search.settings["model.widths"]


class Stop(Silent):
    """Interrupts a training in the middle of a trial."""

    def __init__(self, after: int) -> None:
        self.left = after

    def epoch_done(self, epoch):
        self.left -= 1
        if self.left == 0:
            raise KeyboardInterrupt


def test_an_interrupted_trial_goes_on_from_its_last_epoch(tmp_path, monkeypatch):
    monkeypatch.setattr("etude.train.loop._SAVE_SHARE", 1e9)  # after every epoch
    whole = searching_of(TEXT, tmp_path / "whole").run().records[0]
    with pytest.raises(KeyboardInterrupt):
        searching_of(TEXT, tmp_path / "cut", Stop(5)).run()
    started: list[int] = []
    watch = Silent()
    watch.run_started = lambda label, position, of, epochs, steps, done: started.append(done)  # type: ignore[method-assign]
    resumed = searching_of(TEXT, tmp_path / "cut", watch).run().records[0]
    assert started[0] == 2 * 3  # two epochs of three steps were done
    assert set(started[1:]) == {0}
    assert len(started) == 6 - 1
    assert [(t.settings, t.score, t.scores) for t in resumed.trials] == [
        (t.settings, t.score, t.scores) for t in whole.trials
    ]


def test_the_same_training_is_never_made_twice(tmp_path, trained):
    text = TEXT.replace("choice: [sgd, adamw]", "choice: [adamw, adamw]").replace(
        "log: [0.0003, 0.03]", "choice: [0.003]"
    )
    found = searching_of(text, tmp_path).run().records[0]
    assert len(trained) == 2 < len(found.trials)
    assert [trial.is_reused for trial in found.trials].count(False) == 2
    assert found.seconds == sum(trial.seconds for trial in found.trials if not trial.is_reused)
    more = searching_of(text.replace("sampler: random", "sampler: tpe"), tmp_path).run().records[0]
    assert len(trained) == 2
    assert more.best_score == found.best_score


def test_a_run_of_the_study_is_taken_for_the_trial_that_it_is(tmp_path, trained):
    text = TEXT.replace("seeds: 2", "seeds: [1000]").replace("trials: 6", "trials: 3, seed: 7").replace(
        "train.optimizer.name: {choice: [sgd, adamw]}", "train.optimizer.name: {choice: [adamw]}"
    )  # fmt: skip
    start = text.index("search:"), text.index("protocol:")
    Study.from_text(text[: start[0]] + text[start[1] :]).run(tmp_path)
    trained.clear()
    same = TEXT.replace("choice: [sgd, adamw]", "choice: [adamw]").replace("log: [0.0003, 0.03]", "choice: [0.003]")
    same = same.replace("choice: [[16], [32]]", "choice: [[16]]")
    trial = searching_of(same.replace("trials: 6", "trials: 1"), tmp_path).run().records[0].trials[0]
    assert (trained, trial.is_reused, trial.seconds, len(trial.scores)) == ([], True, 0.0, 3)


def test_two_processes_share_the_trials_of_a_search(tmp_path):
    record = Study.from_text(TEXT).run(tmp_path, processes=2).record
    search = SearchRecord.load(tmp_path / "searched" / record.searches[0].records[0])
    assert [trial.state for trial in search.trials] == ["complete"] * 6
    assert all(ref.status == "finished" for ref in record.runs)


def test_a_second_call_takes_part_in_the_search_and_shows_the_same(tmp_path):
    started = threading.Event()

    class Slow(Silent):
        def run_started(self, *_):
            started.set()
            time.sleep(0.1)

    said: list[str] = []
    helper = Silent()
    helper.said = said.append  # type: ignore[method-assign]
    records: list[StudyRecord] = []
    first = threading.Thread(target=lambda: records.append(Study.from_text(TEXT).run(tmp_path, watch=Slow()).record))
    first.start()
    started.wait(60)
    records.append(Study.from_text(TEXT).run(tmp_path, watch=helper).record)
    first.join()
    assert said[0] == "searched: another process runs it; this one takes part in its search"
    assert records[0].verdicts == records[1].verdicts
    assert [trial.count("complete") for trial in
            (SearchRecord.load(tmp_path / "searched" / "search" / "plain-searched.json"),)] == [6]  # fmt: skip


def test_trials_that_fail_are_told_and_one_that_does_not_is_enough(tmp_path):
    text = TEXT.replace("{log: [0.01, 0.5], when", "{choice: [1.0e+30], when")
    found = searching_of(text, tmp_path / "some").run().records[0]
    assert 0 < found.count("failed") < 6
    assert all("no longer a number" in trial.failure for trial in found.trials if trial.state == "failed")
    with pytest.raises(RuleError, match=r"all 6 trials of plain-searched ended without a score. train: the loss"):
        searching_of(text.replace("[sgd, adamw]", "[sgd]"), tmp_path / "all").run()


def test_the_budget_of_the_study_counts_its_trials(tmp_path):
    with pytest.raises(BudgetError, match=r"0 of 6 trials of plain-searched"):
        Study.from_text(TEXT.replace("seeds: 2", "seeds: 2, budget: 0.001")).run(tmp_path)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (("of: plain", "of: plan"), "line 11: search.of: there is no candidate 'plan'. Did you mean 'plain'?"),
        (("model.widths:", "model.width:"), "line 17: .*width"),
        (("model.widths:", "train.epoch:"), "line 17: search.space: 'train.epoch' is not a field .* 'epochs'"),
        (("model.widths:", "data.split.train_items:"), "line 17: .*trials are compared on the same pictures"),
        (("log: [0.01, 0.5]", "log: [-1, 0.5]"), "log must start above 0"),
        (("choice: [sgd, adamw]", "choice: [sgd, adam]"), "line 13: .*'adam'"),
        (("seeds: 2", "seeds: [1000, 1]"), "search.seed must be none of the protocol's seeds"),
        (("trials: 6", "trials: 6, sampler: grid"), "at least the 12 points of the grid"),
        (("other: {model", "plain-searched: {augment: flip, model"), "'plain-searched' is there already"),
    ],
)
def test_mistakes_are_told_with_their_line(change, told):
    text = TEXT.replace(*change)
    if "sampler: grid" in text:
        text = text.replace("  trials: 6, sampler: grid\n", "  trials: 6\n  sampler: grid\n")
    if "plain-searched: {aug" in text:
        text = text.replace("baseline: other", "baseline: plain")
    with pytest.raises(StudyFileError, match=told):
        Study.from_text(text)
