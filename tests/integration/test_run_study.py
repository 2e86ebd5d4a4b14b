"""Whole tiny studies, from the file to the leaderboard."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

from etude import Study
from etude.core.errors import BudgetError, RuleError, StudyFileError
from etude.core.run_record import RunRecord
from etude.core.study_record import StudyRecord

TINY = """
study: tiny
question: Does it run?
data: {source: shapes, split: {train_items: 160, validation: 0.1}}
prepare: {size_px: 32, normalize: half}
train: {epochs: 2, batch: 32, optimizer: {name: adamw, lr: 0.003}, precision: fp32}
baseline: cnn
candidates:
  majority: {model: majority}
  cnn: {model: {name: cnn, widths: [8, 16]}}
  cnn-augmented: {extends: cnn, augment: [flip, shift]}
protocol: {seeds: 2, metric: accuracy, also: [f1_macro]}
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("results")
    Study.from_text(TINY).run(results)
    return results / "tiny"


def test_it_leaves_every_record(finished: Path) -> None:
    record = StudyRecord.load(finished / "study.json")
    assert [ref.status for ref in record.runs] == ["finished"] * 6
    assert {row.candidate for row in record.leaderboard} == {"majority", "cnn", "cnn-augmented"}
    assert all(row.n_runs == 2 for row in record.leaderboard)
    assert {verdict.candidate for verdict in record.verdicts} == {"majority", "cnn-augmented"}
    for ref in record.runs:
        folder = finished / "runs" / ref.identity
        assert {path.name for path in folder.iterdir()} >= {"run.json", "predictions.parquet", "model.safetensors"}
        assert not (folder / "state").exists()
    assert (finished / "split.parquet").exists()
    assert json.loads((finished / "resolved.json").read_text())["candidates"]["cnn"]["train"]["epochs"] == 2


def test_the_leaderboard_has_scores_intervals_and_costs(finished: Path) -> None:
    rows = {row["candidate"]: row for row in csv.DictReader((finished / "leaderboard.csv").open())}
    for row in rows.values():
        assert float(row["interval_pictures_low"]) <= float(row["score"]) <= float(row["interval_pictures_high"])
        assert float(row["params"]) >= 0
        assert float(row["memory_mb"]) > 0
    assert float(rows["cnn"]["macs"]) > 0
    assert float(rows["cnn"]["images_per_s"]) > 0
    assert rows["majority"]["interval_runs_low"] == rows["majority"]["score"]  # every seed answers the same


def test_scores_agree_with_the_stored_predictions(finished: Path) -> None:
    import numpy as np
    import pyarrow.parquet as pq
    from sklearn.metrics import accuracy_score

    for path in finished.glob("runs/*/run.json"):
        record = RunRecord.load(path)
        table = pq.read_table(path.with_name("predictions.parquet")).to_pylist()
        for part, scores in (("validation", record.validation), ("test", record.test)):
            rows = [row for row in table if row["part"] == part]
            answers = np.argmax([row["probabilities"] for row in rows], axis=1)
            assert scores["accuracy"] == pytest.approx(accuracy_score([row["truth"] for row in rows], answers))


def test_a_second_call_trains_nothing(finished: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.glob("runs/*/*")}
    Study.from_text(TINY).run(finished.parent)
    assert {path: path.stat().st_mtime_ns for path in finished.glob("runs/*/*")} == before


def test_what_others_published_comes_and_goes_without_training(finished: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.glob("runs/*/*")}
    entry = {"name": "LeNet", "metric": "accuracy", "value": 0.9, "measured_on": "other shapes", "source": "LeCun"}
    for published in ([entry], [entry | {"value": [0.8, 0.9]}], []):
        given = f"report.published={json.dumps(published)}"
        record = Study.from_text(TINY, sets=[given]).run(finished.parent).record
        assert [value.model_dump(exclude_defaults=True) for value in record.published] == [
            value | {"value": value["value"] if value["value"] == 0.9 else (0.8, 0.9)} for value in published
        ]
        assert StudyRecord.load(finished / "study.json") == record
        assert {path: path.stat().st_mtime_ns for path in finished.glob("runs/*/*")} == before


def test_more_seeds_train_only_the_new_ones(finished: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.glob("runs/*/run.json")}
    result = Study.from_text(TINY, sets=["protocol.seeds=3"]).run(finished.parent)
    after = {path: path.stat().st_mtime_ns for path in finished.glob("runs/*/run.json")}
    assert len(after) == len(before) + 3
    assert before.items() <= after.items()
    assert all(row.n_runs == 3 for row in result.leaderboard())


def test_the_same_seed_gives_the_same_run(finished: Path, tmp_path: Path) -> None:
    Study.from_text(TINY).run(tmp_path)
    for path in sorted((tmp_path / "tiny" / "runs").glob("*/model.safetensors")):
        assert path.read_bytes() == (finished / "runs" / path.parent.name / path.name).read_bytes()


def test_a_candidate_of_another_name_is_the_same_run(tmp_path: Path) -> None:
    Study.from_text(TINY).run(tmp_path)
    renamed = TINY.replace("  cnn:", "  small:").replace("extends: cnn", "extends: small").replace(
        "baseline: cnn", "baseline: small"
    )  # fmt: skip
    before = len(list(tmp_path.glob("tiny/runs/*")))
    result = Study.from_text(renamed).run(tmp_path)
    assert len(list(tmp_path.glob("tiny/runs/*"))) == before
    assert "small" in {row.candidate for row in result.leaderboard()}


def test_a_diverging_run_is_told_and_the_others_are_kept(tmp_path: Path) -> None:
    text = TINY + "  wild: {}\n"
    text = TINY.replace("protocol:", "  wild: {extends: cnn, train: {optimizer: {name: sgd, lr: 1.0e+30}}}\nprotocol:")
    with pytest.raises(RuleError, match=r"2 of 8 runs failed.*no longer a number.*Lower train.optimizer.lr"):
        Study.from_text(text).run(tmp_path)
    record = StudyRecord.load(tmp_path / "tiny" / "study.json")
    assert sum(ref.status == "finished" for ref in record.runs) == 6
    assert [row.failed != () for row in record.leaderboard if row.candidate == "wild"] == [True]


def test_a_spent_budget_stops_with_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(BudgetError, match="the budget is spent with 5 of 6 runs left"):
        Study.from_text(TINY, sets=["protocol.budget=0.000001s"]).run(tmp_path) if _first_run(tmp_path) else None


def _first_run(results: Path) -> bool:
    """Train one run first, so that the leaderboard of the stopped study has something to show."""
    only = TINY.replace("  cnn-augmented: {extends: cnn, augment: [flip, shift]}\n", "").replace(
        "  majority: {model: majority}\n", ""
    )
    Study.from_text(only, sets=["protocol.seeds=1"]).run(results)
    return True


def test_mistakes_are_reported_together() -> None:
    with pytest.raises(StudyFileError) as caught:
        Study.from_text("train: {epohs: 3}\nprotocol: {metric: acuracy}\ncandidates: {a: {model: cn}}\n")
    told = str(caught.value)
    assert "line 1: train.epohs is not a field. Did you mean 'epochs' or 'steps'?" in told
    assert "line 2: protocol.metric" in told
    assert "'accuracy'" in told
    assert "line 3: candidates.a.model: model: unknown name 'cn'" in told
