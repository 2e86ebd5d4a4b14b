"""Offline multiplication: the training part of each fold, and nothing else, is there several times."""

from pathlib import Path

import numpy as np
import pytest

from etude import Study
from etude.core.errors import StudyFileError
from etude.core.watch import Silent
from etude.data.cache import PreparedCache
from etude.study.folder import StudyFolder
from etude.study.jobs import make_job
from etude.study.plan import plan_runs
from etude.study.resolve import resolve_candidates
from etude.study.workspace import Workspace
from etude.train.copies import multiply
from etude.train.loaders import training_loader

TEXT = """
study: copies
data: {source: shapes, split: {kind: stratified-group-kfold, folds: 3, train_items: 60}}
prepare: {size_px: 16}
train: {epochs: 2, batch: 16}
candidates:
  plain: {model: {name: cnn, widths: [4]}, augment: none}
  copied: {model: {name: cnn, widths: [4]}, augment: {use: [flip, shift, color, cutout], copies: 4}}
protocol: {seeds: 1}
"""


def jobs_of(tmp_path: Path, candidate: str, seed_of_split: int = 0):
    text = TEXT.replace("stratified-group-kfold", "kfold").replace("folds: 3", f"folds: 3, seed: {seed_of_split}")
    config = Study.from_text(text).config
    workspace = Workspace(config, tmp_path, StudyFolder(tmp_path, "copies"), "cpu", Silent())
    candidates = resolve_candidates(config)
    orders = [order for order in plan_runs(config, workspace, candidates) if order.candidate == candidate]
    return [make_job(workspace, candidates[candidate], order, (1, 1)) for order in orders]


def test_copies_are_of_training_pictures_alone_in_every_fold(tmp_path):
    jobs = jobs_of(tmp_path, "copied")
    assert len(jobs) == 3
    for job in jobs:
        made = multiply(job, job.parts("train"))
        held_out = np.concatenate([job.parts("validation").indices_N, job.parts("test").indices_N])
        assert not np.isin(made.indices_N, held_out).any()
        assert sorted(made.indices_N.tolist()) == sorted(4 * job.parts("train").indices_N.tolist())
        # Not by its number alone: no copy shows a held-out picture.
        shown = {picture.tobytes() for picture in made.pictures_NHWC}
        others = [*job.parts("validation").pictures_NHWC, *job.parts("test").pictures_NHWC]
        assert not any(picture.tobytes() in shown for picture in others)


def test_the_first_are_the_pictures_themselves_and_each_copy_is_another(tmp_path):
    (job, *_) = jobs_of(tmp_path, "copied")
    train_set = job.parts("train")
    made = multiply(job, train_set)
    count = len(train_set.labels_N)
    np.testing.assert_array_equal(made.pictures_NHWC[:count], train_set.pictures_NHWC)
    np.testing.assert_array_equal(made.labels_N, np.tile(train_set.labels_N, 4))
    assert len({picture.tobytes() for picture in made.pictures_NHWC}) > 0.95 * 4 * count
    # A copy resembles its own picture more than the mean picture does.
    near = np.abs(made.pictures_NHWC[count : 2 * count].astype(int) - train_set.pictures_NHWC.astype(int)).mean()
    far = np.abs(made.pictures_NHWC[count : 2 * count].astype(int) - np.roll(train_set.pictures_NHWC, 1, 0)).mean()
    assert near < far


def test_nothing_is_drawn_while_training_and_copies_are_kept(tmp_path, monkeypatch):
    (job, *_) = jobs_of(tmp_path, "copied")
    made = multiply(job, job.parts("train"))
    loader = training_loader(job, job.parts("train"))
    assert len(loader) == len(made.labels_N) // 16
    assert any(entry.pictures == len(made.labels_N) for entry in PreparedCache().entries())
    monkeypatch.setattr("etude.train.copies._draw", None)  # they are found, not drawn anew
    again = multiply(job, job.parts("train"))
    np.testing.assert_array_equal(again.pictures_NHWC, made.pictures_NHWC)


def test_copies_that_cannot_be_kept_are_made_for_the_run_alone(tmp_path, monkeypatch):
    (job, *_) = jobs_of(tmp_path, "copied")
    kept = multiply(job, job.parts("train"))
    monkeypatch.setenv("ETUDE_CACHE", str(tmp_path / "other"))
    PreparedCache().folder.mkdir(parents=True)
    PreparedCache().set_limit(0)
    np.testing.assert_array_equal(multiply(job, job.parts("train")).pictures_NHWC, kept.pictures_NHWC)


def test_a_study_with_copies_trains_longer_epochs(tmp_path):
    result = Study.from_text(TEXT.replace("stratified-group-kfold, folds: 3", "random")).run(tmp_path)
    steps = {record.candidate: record.steps for record in StudyFolder.of(result.folder).finished()}
    assert steps["copied"] > 3.5 * steps["plain"]


@pytest.mark.parametrize(
    ("given", "told"),
    [("{use: [mixup], copies: 3}", "without mixing"), ("{use: [flip], copies: 1}", "0, or 2 or more")],
)
def test_copies_that_make_no_sense_are_refused(given, told):
    with pytest.raises(StudyFileError, match=told):
        Study.from_text(TEXT.replace("{use: [flip, shift, color, cutout], copies: 4}", given))
