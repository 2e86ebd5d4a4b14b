"""Ablations from the file to verdicts with a correction of their own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from etude import Study
from etude.core.errors import DataError
from etude.core.run_record import RunRecord
from etude.core.study_record import StudyRecord
from etude.metrics.statistics import holm
from etude.report.note import write_note

ABLATED = """
study: ablated
data: {source: shapes, split: {train_items: 160}}
prepare: {size_px: 32, normalize: half}
train: {epochs: 1, batch: 32, precision: fp32, optimizer: {name: adamw, lr: 0.003}}
candidates:
  majority: {model: majority}
  plain: {model: {name: mlp, widths: [16]}}
ablations:
  - {of: plain, vary: augment.use, over: [flip, shift, noise], combine: [each, all, all-but-each]}
  - {of: plain, vary: data.split.train_items, over: [60, 160, 240]}
protocol: {seeds: 2}
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("results")
    Study.from_text(ABLATED).run(results)
    return results / "ablated"


def test_verdicts_are_grouped_with_a_baseline_and_a_correction_of_their_own(finished: Path) -> None:
    record = StudyRecord.load(finished / "study.json")
    groups = {
        name: [v for v in record.verdicts if v.group == name] for name in ("", *(g.name for g in record.ablations))
    }
    assert {name: [v.candidate for v in verdicts] for name, verdicts in groups.items()} == {
        "": ["majority"],
        "plain: augment.use": ["plain+flip", "plain+shift", "plain+noise", "plain+all"],
        "plain+all: augment.use": ["plain+all-but-flip", "plain+all-but-shift", "plain+all-but-noise"],
        "plain: data.split.train_items": ["plain data.split.train_items=60", "plain data.split.train_items=240"],
    }
    for name, verdicts in groups.items():
        assert {v.baseline for v in verdicts} == {"plain+all" if name.startswith("plain+all") else "plain"}
        assert [v.p_adjusted for v in verdicts] == pytest.approx(holm([v.p for v in verdicts]))
    assert len(record.leaderboard) == len(record.config["candidates"]) == 11


def test_training_parts_are_nested_and_validation_and_test_the_same(finished: Path) -> None:
    runs = {}
    for path in finished.glob("runs/*/run.json"):
        record = RunRecord.load(path)
        table = pq.read_table(path.with_name("predictions.parquet"), columns=["item", "part"]).to_pylist()
        runs[record.candidate] = (record.n_train, [(row["item"], str(row["part"])) for row in table])
    assert {runs[name][0] for name in ("plain", "plain+flip")} == {160}
    assert runs["plain data.split.train_items=60"][0] == 60
    assert runs["plain data.split.train_items=240"][0] == 240
    assert all(parts == runs["plain"][1] for _, parts in runs.values())
    train = {}
    for name in ("split.60", "split", "split.240"):
        table = pq.read_table(finished / f"{name}.parquet")
        is_train = np.array(table.column("part").to_pylist()) == "train"
        train[name] = set(np.array(table.column("item").to_pylist())[is_train].tolist())
    assert train["split.60"] < train["split"] < train["split.240"]


def test_a_value_that_the_candidate_has_trains_nothing_more(finished: Path) -> None:
    assert len(list(finished.glob("runs/*"))) == 11 * 2
    assert not (finished / "split.160.parquet").exists()


def test_more_pictures_than_there_are_stop_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data.split.train_items must be between .* Got 99999"):
        Study.from_text(ABLATED.replace("240", "99999")).run(tmp_path)
    assert not list(tmp_path.glob("ablated/runs/*"))


@pytest.mark.parametrize(
    ("language", "title", "told"),
    [
        ("en", "plain+all with one augmentation left out", "With one augmentation of {} left out, "),
        ("fr", "plain+all sans l’une de ses augmentations", "Une seule augmentation de {} retirée, "),
    ],
)
def test_the_note_has_a_section_for_each_ablation(finished: Path, language: str, title: str, told: str) -> None:
    text = write_note(finished, language).read_text()
    assert text.count('class="ablation"') == 3
    assert f"<h3>{title}</h3>" in text
    assert told.format('<b class="name">plain+all</b>') in text
    assert '<b class="name">+all-but-flip</b>' in text


def test_a_finished_study_of_an_earlier_version_gets_the_new_group_and_trains_nothing(finished: Path) -> None:
    record = StudyRecord.load(finished / "study.json")
    before = {path: path.stat().st_mtime_ns for path in finished.glob("runs/*/run.json")}
    earlier = [verdict for verdict in record.verdicts if verdict.baseline == "plain"]
    groups = [group for group in record.ablations if not group.all_of]
    record.model_copy(update={"verdicts": tuple(earlier), "ablations": tuple(groups)}).save(finished / "study.json")
    again = Study.from_text(ABLATED).run(finished.parent).record
    assert {path: path.stat().st_mtime_ns for path in finished.glob("runs/*/run.json")} == before
    assert again.verdicts == record.verdicts
