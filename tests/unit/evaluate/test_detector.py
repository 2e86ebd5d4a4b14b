"""What is chosen on validation changes what is answered on test, and is written beside it."""

from __future__ import annotations

import json

import numpy as np
import pytest
from pydantic import ValidationError

from etude import Study
from etude.core.errors import MistakeError
from etude.core.run_record import RunRecord
from etude.core.words import Part
from etude.evaluate.detector import Adjustment, ThresholdConfig, choose_adjustment
from etude.evaluate.predictions import Predictions


def answers(part: Part, seed: int, n_classes: int = 2) -> Predictions:
    rng = np.random.default_rng(seed)
    truth = np.arange(120) % n_classes
    logits = rng.normal(0, 1, (120, n_classes))
    logits[np.arange(120), truth] += 1.5
    weights = np.exp(3 * logits)
    return Predictions(
        np.arange(120).astype(str), part, truth, (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    )


def test_nothing_asked_nothing_changed():
    given = answers(Part.TEST, 0)
    assert choose_adjustment(answers(Part.VALIDATION, 1), None, calibrate=False).apply(given) is given


def test_a_temperature_calibrates_and_keeps_the_answers():
    adjustment = choose_adjustment(answers(Part.VALIDATION, 1, 3), None, calibrate=True)
    before, after = answers(Part.TEST, 0, 3), adjustment.apply(answers(Part.TEST, 0, 3))
    assert adjustment.temperature > 1.5
    assert after.score("log_loss") < before.score("log_loss")
    assert after.score("ece") < before.score("ece")
    assert (after.labels == before.labels).all()


def test_the_threshold_is_chosen_at_the_temperature():
    rule = ThresholdConfig(recall=0.95)
    both = choose_adjustment(answers(Part.VALIDATION, 1), rule, calibrate=True)
    validation = both.apply(answers(Part.VALIDATION, 1))
    assert validation.labels[validation.truth == 1].mean() >= 0.95
    assert both.apply(answers(Part.TEST, 0)).threshold == both.threshold
    alone = choose_adjustment(answers(Part.VALIDATION, 1), rule, calibrate=False)
    assert (alone.apply(answers(Part.TEST, 0)).labels == both.apply(answers(Part.TEST, 0)).labels).all()


@pytest.mark.parametrize("given", [{}, {"recall": 0.9, "f1": True}, {"recall": 1.5}, {"cost": {"false_positive": 0}}])
def test_a_rule_is_one_rule(given):
    with pytest.raises(ValidationError):
        ThresholdConfig.model_validate(given)


def test_three_classes_have_no_threshold():
    with pytest.raises(MistakeError, match=r"number of classes for a threshold must be 2\. Got 3.*data\.positive"):
        choose_adjustment(answers(Part.VALIDATION, 0, 3), ThresholdConfig(f1=True), calibrate=False)


def test_nothing_to_choose_from():
    none = Predictions(np.array([], str), Part.VALIDATION, np.zeros(0, int), np.zeros((0, 2), np.float32))
    with pytest.raises(MistakeError, match=r"validation part must be of at least 1 picture.*data\.split\.validation"):
        choose_adjustment(none, None, calibrate=True)
    assert Adjustment().apply(none) is none


STUDY = """
study: detector
data: {source: shapes, positive: disc, split: {train_items: 96, validation: 0.2}}
prepare: {size_px: 16, normalize: half}
train: {epochs: 1, batch: 32, precision: fp32}
candidates: {cnn: {model: {name: cnn, widths: [4, 8]}}}
protocol: {also: [balanced_accuracy, average_precision], THRESHOLD}
"""


def test_a_study_records_what_was_chosen(tmp_path):
    asked = "threshold: {recall: 0.9}, calibrate: true"
    Study.from_text(STUDY.replace("THRESHOLD", asked)).run(tmp_path)
    (path,) = tmp_path.glob("detector/runs/*/run.json")
    record = RunRecord.load(path)
    assert 0 < record.threshold < 1
    assert record.temperature > 0
    kept = Predictions.read(path.with_name("predictions.parquet"), Part.TEST)
    assert kept.threshold == record.threshold
    assert kept.score("balanced_accuracy") == pytest.approx(record.test["balanced_accuracy"])
    validation = Predictions.read(path.with_name("predictions.parquet"), Part.VALIDATION)
    assert validation.labels[validation.truth == 1].mean() >= 0.9
    assert json.loads(path.read_text())["config"]["protocol"]["threshold"]["recall"] == 0.9


def test_what_is_asked_is_part_of_the_identity(tmp_path):
    from etude.core.watch import Silent
    from etude.study.folder import StudyFolder
    from etude.study.plan import run_identity
    from etude.study.resolve import resolve_candidates
    from etude.study.workspace import Workspace

    asked = ["calibrate: false", "calibrate: true", "threshold: f1", "threshold: {recall: 0.9}"]
    found = set()
    for number, text in enumerate(asked):
        study = Study.from_text(STUDY.replace("THRESHOLD", text)).config
        workspace = Workspace(study, tmp_path, StudyFolder(tmp_path, str(number)), "cpu", Silent())
        found.add(run_identity(workspace, resolve_candidates(study)["cnn"], 0, None))
    assert len(found) == 4
