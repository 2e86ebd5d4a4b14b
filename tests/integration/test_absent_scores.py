"""Metrics that do not exist on a part: refused before training where they rank, left out where they stand beside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from etude import Study
from etude.core.errors import DataError, MistakeError
from etude.core.study_record import StudyRecord

STUDY = """
study: patients
data: {source: %s, positive: ill, split: {kind: stratified-group-kfold, folds: 5, validation: 0.2, seed: 0}}
prepare: {size_px: 8, normalize: half}
train: {epochs: 1, batch: 16}
baseline: majority
candidates: {majority: {model: majority}, mlp: {model: mlp}}
protocol: {metric: %s, also: %s}
report: {formats: []}
"""


@pytest.fixture(scope="module")
def patients(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve patients of six pictures each; three of them are ill, so that of five folds two have nobody who is."""
    folder = tmp_path_factory.mktemp("patients")
    rng = np.random.default_rng(0)
    lines = ["path,label,group"]
    for patient in range(12):
        for number in range(6):
            name = f"{patient}-{number}.png"
            Image.fromarray(rng.integers(0, 255, (8, 8, 3), np.uint8)).save(folder / name)
            lines.append(f"{name},{'ill' if patient < 3 else 'well'},patient {patient}")
    (folder / "pictures.csv").write_text("\n".join(lines) + "\n")
    return folder / "pictures.csv"


def test_what_would_not_exist_is_refused_before_anything_is_trained(patients: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"pictures of both classes for roc_auc\. Got 'pictures of"):
        Study.from_text(STUDY % (patients, "roc_auc", "[]")).run(tmp_path)
    assert not list(tmp_path.rglob("run.json"))


@pytest.mark.parametrize(("metric", "also"), [("roc_auc", "[]"), ("accuracy", "[average_precision]")])
def test_a_metric_of_two_classes_is_refused_for_more(tmp_path: Path, metric: str, also: str) -> None:
    text = (STUDY % ("shapes", metric, also)).replace("positive: ill, ", "")
    text = text.replace("kind: stratified-group-kfold, folds: 5, ", "")
    with pytest.raises(MistakeError, match="must be of two classes"):
        Study.from_text(text).run(tmp_path)


def test_beside_another_it_is_left_out_and_the_study_goes_on(patients: Path, tmp_path: Path) -> None:
    text = STUDY % (patients, "accuracy", "[roc_auc, f1_macro]")
    for _ in range(2):  # the second finds what the first has left
        Study.from_text(text).run(tmp_path)
    record = StudyRecord.load(tmp_path / "patients" / "study.json")
    assert [row.n_runs for row in record.leaderboard] == [5, 5]
    for row in record.leaderboard:
        assert row.score is not None
        assert set(row.also) == {"f1_macro"}
    assert len(record.verdicts) == 1
