"""Cross-validation from the file to merged out-of-fold predictions."""

from __future__ import annotations

import csv
import shutil
import statistics
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from etude import Study
from etude.core.run_record import RunRecord
from etude.core.study_record import StudyRecord
from etude.core.words import Part
from etude.evaluate.predictions import Predictions
from etude.explain.records import ErrorsRecord
from etude.metrics.statistics import t_interval
from etude.pictures.prepare import prepare_picture
from etude.pictures.prepare_config import Prepare
from etude.study.folder import StudyFolder

FOLDED = """
study: folded
data: {source: pets.csv, on_leak: allow, split: {kind: kfold, folds: 3, repeats: 2, validation: 0.2}}
prepare: {size_px: 8, normalize: half}
train: {epochs: 2, batch: 8, precision: fp32, optimizer: {name: adamw, lr: 0.003}}
baseline: majority
candidates:
  majority: {model: majority}
  my net: {model: {name: mlp, widths: [8]}}
protocol: {seeds: 1}
"""


def draw(folder: Path) -> Path:
    """24 cats and 24 dogs of 12 owners, four pictures each."""
    rng = np.random.default_rng(0)
    lines = ["path,label,group"]
    for number in range(48):
        label = "cat" if number % 2 else "dog"
        pixels = rng.integers(0, 240, (12, 12, 3), dtype=np.uint8)
        pixels[:, :, number % 2] += 12
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
        lines.append(f"{number:02}.png,{label},owner{number // 4}")
    (folder / "pets.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = draw(tmp_path_factory.mktemp("pets"))
    Study.from_text(FOLDED, base=folder).run(folder / "results")
    return folder / "results/folded"


def test_errors_are_looked_for_among_the_pictures_of_all_folds(finished: Path) -> None:
    from etude.core.watch import Silent
    from etude.study.explaining import explain_run

    record = StudyRecord.load(finished / "study.json")
    (ref,) = [ref for ref in record.runs if ref.candidate == "my net" and ref.fold == 4]
    target = explain_run(StudyFolder.of(finished), ref.identity, finished.parents[1], Silent(), parts=("errors",))
    errors = ErrorsRecord.load(target / "errors.json")
    assert (errors.n_runs, errors.n_folds) == (2, 3)
    assert sum(entry.n for entry in errors.classes) == 48, "each picture was held out of one fold of each deal"
    # What is said of a picture is what the networks said that it was held out of.
    of_picture: dict[str, list[tuple[int, float]]] = {}
    for own in (ref for ref in record.runs if ref.candidate == "my net"):
        answers = Predictions.read(finished / "runs" / own.identity / "predictions.parquet", Part.TEST)
        for row, item in enumerate(answers.ids.tolist()):
            of_picture.setdefault(item, []).append((own.fold, float(answers.probabilities[row, answers.truth[row]])))
    for entry in errors.hardest:
        said = of_picture[entry.picture.item]
        assert entry.of_truth == pytest.approx(statistics.fmean(probability for _, probability in said), abs=1e-6)
    assert errors.confident
    for picture in errors.confident:
        (of_truth,) = [probability for fold, probability in of_picture[picture.item] if fold >= 3]  # the second deal
        assert 1 - of_truth == pytest.approx(picture.probability, abs=1e-6)
    arrays = np.load(target / "errors.npz")
    drawn = prepare_picture(finished.parents[1] / errors.hardest[0].picture.item, Prepare(size_px=8))
    assert np.array_equal(arrays["hardest"][0], drawn)


def test_a_deal_of_which_answers_are_gone_is_left_out_and_that_of_the_explained_run_is_looked_at_alone(
    finished: Path, tmp_path: Path
) -> None:
    from etude.core.watch import Silent
    from etude.study.held_out import read_held_out
    from etude.study.opened import OpenedRun

    folder = StudyFolder.of(shutil.copytree(finished, tmp_path / "results" / "folded"))
    record = folder.load_study()
    refs = {ref.fold: ref for ref in record.runs if ref.candidate == "my net"}

    def looked_at(fold: int) -> tuple[int, int]:
        found = read_held_out(OpenedRun(folder, record, refs[fold], finished.parents[1], Silent(), "cpu"))
        assert found.probabilities_RNK.shape[:2] == (len(found.probabilities_RNK), len(found.ids_N))
        return len(found.probabilities_RNK), found.n_folds

    assert looked_at(4) == (2, 3)
    (folder.run(refs[1].identity) / "predictions.parquet").unlink()
    assert looked_at(4) == (1, 3), "the first deal is not whole"
    assert looked_at(0) == (1, 1), "its own deal is not whole: its fold alone"


def test_every_fold_of_every_repeat_is_a_run(finished: Path) -> None:
    record = StudyRecord.load(finished / "study.json")
    assert [ref.fold for ref in record.runs if ref.candidate == "majority"] == [0, 1, 2, 3, 4, 5]
    assert len({ref.identity for ref in record.runs}) == 12
    (verdict,) = record.verdicts
    assert verdict.method in ("corrected resampled t", "paired bootstrap")
    assert verdict.n_pairs == 6


def test_mean_and_deviation_over_folds_stand_in_the_leaderboard(finished: Path) -> None:
    rows = {row["candidate"]: row for row in csv.DictReader((finished / "leaderboard.csv").open())}
    runs = [RunRecord.load(path) for path in finished.glob("runs/*/run.json")]
    scores = [run.test["accuracy"] for run in runs if run.candidate == "my net"]
    row = rows["my net"]
    assert float(row["score"]) == pytest.approx(statistics.fmean(scores))
    assert float(row["deviation"]) == pytest.approx(statistics.stdev(scores))
    plain = t_interval(scores)
    assert plain is not None
    assert float(row["interval_runs_high"]) > plain.high, "folds share training pictures: the interval is wider"


def test_out_of_fold_predictions_are_merged_and_agree_with_the_scores(finished: Path) -> None:
    assert sorted(path.name for path in finished.glob("oof/*")) == ["majority.parquet", "my_net.parquet"]
    rows = pq.read_table(finished / "oof/my_net.parquet").to_pylist()
    for repeat in (0, 1):
        items = [row["item"] for row in rows if row["fold"] // 3 == repeat]
        assert len(items) == len(set(items)) == 48, "each picture is held out once a repeat"
    for path in finished.glob("runs/*/run.json"):
        run = RunRecord.load(path)
        if run.candidate == "my net":
            own = [row for row in rows if row["fold"] == run.fold]
            right = [int(np.argmax(row["probabilities"])) == row["truth"] for row in own]
            assert statistics.fmean(right) == pytest.approx(run.test["accuracy"])


def test_no_group_is_on_both_sides_of_a_fold(tmp_path: Path) -> None:
    folder = draw(tmp_path)
    sets = ["data.split={kind: stratified-group-kfold, folds: 3}", "protocol.seeds=2", "candidates.majority.model=mlp"]
    record = Study.from_text(FOLDED, base=folder, sets=[*sets, "train.epochs=1"]).run(folder / "results").record
    assert len(record.runs) == 2 * 3 * 2
    table = pq.read_table(folder / "results/folded/split.parquet").to_pylist()
    for fold in range(3):
        parts: dict[str, set[str]] = {}
        for row in table:
            if row["fold"] == fold:
                parts.setdefault(row["group"], set()).add(str(row["part"]))
        assert all(len(found) == 1 for found in parts.values())
    rows = pq.read_table(folder / "results/folded/oof/my_net.parquet").to_pylist()
    assert len(rows) == 48 * 2
    assert {(row["seed"], row["item"]) for row in rows} == {(seed, f"{n:02}.png") for seed in (0, 1) for n in range(48)}


def test_of_masks_each_picture_keeps_its_counts_while_it_was_held_out(tmp_path: Path) -> None:
    text = """
    study: folded
    task: segmentation
    data: {source: streets, on_leak: allow, split: {kind: kfold, folds: 2, train_items: 30, validation: 0.2}}
    prepare: {size_px: [24, 32]}
    candidates: {majority: {model: majority}}
    protocol: {seeds: 1, also: [pixel_accuracy, boundary_f1]}
    """
    folder = Study.from_text(text).run(tmp_path).folder
    record = StudyRecord.load(folder / "study.json")
    rows = pq.read_table(folder / "oof/majority.parquet").to_pylist()
    assert len({row["item"] for row in rows}) == len(rows) > 0
    side = len(record.classes)
    for ref in record.runs:
        run = RunRecord.load(folder / "runs" / ref.identity / "run.json")
        own = [row for row in rows if row["fold"] == ref.fold]
        whole = np.sum([row["confusion"] for row in own], 0).reshape(side, side)
        assert pixel_accuracy(whole) == pytest.approx(run.test["pixel_accuracy"])
        assert {len(row["boundary"]) for row in own} == {4 * side}
    assert {row["fold"] for row in rows} == {0, 1}


def pixel_accuracy(confusion: np.ndarray) -> float:
    return float(np.trace(confusion) / confusion.sum())
