"""What is looked at to explain a run."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from etude.core.errors import MistakeError
from etude.core.watch import Silent
from etude.data.prepared import PreparedSet
from etude.explain.records import LayerRow, LayersRecord
from etude.study import explaining
from etude.study.explaining import choose_run, explain_candidates, explain_layers, find_handed_over
from etude.study.opened import Wishes, mixed


def sorted_by_class(*counts: int) -> PreparedSet:
    """Give a set as a source of folders has it: all of one class, then all of the next."""
    labels_N = np.repeat(np.arange(len(counts)), counts)
    pictures_NHWC = np.broadcast_to(labels_N[:, None, None, None], (len(labels_N), 4, 4, 3)).astype(np.uint8)
    return PreparedSet(pictures_NHWC, labels_N, None, np.arange(len(labels_N)))


def test_the_first_pictures_of_a_set_that_is_sorted_by_class_are_of_all_classes():
    chosen = mixed(sorted_by_class(100, 50, 50), 120)
    labels_N = np.repeat(np.arange(3), (100, 50, 50))[chosen]
    assert len(set(chosen.tolist())) == 120
    for first in (40, 80, 120):
        assert np.abs(np.bincount(labels_N[:first]) / first - [0.5, 0.25, 0.25]).max() < 0.05
    assert len(mixed(sorted_by_class(3, 2), 64)) == 5
    assert np.array_equal(mixed(sorted_by_class(30, 20), 64), mixed(sorted_by_class(30, 20), 64))


ROW = LayerRow(
    name="head", kind="head", type="Linear", input_shape=(1,), output_shape=(1,), params=1, trained=1, macs=1
)


@pytest.mark.parametrize("has_validation", [True, False])
def test_layers_are_measured_on_pictures_of_all_classes(monkeypatch, tmp_path, has_validation):
    prepared, seen = sorted_by_class(*[200] * 6), []

    def describe(_network, images, **options):
        seen.append((images, options))
        return LayersRecord(network="net", size_px=(4, 4), rows=(ROW,), params=1, macs=1)

    monkeypatch.setattr("etude.explain.layers.describe_layers", describe)
    opened = SimpleNamespace(
        part=lambda *names: prepared if has_validation or len(names) > 1 else sorted_by_class(),
        images=lambda held, chosen: held.pictures_NHWC[chosen][:, 0, 0, 0],
        network=None,
        network_name="net",
        record=SimpleNamespace(metric="accuracy", higher_is_better=True),
        workspace=SimpleNamespace(item_ids=lambda places: places.astype(str), groups=None),
        job=SimpleNamespace(execution=SimpleNamespace(words=lambda: ""), classes=tuple("abcdef")),
        member=None,
    )
    explain_layers(opened, tmp_path, Wishes())
    ((classes_N, _),) = seen
    assert np.bincount(classes_N[:64], minlength=6).min() >= 9
    assert LayersRecord.load(tmp_path / "layers.json").of_training is not has_validation


def study_of(*identities: str) -> SimpleNamespace:
    runs = tuple(
        SimpleNamespace(identity=identity, candidate="cnn", seed=seed, status="finished")
        for seed, identity in enumerate(identities)
    )
    return SimpleNamespace(name="breeds", task="classification", runs=runs, leaderboard=())


def test_a_beginning_that_several_runs_share_is_refused_with_their_names():
    study = study_of("ab12", "ab34", "cd56")
    with pytest.raises(MistakeError, match=r"one run's name.*'ab'.*ab12 \(cnn, seed 0\), ab34 \(cnn, seed 1\)"):
        choose_run(study, "ab")
    assert choose_run(study, "ab3").identity == "ab34"
    assert choose_run(study_of("ab", "ab34"), "ab").identity == "ab"  # a whole name is no beginning


def test_what_is_explained_is_what_is_exported(monkeypatch):
    record = study_of("a0", "b1", "c2")
    record.task, record.metric, record.higher_is_better = "classification", "accuracy", True
    row = SimpleNamespace(candidate="cnn", score=0.5, validation_score=0.5)
    record.leaderboard, record.config = (row,), {"candidates": {}}
    scores = {"a0": 0.7, "b1": 0.9, "c2": 0.8}
    folder = SimpleNamespace(
        load_run=lambda name: SimpleNamespace(identity=name, candidate="cnn", validation={"accuracy": scores[name]})
    )
    assert find_handed_over(folder, record).identity == "b1"
    scores["c2"] = 0.95
    assert find_handed_over(folder, record).identity == "c2"


def test_where_no_candidate_has_a_score_that_is_said_and_all_can_still_be_explained(monkeypatch):
    record = study_of("a0", "b1")
    record.metric, record.higher_is_better, record.config = "roc_auc", True, {"candidates": {}}
    record.leaderboard = (SimpleNamespace(candidate="cnn", score=None, validation_score=None),)
    folder = SimpleNamespace(load_run=lambda _name: None, load_study=lambda: record)
    with pytest.raises(MistakeError, match="no candidate has a score, so none is handed over"):
        find_handed_over(folder, record)
    seen = []
    monkeypatch.setattr(explaining, "explain_run", lambda _folder, identity, *_given, **_options: seen.append(identity))
    explain_candidates(folder, Path(), Silent())
    assert seen == ["a0"]
    record.runs = ()
    with pytest.raises(MistakeError, match="no run is finished"):
        explain_candidates(folder, Path(), Silent())
