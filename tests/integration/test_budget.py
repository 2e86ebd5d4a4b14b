"""`train.steps` and `train.budget`: lengths that are no whole number of epochs."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import ClassVar

import pytest

from etude import Study
from etude.core.errors import MistakeError, StudyFileError
from etude.core.run_record import RunRecord
from etude.core.watch import Silent
from etude.explain.records import LayersRecord
from etude.study.explaining import explain_run
from etude.study.folder import StudyFolder
from etude.study.opened import OpenedRun, Wishes
from etude.study.parse import parse_study
from etude.train.state import Progress

TIMED = """
study: timed
data: {source: shapes, split: {train_items: 160}}
prepare: {size_px: 16, normalize: half}
train: {budget: 0.2s, batch: 32, precision: fp32, optimizer: {name: adamw, lr: 0.003}}
candidates:
  plain: {model: {name: mlp, widths: [8]}}
  fixed: {extends: plain, train: {budget: null, steps: 13}}
ablations: [{of: plain, vary: augment.use, over: [flip]}]
protocol: {seeds: 1}
"""

GENERATORS = """
study: timed
task: generation
data: {source: shapes, classes: [disc], split: {kind: kfold, folds: 2, validation: 0, train_items: 24}}
prepare: {size_px: 16}
train: {budget: 12s, batch: 4, precision: fp32, adversarial: {look_every: 4, collapse: 0}}
candidates:
  dcgan: {model: {name: dcgan, width: 4, latent: 8}}
  fastgan: {model: {name: fastgan, width: 4, latent: 8}}
  penalised: {extends: dcgan, train: {adversarial: {r1: 1, r1_every: 4}}}
protocol: {seeds: 1, generation: {pictures: 20, features: pixels}}
"""


def records(results: Path) -> dict[str, RunRecord]:
    found = [RunRecord.load(path) for path in results.glob("timed/runs/*/run.json")]
    return {record.candidate: record for record in found}


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("results")
    Study.from_text(TIMED).run(results)
    return results


def test_steps_are_made_exactly_and_may_end_within_an_epoch(finished: Path) -> None:
    fixed = records(finished)["fixed"]
    assert (fixed.steps, fixed.epochs) == (13, 3)
    history = [json.loads(line) for line in (finished / "timed/runs" / fixed.identity / "history.jsonl").open()]
    assert [line["step"] for line in history] == [5, 10, 13]


def test_a_budget_becomes_once_a_number_of_steps(finished: Path) -> None:
    written = json.loads((finished / "timed/budgets.json").read_text())
    steps = {entry["candidate"]: entry["steps"] for entry in written.values()}
    assert set(steps) == {"plain", "plain+flip"}
    assert {name: records(finished)[name].steps for name in steps} == steps
    assert all(records(finished)[name].config["train"]["steps"] == steps[name] for name in steps)
    before = sorted(path.name for path in finished.glob("timed/runs/*"))
    Study.from_text(TIMED).run(finished)
    assert json.loads((finished / "timed/budgets.json").read_text()) == written
    assert sorted(path.name for path in finished.glob("timed/runs/*")) == before


@pytest.mark.parametrize("candidate", ["plain", "plain+flip", "fixed"])
def test_a_run_within_a_budget_is_explained_with_the_steps_that_it_made(finished: Path, candidate: str) -> None:
    record = records(finished)[candidate]
    folder = StudyFolder(finished, "timed")
    target = explain_run(folder, record.identity, finished, Silent(), parts=("layers",), wishes=Wishes(most_seconds=0))
    assert LayersRecord.load(target / "layers.json").rows
    ref = next(ref for ref in folder.load_study().runs if ref.identity == record.identity)
    opened = OpenedRun(folder, folder.load_study(), ref, finished, Silent(), "cpu")
    assert opened.job.train.steps == record.steps


def test_another_study_of_that_name_is_told_by_what_differs(finished: Path) -> None:
    """A budget stands in the records with the steps that it came to: they are read all the same."""
    other = TIMED.replace("lr: 0.003", "lr: 0.01").replace("widths: [8]", "widths: [9]")
    with pytest.raises(MistakeError, match=r"train\.optimizer\.lr \(0\.003 there, 0\.01 here\)") as refused:
        Study.from_text(other, origin="other.yaml").run(finished)
    assert "does not know" not in str(refused.value)


def test_the_steps_and_not_the_machine_enter_the_identity(finished: Path, tmp_path: Path) -> None:
    steps = records(finished)["plain"].steps
    fixed = TIMED.replace("budget: 0.2s", f"steps: {steps}").replace("budget: null, steps: 13", "steps: 13")
    Study.from_text(fixed).run(tmp_path)
    assert records(tmp_path)["plain"].identity == records(finished)["plain"].identity
    assert records(tmp_path)["fixed"].identity == records(finished)["fixed"].identity


class Clock:
    """A clock that only goes on where a step or a look of a generator's training is made."""

    STEP_S: ClassVar = {"dcgan": 0.2, "fastgan": 0.5, "penalised": 0.2}
    PENALTY_S = 0.4
    LOOK_S = 0.5

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


def test_generators_of_all_rungs_and_folds_stop_within_the_same_budget(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from etude.train.adversarial import Duel

    clock, step, save = Clock(), Duel.step, Duel.save

    def stepping(duel: Duel, number: int) -> None:
        step(duel, number)
        penalty = duel.config.adversarial
        is_penalised = penalty.r1 > 0 and number % penalty.r1_every == 0
        clock.now += clock.STEP_S[duel.job.candidate] + clock.PENALTY_S * is_penalised

    def saving(duel: Duel, path: Path, progress: Progress) -> None:
        save(duel, path, progress)
        clock.now += clock.LOOK_S

    monkeypatch.setattr(Duel, "step", stepping)
    monkeypatch.setattr(Duel, "save", saving)
    monkeypatch.setattr("etude.train.adversarial.time", clock)
    monkeypatch.setattr("etude.train.adversarial_measure.time", clock)
    Study.from_text(GENERATORS).run(tmp_path)

    written = json.loads((tmp_path / "timed/budgets.json").read_text())
    steps = {entry["candidate"]: entry["steps"] for entry in written.values()}
    # A step, a quarter of a look and, of the penalised one, a quarter of a penalty: 0.325 s, 0.625 s and 0.425 s.
    assert steps == {"dcgan": 36, "fastgan": 19, "penalised": 28}
    assert {entry["budget_s"] for entry in written.values()} == {12}
    runs = [RunRecord.load(path) for path in tmp_path.glob("timed/runs/*/run.json")]
    assert sorted((run.candidate, run.fold) for run in runs) == [(name, fold) for name in steps for fold in (0, 1)]
    for run in runs:
        assert (run.config["train"]["budget"], run.config["train"]["steps"]) == (12, steps[run.candidate])
        assert (run.steps, run.stopped) == (steps[run.candidate], "complete")
        step_s = clock.STEP_S[run.candidate]
        assert 12 - step_s - clock.LOOK_S < run.cost.seconds <= 12 + 1e-6


def test_a_candidate_as_fast_as_the_one_it_extends_trains_as_many_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from etude.study import timing
    from etude.study.resolve import resolve_candidates
    from etude.study.workspace import Workspace
    from etude.train.measure import TrainingTime

    step_s = {"plain": 0.002, "alike": 0.00205, "slower": 0.0025, "other": 0.00205}
    more = """
  alike: {extends: plain, augment: [flip]}
  slower: {extends: plain, augment: [shift]}
  other: {model: {name: mlp, widths: [9]}}
"""
    study = parse_study(re.sub(r"\nablations: .*\n", more, TIMED))
    monkeypatch.setattr(timing.Timings, "measured", lambda _, of: TrainingTime(1.0, 10, step_s[of.name], 0.0, 0.0, 10))
    workspace = Workspace(study, tmp_path, StudyFolder(tmp_path, "timed"), "cpu", Silent())
    resolved = timing.resolve_budgets(resolve_candidates(study), workspace, [])
    steps = {name: candidate.train.steps for name, candidate in resolved.items()}
    assert steps == {"plain": 100, "alike": 100, "slower": 80, "other": 97, "fixed": 13}


def test_variants_as_fast_as_what_they_vary_train_as_many_steps(tmp_path: Path) -> None:
    from etude.study.resolve import resolve_candidate
    from etude.study.timing import _find_steps
    from etude.train.measure import TrainingTime

    study = parse_study(TIMED)
    of = resolve_candidate(study, "plain")
    of = type(of)(**{**of.__dict__, "train": of.train.model_copy(update={"steps": 100})})

    class Fixed:
        def __init__(self, step_s: float) -> None:
            self.step_s = step_s

        def measured(self, candidate: object) -> TrainingTime:
            return TrainingTime(1.0, 10, self.step_s, 0.0, 0.0, 10)

        def keep(self, candidate: object, time: TrainingTime) -> None:
            return None

    variant = resolve_candidate(study, "plain+flip")
    assert _find_steps(variant, 0.2, Fixed(0.00205), of)["steps"] == 100  # type: ignore[arg-type]
    assert _find_steps(variant, 0.2, Fixed(0.0025), of)["steps"] == 80  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("train: {steps: 10, budget: 5min}", "steps must be left out where budget is given"),
        ("train: {budget: soon}", "line 1: train.budget: must be a duration such as 90s, 60min or 4h"),
        ("train: {steps: 5}\nfinetune: gradual\nmodel: cnn", "line 1: cnn: train.steps must go with another finetune than gradual."),
        ("candidates:\n  a: {model: cnn, finetune: head, train: {budget: 1min}}", "line 2: a: train.budget must go with another finetune than head."),
    ],
)  # fmt: skip
def test_a_mistake_says_what_is_meant(text: str, told: str) -> None:
    with pytest.raises(StudyFileError) as caught:
        parse_study(text)
    assert any(told in line for line in caught.value.problems), caught.value.problems
