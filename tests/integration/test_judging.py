"""Generated pictures before the best detector of another study."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from etude import Study
from etude.core.errors import MistakeError, StudyFileError
from etude.core.judgement_record import JudgementRecord
from etude.core.study_record import StudyRecord

DETECTOR = """
study: detector
data: {source: SOURCE, positive: red, on_leak: allow, split: {kind: kfold, folds: 2, validation: 0.1}}
prepare: {size_px: 24, normalize: half}
train: {steps: 12, batch: 16, precision: fp32, optimizer: {name: adamw, lr: 0.01}}
candidates: {cnn: {model: {name: cnn, widths: [8, 16]}}}
protocol: {seeds: 1, metric: balanced_accuracy, threshold: f1}
"""
GENERATORS = """
study: drawn
task: generation
data: {source: SOURCE, classes: [red, green], on_leak: allow, split: {validation: 0.1, test: 0.2}}
prepare: {size_px: 16}
train: {steps: 2, batch: 4, precision: fp32, adversarial: {look_every: 2, collapse: 0}}
candidates:
  dcgan: {model: {name: dcgan, width: 4, latent: 8}}
  conditional: {model: {name: dcgan, width: 4, latent: 8, conditional: true}}
  large: {model: {name: dcgan, width: 4, latent: 8}, prepare: {size_px: 32}}
protocol: {seeds: 1, generation: {pictures: 40, features: pixels, judge: detector}}
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("judging")
    rng = np.random.default_rng(0)
    for channel, name in enumerate(("red", "green", "blue")):
        (folder / "photos" / name).mkdir(parents=True)
        for number in range(24):
            pixels = rng.integers(0, 120, (40, 40, 3), dtype=np.uint8)
            pixels[:, :, channel] += 100
            Image.fromarray(pixels).save(folder / "photos" / name / f"{number:03}.png")
    Study.from_text(at(DETECTOR, folder)).run(folder)
    Study.from_text(at(GENERATORS, folder)).run(folder)
    return folder


def at(text: str, results: Path) -> str:
    return text.replace("SOURCE", str(results / "photos"))


def test_generated_pictures_stand_beside_photographs_that_were_held_out(results: Path) -> None:
    record = JudgementRecord.load(results / "drawn/judgement.json")
    judged_by = StudyRecord.load(results / "detector/study.json")
    assert (record.study, record.candidate, record.networks) == ("detector", "cnn", 2)
    assert record.score == judged_by.leaderboard[0].score
    assert {row.target for row in record.pictures} == {"red"}
    assert [(row.kind, row.candidate, row.size_px) for row in record.pictures if row.kind != "generated"] == [
        ("real", "", 16), ("other", "", 16), ("real", "", 32), ("other", "", 32)
    ]  # fmt: skip
    rows = {(row.kind, row.candidate, row.label): row for row in record.pictures}
    assert set(rows) == {
        ("generated", "dcgan", ""), ("generated", "conditional", "red"), ("generated", "conditional", "green"),
        ("generated", "large", ""), ("real", "", ""), ("other", "", ""),
    }  # fmt: skip
    assert rows["generated", "dcgan", ""].n == 40
    assert rows["generated", "conditional", "red"].n + rows["generated", "conditional", "green"].n == 40
    for row in record.pictures:
        assert row.size_px == (32 if row.candidate == "large" else 16) or row.kind != "generated"
        assert row.called_interval.high - row.called_interval.low > 0.01  # also where none or all is called so
        assert 0 <= row.called_interval.low <= row.called <= row.called_interval.high <= 1
        assert 0 <= row.confidence_interval.low <= row.confidence <= row.confidence_interval.high <= 1
    assert rows["real", "", ""].n + rows["other", "", ""].n == sum(judged_by.n_pictures.values())


def test_photographs_are_answered_by_the_networks_that_held_them_out(results: Path, monkeypatch) -> None:
    """With photographs at the detector's own size the shares are those of its own test part."""
    from etude.core.watch import Silent
    from etude.core.words import Part
    from etude.evaluate.predictions import Predictions
    from etude.pictures.prepare_config import Prepare
    from etude.study.folder import StudyFolder
    from etude.study.judging import Bench, _final_refs
    from etude.study.workspace import Workspace

    folder = StudyFolder(results, "detector")
    record = folder.load_study()
    asked_by = Workspace(
        Study.from_text(at(GENERATORS, results)).config, Path(), StudyFolder(results, "drawn"), "cpu", Silent()
    )
    bench = Bench.open(folder, record, _final_refs(record), asked_by)
    told = {row.kind: row for row in bench.judge_photographs("red", Prepare(size_px=24, normalize="half"))}
    kept = [Predictions.read(folder.run(ref.identity) / "predictions.parquet", Part.TEST) for ref in record.runs]
    labels, truth = (np.concatenate([getattr(part, name) for part in kept]) for name in ("labels", "truth"))
    assert told["real"].n == (truth == 1).sum()
    assert told["real"].called == pytest.approx((labels[truth == 1] == 1).mean(), abs=1e-6)
    assert told["other"].called == pytest.approx((labels[truth == 0] == 1).mean(), abs=1e-6)


def test_no_run_is_trained_anew_for_a_judge_and_the_same_are_not_judged_twice(results: Path) -> None:
    runs = {path: path.stat().st_mtime_ns for path in results.glob("drawn/runs/*/run.json")}
    judged = results / "drawn/judgement.json"
    before = judged.stat().st_mtime_ns
    Study.from_text(at(GENERATORS, results).replace(", judge: detector", "")).run(results)
    Study.from_text(at(GENERATORS, results)).run(results)
    assert {path: path.stat().st_mtime_ns for path in results.glob("drawn/runs/*/run.json")} == runs
    assert judged.stat().st_mtime_ns == before


def test_a_judge_whose_weights_are_gone_is_refused_before_generators_are_trained(results: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(results, tmp_path / "results")
    gone = min(copied.glob("detector/runs/*/model.safetensors"))
    gone.unlink()
    Study.from_text(at(GENERATORS, copied)).run(copied)  # nothing is left to train, and it was judged
    more = at(GENERATORS, copied).replace("seeds: 1, generation", "seeds: 2, generation")
    with pytest.raises(MistakeError, match=f"whose final runs have their weights.*{gone.parent.name}"):
        Study.from_text(more).run(copied)
    assert len(list(copied.glob("drawn/runs/*/run.json"))) == 3


def test_the_note_tells_of_it_in_both_languages(results: Path) -> None:
    from etude.report.note import write_note

    english, french = (write_note(results / "drawn", language).read_text("utf-8") for language in ("en", "fr"))
    assert "What a detector sees in generated pictures" in english
    assert "green, generated by conditional, 16 px" in english
    assert "photographs of that class, 32 px" in english
    assert "brought to 16 and 32 px first" in english
    assert "photographies de cette classe" in french


def test_a_judge_that_cannot_answer_is_told_before_anything_is_trained(results: Path, tmp_path: Path) -> None:
    for judge, told in (("nobody", "there is no such study"), (str(results / "drawn"), "one class a picture")):
        with pytest.raises(MistakeError, match=told):
            Study.from_text(at(GENERATORS, results).replace("judge: detector", f"judge: {judge}")).run(tmp_path)
    other = (
        at(GENERATORS, results)
        .replace("judge: detector", f"judge: {results / 'detector'}")
        .replace("red, green", "green")
    )
    with pytest.raises(MistakeError, match="knows one of green"):
        Study.from_text(other).run(tmp_path)
    assert not list(tmp_path.rglob("run.json"))
    with pytest.raises(StudyFileError, match=r"generation\.judge must be left out"):
        Study.from_text(DETECTOR.replace("seeds: 1,", "seeds: 1, generation: {judge: x},"))
