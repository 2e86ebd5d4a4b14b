"""Generated pictures as further training data: from the run's own training part alone, compared in pairs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from etude import Study
from etude.core.errors import DataError, MistakeError, StudyFileError
from etude.core.run_record import RunRecord
from etude.core.study_record import StudyRecord
from etude.core.watch import Silent
from etude.core.words import Part
from etude.data.split import read_split
from etude.study.folder import StudyFolder
from etude.study.jobs import make_job
from etude.study.plan import plan_runs
from etude.study.resolve import resolve_candidates
from etude.study.workspace import Workspace
from etude.train.state import load_tensors

STUDY = """
study: helped
data: {source: shapes, classes: [disc, square], split: {kind: kfold, folds: 2, validation: 0.1, train_items: 24}}
prepare: {size_px: 16}
train: {steps: 4, batch: 8, precision: fp32}
baseline: plain
candidates:
  plain: {model: {name: cnn, widths: [4]}, augment: [flip]}
  helped:
    extends: plain
    data:
      generated:
        pictures: 5
        size_px: 8
        model: {name: dcgan, width: 4, latent: 8}
        train: {steps: 2, batch: 4, precision: fp32, adversarial: {look_every: 2, collapse: 0}}
protocol: {seeds: 1}
"""


@pytest.fixture(scope="module")
def seen() -> list[tuple[int | None, str, np.ndarray]]:
    """What each generator was trained on: fold, class, positions of its photographs."""
    return []


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, seen: list) -> Path:
    from etude.train import adversarial, generation

    assert generation.fit_generator is adversarial.fit_generator  # both are loaded before one is replaced

    honest = adversarial.fit_generator

    def watched(job, folder, watch):
        seen.append((job.fold, job.classes[0], job.parts("train").indices_N))
        for name in ("validation", "test"):
            with pytest.raises(DataError, match="on the training part alone"):
                job.parts(name)
        return honest(job, folder, watch)

    results = tmp_path_factory.mktemp("results")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adversarial, "fit_generator", watched)
        Study.from_text(STUDY).run(results)
    return results / "helped"


def opened(text: str, folder: Path) -> Workspace:
    return Workspace(Study.from_text(text).config, Path(), StudyFolder.of(folder), "cpu", Silent())


def test_a_generator_sees_no_picture_that_is_held_out_in_its_fold(finished: Path, seen: list) -> None:
    workspace = opened(STUDY, finished)
    items = workspace.source.items
    splits = read_split(finished / "split.parquet", items)
    assert sorted((fold, name) for fold, name, _ in seen) == [
        (0, "disc"), (0, "square"), (1, "disc"), (1, "square")
    ]  # fmt: skip
    for fold, name, indices_N in seen:
        label = workspace.source.classes.index(name)
        expected = np.flatnonzero((splits[fold] == Part.TRAIN) & (items.labels == label))
        np.testing.assert_array_equal(np.sort(indices_N), expected)
        held_out = np.flatnonzero((splits[fold] == Part.TEST) | (splits[fold] == Part.VALIDATION))
        assert not np.isin(indices_N, held_out).any()


def test_the_verdict_is_paired_and_the_cost_is_that_of_both(finished: Path) -> None:
    record = StudyRecord.load(finished / "study.json")
    verdict = record.verdicts[0]
    assert (verdict.baseline, verdict.candidate, verdict.n_pairs) == ("plain", "helped", 2)
    assert verdict.method == "corrected resampled t"
    runs = [RunRecord.load(path) for path in finished.glob("runs/*/run.json")]
    assert {run.n_train for run in runs} == {24}  # photographs
    assert {run.steps for run in runs} == {4}
    generators = [json.loads(load_tensors(path)[1])["seconds"] for path in finished.glob("generated/*/*.safetensors")]
    assert len(generators) == 4
    assert sum(run.cost.seconds for run in runs if run.candidate == "helped") > sum(generators) > 0
    samples = list(finished.glob("generated/*/samples/final.png"))
    assert len(samples) == 4
    assert not list(finished.glob("generated/*/state"))


def test_the_training_part_alone_gets_them_and_they_are_pictures_of_their_class(finished: Path) -> None:
    from etude.train.generated import training_part

    workspace = opened(STUDY, finished)
    candidates = resolve_candidates(workspace.study)
    order = next(order for order in plan_runs(workspace.study, workspace, candidates) if order.candidate == "helped")
    job = make_job(workspace, candidates["helped"], order)
    whole, photographs = training_part(job), job.parts("train")
    assert len(whole) == len(photographs) + 10
    np.testing.assert_array_equal(whole.pictures_NHWC[: len(photographs)], photographs.pictures_NHWC)
    np.testing.assert_array_equal(whole.labels_N[len(photographs) :], [0] * 5 + [1] * 5)
    assert (whole.indices_N[len(photographs) :] == -1).all()
    assert whole.pictures_NHWC[len(photographs) :].std() > 0


def test_a_generator_that_collapsed_is_told_by_the_run_that_trained_on_its_pictures(
    tmp_path: Path, monkeypatch
) -> None:
    from etude.train import adversarial

    monkeypatch.setattr(adversarial, "passed_collapse_note", lambda history, steps: "The generator collapsed.")
    Study.from_text(STUDY.replace("folds: 2", "folds: 2, seed: 3")).run(tmp_path)
    by_name = {(run.candidate, run.fold): run for run in map(RunRecord.load, tmp_path.glob("helped/runs/*/run.json"))}
    assert len(by_name) == 4
    for (candidate, fold), run in by_name.items():
        told = [note for note in run.notes if "collapsed" in note]
        wanted = [f"helped, generator of {name}, seed 0, fold {fold}: The generator collapsed." for name in run.classes]
        assert told == (wanted if candidate == "helped" else [])


def test_nothing_is_trained_again_and_other_candidates_keep_their_runs(finished: Path, seen: list) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.rglob("*.safetensors")}
    Study.from_text(STUDY).run(finished.parent)
    assert {path: path.stat().st_mtime_ns for path in finished.rglob("*.safetensors")} == before
    alone = STUDY[: STUDY.index("  helped:")] + "protocol: {seeds: 1}\n"
    workspace = opened(alone, finished)
    plain = {order.identity for order in plan_runs(workspace.study, workspace, resolve_candidates(workspace.study))}
    assert plain <= {path.parent.name for path in finished.glob("runs/*/run.json")}


def test_what_cannot_go_together_is_told_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(MistakeError, match="Did you mean 'square'"):
        Study.from_text(STUDY.replace("pictures: 5", "pictures: 5\n        of: [sqare]")).run(tmp_path)
    assert not list(tmp_path.rglob("run.json"))
    for old, new, told in (
        ("augment: [flip]", "augment: {use: [flip], copies: 3}", "augment.copies"),
        ("{name: dcgan, width: 4, latent: 8}", "mlp", "data.generated"),
        ("train: {steps: 2,", "train: {budget: 5min,", "train.budget must be left out"),
    ):
        with pytest.raises(StudyFileError, match=told):
            Study.from_text(STUDY.replace(old, new))


@pytest.mark.parametrize(
    ("language", "told"), [("en", "5 generated pictures of: disc"), ("fr", "5 images générées de : ")]
)
def test_reports_say_what_was_learnt_from_beside_photographs(finished: Path, language: str, told: str) -> None:
    from etude.report.candidates import list_candidates
    from etude.report.reading import read_results
    from etude.report.training_told import tabulate_training

    study, words = read_results(finished, language)
    listed = dict(list_candidates(study, words, {}, str))
    assert told in listed["helped"].replace("\xa0", " ")
    assert told not in listed["plain"].replace("\xa0", " ")
    counted = {row[0].text: row[3].sort for row in tabulate_training(study, words).rows}
    assert counted == {"plain": 24, "helped": 34}
