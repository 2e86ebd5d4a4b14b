"""A study of generators from its file to the note: trained, measured against held-out pictures, told."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image

from etude import Study
from etude.core.errors import DataError, StudyFileError
from etude.core.generation_record import GenerationRecord
from etude.core.run_record import RunRecord
from etude.core.study_record import StudyRecord
from etude.core.words import Part
from etude.evaluate.generated import GeneratedFeatures
from etude.study.parse import parse_study

STUDY = """
study: drawn
task: generation
data: {source: shapes, classes: [disc, square], split: {train_items: 24, validation: 0.1}}
prepare: {size_px: 16}
train: {steps: 4, batch: 4, precision: fp32, adversarial: {look_every: 2, collapse: 0}}
baseline: dcgan
candidates:
  dcgan: {model: {name: dcgan, width: 4, latent: 8}, train: {loss: non-saturating, average: none}}
  conditional:
    model: {name: fastgan, width: 4, latent: 8, conditional: true}
    train: {adversarial: {augment: [color, translation, cutout], r1: 1, r1_every: 2}}
protocol: {seeds: 1, generation: {pictures: 40, features: pixels}}
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("results")
    Study.from_text(STUDY).run(results)
    return results / "drawn"


def runs(folder: Path) -> dict[str, tuple[Path, RunRecord]]:
    found = ((path.parent, RunRecord.load(path)) for path in folder.glob("runs/*/run.json"))
    return {record.candidate: (path, record) for path, record in found}


def test_it_is_ranked_by_kid_the_lowest_first(finished: Path) -> None:
    record = StudyRecord.load(finished / "study.json")
    assert record.metric == "kid"
    assert record.higher_is_better is False
    scores = [row.score for row in record.leaderboard]
    assert scores == sorted(scores)
    assert all(row.interval_pictures.low <= row.interval_pictures.high for row in record.leaderboard)
    assert {"fid", "density", "coverage", "diversity", "near_copies"} == set(record.leaderboard[0].also)
    assert [verdict.candidate for verdict in record.verdicts] == ["conditional"]
    by_name = {row.candidate: row.score for row in record.leaderboard}
    ratio = record.verdicts[0].ratio
    assert ratio.value == pytest.approx(by_name["conditional"] / by_name["dcgan"], rel=1e-3)
    assert ratio.interval.low < ratio.value < ratio.interval.high


def test_every_run_leaves_what_a_person_wants_to_see(finished: Path) -> None:
    for folder, run in runs(finished).values():
        names = {path.name for path in (folder / "samples").iterdir()}
        assert names == {"step-000002.png", "step-000004.png", "final.png", "nearest.png", "interpolation.gif"}
        assert run.steps == 4
        assert not (folder / "state").exists()
        lines = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
        assert [line["step"] for line in lines] == [2, 4]
        assert all(line["adversarial"]["discriminator_gradient"] > 0 for line in lines)
        told = "Generated picture, no photograph."
        assert Image.open(folder / "samples" / "final.png").text["Description"].startswith(told)
        with Image.open(folder / "samples" / "interpolation.gif") as film:
            assert film.is_animated
            assert film.info["comment"].decode().startswith(told)


def test_the_measures_come_with_intervals_and_trivial_generators(finished: Path) -> None:
    for folder, run in runs(finished).values():
        record = GenerationRecord.load(folder / "generation.json")
        assert record.features == "pixels"
        assert not record.comparable
        assert record.n_generated == 40
        by_name = {measure.name: measure for measure in record.measures}
        assert by_name["kid"].value == run.test["kid"]
        assert by_name["kid"].interval.low < by_name["kid"].interval.high
        trivial = {one.name: one.scores for one in record.trivial}
        assert set(trivial) == {"training", "blurred", "noise"}
        assert trivial["training"]["near_copies"] == 1.0
        assert trivial["training"]["kid"] < trivial["noise"]["kid"]
        distances = [pair.distance for pair in record.nearest]
        assert distances == sorted(distances)
        assert set(record.classes) == ({"disc", "square"} if run.candidate == "conditional" else set())
        answers = GeneratedFeatures.read(folder / "predictions.parquet", Part.TEST)
        assert answers.score("kid") == pytest.approx(run.test["kid"], rel=1e-4)


def test_the_note_shows_samples_and_trivial_generators_in_both_languages(finished: Path) -> None:
    from etude.report.note import write_note

    english, french = (write_note(finished, language).read_text("utf-8") for language in ("en", "fr"))
    assert "Generated pictures" in english
    assert "training pictures, blurred" in english
    assert "Images engendrées" in french
    assert "the features of pixels" in english


def test_a_finished_run_is_not_trained_again(finished: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.glob("runs/*/run.json")}
    Study.from_text(STUDY).run(finished.parent)
    assert {path: path.stat().st_mtime_ns for path in finished.glob("runs/*/run.json")} == before


def test_what_a_generation_cannot_have_is_told_in_one_go() -> None:
    wrong = STUDY.replace("loss: non-saturating", "loss: cross-entropy").replace("prepare: {size_px: 16}", "")
    wrong = wrong.replace("seeds: 1,", "seeds: 1, metric: accuracy, calibrate: true,")
    with pytest.raises(StudyFileError) as caught:
        Study.from_text(wrong + "prepare: {normalize: imagenet}\naugment: [mixup]\n")
    for told in ("train.loss", "protocol.metric", "calibrate", "normalize", "mixup"):
        assert told in str(caught.value)


def test_a_file_that_names_no_candidates_has_a_ladder_of_generators() -> None:
    study = parse_study("task: generation\ndata: {source: shapes, classes: [disc]}")
    assert list(study.candidates) == ["dcgan", "dcgan-augmented", "fastgan"]


def test_generators_losses_are_not_for_classifiers() -> None:
    with pytest.raises(StudyFileError, match="generators"):
        Study.from_text("candidates: {a: {model: mlp, train: {loss: hinge}}}")


def test_an_unknown_class_is_named_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="disc"):
        Study.from_text(STUDY.replace("[disc", "[dics")).run(tmp_path)
