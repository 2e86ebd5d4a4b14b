"""A study of masks from its file to the note: resumed bit for bit, scored at the size of the labels."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pptx import Presentation
from typer.testing import CliRunner

from etude import Study
from etude.check import CheckRecord
from etude.cli.main import app
from etude.core.errors import DataError, MistakeError, StudyFileError
from etude.core.mask_examples_record import MaskExamples
from etude.core.run_record import RunRecord
from etude.core.study_record import Resampling, StudyRecord
from etude.core.words import Part
from etude.evaluate.mask_counts import MaskCounts
from etude.explain.records import DataMapRecord, LayersRecord, MaskErrorsRecord, SightRecord, WhyRecord
from etude.metrics.segmentation import pixel_confusion
from etude.report.drawings import Artist
from etude.report.markdown import write_markdown
from etude.report.masks import gather_masks
from etude.report.note import write_note
from etude.report.reading import read_results, read_study
from etude.report.words import MetricWords, Words
from etude.study.attributions import choose_regions
from etude.tasks.segmentation import tell_weights

STUDY = """
study: masks
task: segmentation
data: {source: streets, split: {train_items: 24, validation: 0.1}}
prepare: {size_px: [48, 64]}
train: {epochs: 3, batch: 8, precision: fp32}
baseline: mini
candidates:
  majority: {model: majority}
  mini: {model: {name: unet-mini, widths: [8, 12]}}
  crops:
    extends: mini
    augment: [flip, scale, color, cutmix]
    train: {crop_px: [32, 48], balanced_crops: 0.5, loss: cross-entropy+dice, class_weights: log, average: ema}
    combine: {windows: sliding, tta: flip}
protocol: {seeds: 1, also: [dice, pixel_accuracy, boundary_f1]}
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("results")
    Study.from_text(STUDY).run(results)
    return results / "masks"


def runs(folder: Path) -> dict[str, tuple[Path, RunRecord]]:
    found = ((path.parent, RunRecord.load(path)) for path in folder.glob("runs/*/run.json"))
    return {record.candidate: (path, record) for path, record in found}


def test_it_leaves_every_record(finished: Path) -> None:
    record = StudyRecord.load(finished / "study.json")
    assert record.metric == "miou"
    assert [ref.status for ref in record.runs] == ["finished"] * 3
    assert {verdict.candidate for verdict in record.verdicts} == {"majority", "crops"}
    assert record.n_pictures["test"] == 80
    assert record.resampling == Resampling(unit="groups", drawn=8, groups=8)
    assert 0 < record.counts["test"]["pole"] <= 80
    assert set(record.pixels) == {"train", "validation", "test"}
    assert list(record.pixels["train"]) == list(record.classes)
    assert 0.9 * 24 * 48 * 64 < sum(record.pixels["train"].values()) <= 24 * 48 * 64
    assert record.class_weights == tell_weights(record.pixels["train"])
    assert CheckRecord.load(finished / "check.json").class_weights.keys() == {"balanced", "log"}
    assert "Pixels by class" in (finished / "check.html").read_text("utf-8")
    assert all(0 <= row.score <= 1 and row.interval_pictures is not None for row in record.leaderboard)
    for path, run in runs(finished).values():
        assert set(run.test) == {"miou", "dice", "pixel_accuracy", "boundary_f1"}
        assert list(run.test_classes) == list(run.classes)
        assert set(run.test_categories) == {"sky", "construction", "flat", "vehicle", "human", "object", "nature"}
        assert not (path / "state").exists()
    text = write_note(finished, "en").read_text()
    assert "mean IoU" in text
    assert "boundary F1" in text
    assert "Share of the pixels of each part by class" in text
    assert f">{record.class_weights['balanced']['pole']:.2f}<" in text
    assert "a picture holds several" in text
    assert "draw the 8 groups of the test part whole" in text
    assert "among the worst" in text
    assert all(f">{name}</th>" in text for name in ("pole", "vehicle"))


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_kept_page_shows_the_masks(finished: Path, tmp_path: Path, language: str) -> None:
    page, *figures = write_markdown(finished, language, to=tmp_path)
    chapter = page.read_text("utf-8").partition({"en": "## Masks", "fr": "## Masques"}[language])[2]
    chapter = chapter.partition("\n## ")[0]
    names = {f"masks.{language}.webp", f"confusion.{language}.svg"}
    study, words = read_results(finished, language)
    masks = gather_masks(study, words, Artist(study, words, MetricWords(words, "miou")))
    if masks.curves is not None:  # none where the best is the one that does not learn
        names.add(f"classes.{language}.svg")
    assert names <= {path.name for path in figures}
    assert all(f"({name})" in chapter for name in names)
    with Image.open(tmp_path / f"masks.{language}.webp") as grid:
        assert grid.width > 700
        assert np.ptp(np.asarray(grid)) > 200
    assert (tmp_path / f"masks.{language}.webp").stat().st_size < 300_000
    record = StudyRecord.load(finished / "study.json")
    share = record.leaderboard[0].class_scores["road"]
    told = words.percent(share)
    assert any(line.startswith(f"| {words.called('road')} | {told}") for line in chapter.splitlines())
    assert any(line.startswith(f"| {words.called('vehicle')} |") for line in chapter.splitlines())
    first = [path.read_bytes() for path in figures]
    again = write_markdown(finished, language, to=tmp_path)[1:]
    assert [path.read_bytes() for path in again] == first


@pytest.mark.parametrize("language", ["en", "fr"])
def test_nothing_overlaps_or_runs_off_its_slides(finished: Path, tmp_path: Path, language: str) -> None:
    pytest.importorskip("pptx")
    from tests.slide_layout import faults_of

    from etude.report.slides import write_slides

    deck = write_slides(finished, language, to=tmp_path / "slides.pptx")
    assert faults_of(deck) == []
    sizes = StudyRecord.load(finished / "study.json").n_pictures
    texts = [
        shape.text_frame.text
        for slide in Presentation(str(deck)).slides
        for shape in slide.shapes
        if shape.has_text_frame
    ]
    told = [text for text in texts if "to learn from" in text or "pour apprendre" in text]
    assert told
    for text in told:  # pictures, not how often a class is seen in one
        numbers = re.search(r"(\d+)\D+(\d+)\D+(\d+)", text[text.index(str(sizes["train"])) :])
        assert [int(number) for number in numbers.groups()] == [sizes[part] for part in ("train", "validation", "test")]


def test_of_many_candidates_the_classes_are_the_columns(finished: Path) -> None:
    study, words = read_study(finished, "en"), Words("en")
    row = study.record.leaderboard[0]
    many = tuple(row.model_copy(update={"candidate": f"c{n}"}) for n in range(20))
    record = study.record.model_copy(update={"leaderboard": many})
    few = gather_masks(study, words, Artist(study, words, MetricWords(words, "miou")))
    tables = gather_masks(replace(study, record=record), words, Artist(study, words, MetricWords(words, "miou")))
    assert few is not None
    assert tables is not None
    assert [column.heading for column in tables.classes.columns] == ["candidate", *study.record.classes]
    assert [line[0].text for line in tables.classes.rows] == [f"c{n}" for n in range(20)]
    assert tables.classes.rows[3][1].text == few.classes.rows[0][1].text


def test_scores_are_counted_at_the_size_of_the_labels(finished: Path) -> None:
    for path, run in runs(finished).values():
        counts = MaskCounts.read(path / "predictions.parquet", Part.TEST)
        assert len(counts) == 80
        # The embedded streets are drawn at 96 × 128; the network takes 48 × 64. Some border pixels are void.
        assert 0.9 * 80 * 96 * 128 < counts.confusions.sum() <= 80 * 96 * 128
        assert run.test["miou"] == pytest.approx(counts.score("miou"))


def test_the_kept_masks_are_those_that_were_counted(finished: Path) -> None:
    path, run = runs(finished)["mini"]
    counts = MaskCounts.read(path / "predictions.parquet", Part.TEST)
    kept = MaskExamples.load(path / "masks" / "examples.json")
    assert {example.kind for example in kept.examples} == {"spread", "worst", "best"}
    for example in kept.examples:
        truth, answer = (
            np.asarray(Image.open(path / "masks" / f"{example.stem}.{name}.png")) for name in ("truth", "answer")
        )
        row = counts.ids.tolist().index(example.item)
        assert np.array_equal(pixel_confusion(truth, answer, len(run.classes)), counts.confusions[row])
    worst = [example.score for example in kept.examples if example.kind == "worst"]
    best = [example.score for example in kept.examples if example.kind == "best"]
    assert max(worst) < min(best)


def test_interrupted_after_an_epoch_it_ends_the_same(finished: Path, tmp_path: Path, monkeypatch) -> None:
    import etude.train.loop as loop

    real, calls = loop.save_state, 0

    def dying(*args, **options):
        nonlocal calls
        real(*args, **options)
        calls += 1
        if calls in (1, 4):  # after the first epoch of each network
            raise KeyboardInterrupt

    monkeypatch.setattr(loop, "save_state", dying)
    monkeypatch.setattr(loop, "_SAVE_SHARE", 1e9)  # after every epoch
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            Study.from_text(STUDY).run(tmp_path)
    Study.from_text(STUDY).run(tmp_path)
    whole, broken = runs(finished), runs(tmp_path / "masks")
    for name, (path, run) in whole.items():
        other, again = broken[name]
        assert other.name == path.name
        assert (other / "model.safetensors").read_bytes() == (path / "model.safetensors").read_bytes()
        assert (other / "predictions.parquet").read_bytes() == (path / "predictions.parquet").read_bytes()
        assert again.test == run.test
        assert again.interruptions == (name != "majority")


def test_the_history_has_the_classes(finished: Path) -> None:
    path, run = runs(finished)["mini"]
    lines = [json.loads(line) for line in (path / "history.jsonl").read_text().splitlines()]
    assert len(lines) == 3
    assert all(len(line["validation_classes"]) == len(run.classes) for line in lines)


def explain(finished: Path, *options: str) -> Path:
    given = ["explain", "masks", "--results", str(finished.parent), "--quiet", "--seconds", "1", *options]
    done = CliRunner().invoke(app, given, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return Path(done.output.split()[0]).parent


@pytest.mark.slow
def test_a_run_of_masks_is_explained(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished.parent)
    path, run = runs(finished)["mini"]
    folder = explain(finished, "--run", path.name, "--pictures", "120")
    layers = LayersRecord.load(folder / "layers.json")
    assert layers.metric == "miou"
    assert any(row.fall_shuffled for row in layers.rows)
    assert all(row.interval_shuffled for row in layers.rows if row.fall_shuffled is not None)
    why = WhyRecord.load(folder / "why.json")
    assert why.layer.startswith("down.1.")
    assert why.pictures
    with np.load(folder / "why.npz") as arrays:
        for n, entry in enumerate(why.pictures):
            assert entry.picture.truth in run.classes
            assert entry.is_right == (entry.picture.answer == entry.picture.truth)
            assert arrays[f"pixels.{n}"].mean() == pytest.approx(entry.picture.covers, abs=0.05)
            assert 0 <= entry.inside <= 1
            assert arrays[f"grad_cam.{n}"].shape == arrays[f"integrated.{n}"].shape == (48, 64)
    maps = DataMapRecord.load(folder / "map.json")
    assert maps.of_masks
    assert {"pixels", "features"} == set(maps.separation)
    errors = MaskErrorsRecord.load(folder / "mask_errors.json")
    counts = MaskCounts.read(path / "predictions.parquet", Part.TEST)
    hardest = dict(zip(counts.ids.tolist(), counts.of_pictures("miou"), strict=True))
    assert errors.hardest[0].score == pytest.approx(min(hardest.values()))
    assert errors.hardest[0].score == pytest.approx(hardest[errors.hardest[0].item])
    for language, told in (("en", "which cover"), ("fr", "qui couvrent")):
        page = (folder / f"explain.{language}.html").read_text("utf-8").replace("\N{NO-BREAK SPACE}", " ")
        assert told in page
    assert "which cover" in write_note(finished, "en", to=tmp_path / "note.html").read_text("utf-8")


def test_regions_are_chosen_by_hand() -> None:
    """Two pictures of 100 pixels; class 2 is rare and well found in the second, taken for 0 in the first."""
    first = [[60, 20, 0], [0, 0, 0], [20, 0, 0]]
    second = [[80, 0, 0], [0, 10, 0], [1, 0, 9]]
    found = choose_regions(np.array([first, second]))
    assert found == [(1, 1), (1, 2), (1, 0), (0, 1)]  # the rarest right ones first; then what 1 was wrongly given


def test_feature_maps_are_of_the_picture_that_is_asked_for(finished: Path, tmp_path: Path) -> None:
    path, _ = runs(finished)["mini"]
    item = str(MaskCounts.read(path / "predictions.parquet", Part.TEST).ids[3])
    options = ("--run", path.name, "--part", "layers", "--part", "sight")
    folder = explain(finished, *options, "--picture", item, "--layer", "stem.0")
    sight = SightRecord.load(folder / "sight.json")
    assert sight.picture.item == item
    assert sight.picture.truth
    assert sight.layers == ("stem.0",)
    Image.new("RGB", (200, 90), "grey").save(tmp_path / "mine.png")
    sight = SightRecord.load(explain(finished, *options, "--picture", str(tmp_path / "mine.png")) / "sight.json")
    assert (sight.picture.item, sight.picture.truth) == ("mine.png", "")
    with np.load(folder / "sight.npz") as arrays:
        assert np.ptp(arrays["picture"]) == 0
    for given, told in (
        (("--picture", "nowhere.png"), "an id of the study's pictures, or a file"),
        (("--layer", "stem.7"), "a layer of the network that gives maps"),
    ):
        with pytest.raises(MistakeError, match=told):
            explain(finished, *options, *given)


def make_folder(folder: Path, spoil: dict[int, np.ndarray]) -> Path:
    rng = np.random.default_rng(0)
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    (folder / "classes.txt").write_text("left\nright\n")
    for number in range(12):
        mask = spoil.get(number, np.repeat([[0, 1]], 12, 0).repeat(8, 1).astype(np.uint8))
        pixels = rng.integers(0, 255, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{number:02d}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{number:02d}.png")
    return folder


def study_of_text(folder: Path, more: str = "") -> str:
    text = f"task: segmentation\ndata: {{source: {folder}, on_leak: allow{more}}}\nprepare: {{size_px: [12, 16]}}\n"
    return text + "train: {epochs: 1, batch: 4}\ncandidates: {a: {model: {name: unet-mini, widths: [4, 8]}}}\n"


def study_of(folder: Path, more: str = "") -> Study:
    return Study.from_text(study_of_text(folder, more))


@pytest.mark.parametrize(
    ("mask", "told"),
    [
        (np.zeros((10, 16), np.uint8), "a mask of the picture's size (12, 16)"),
        (np.full((12, 16), 7, np.uint8), "ids between 0 and 1, or 255 for void. Got 7"),
        (np.full((12, 16), 255, np.uint8), "a pixel of a class. Got 'void alone'"),
    ],
    ids=["another size", "unknown id", "no valid pixel"],
)
def test_a_bad_mask_is_told_of_or_skipped(tmp_path: Path, mask: np.ndarray, told: str) -> None:
    folder = make_folder(tmp_path / "data", {3: mask})
    with pytest.raises(DataError) as error:
        study_of(folder).run(tmp_path / "results")
    assert told in str(error.value)
    assert "03.png" in str(error.value)
    for _ in range(2):  # what was left out is known of a run that is finished too
        study_of(folder, ", unreadable: skip").run(tmp_path / "results")
        record = StudyRecord.load(tmp_path / "results" / "study" / "study.json")
        assert [ref.status for ref in record.runs] == ["finished"]
        (note,) = [note for note in record.notes if "left out" in note]
        assert note == "1 picture that cannot be used is left out (data.unreadable: skip): images/03.png."
    assert "images/03.png" in write_note(tmp_path / "results" / "study", "en").read_text()


def test_which_pictures_there_are_does_not_depend_on_the_size_that_a_candidate_asks_for(tmp_path: Path) -> None:
    mask = np.full((12, 16), 255, np.uint8)
    mask[0, 0] = 1  # its one pixel of a class is gone at half the size
    folder = make_folder(tmp_path / "data", dict.fromkeys(range(0, 12, 2), mask))
    text = study_of_text(folder).replace(
        "candidates: {", "candidates: {half: {extends: a, prepare: {size_px: [6, 8]}}, "
    )
    record = Study.from_text(text).run(tmp_path / "results").record
    assert [ref.status for ref in record.runs] == ["finished"] * 2
    assert not any("left out" in note for note in record.notes)


def test_what_does_not_go_with_masks_is_told_of_with_its_line() -> None:
    with pytest.raises(StudyFileError) as error:
        Study.from_text(
            "task: segmentation\n"
            "protocol: {metric: accuracy, calibrate: true}\n"
            "candidates:\n"
            "  a: {model: cnn}\n"
            "  b: {model: unet-mini, prepare: {size_px: 64}, train: {crop_px: [96, 96]}}\n"
            "  c: {model: unet-mini, combine: {tta: shifts, windows: sliding}}\n"
            "  d: {model: unet-mini, train: {loss: lovasz, class_weights: log}}\n"
        )
    told = error.value.problems
    for line, words in ((2, "'accuracy'"), (2, "calibrate"), (4, "a model of a segmentation"),
                        (5, "crop_px must be at most"), (6, "tta must be none or flip"), (6, "windows: sliding"),
                        (7, "class_weights must be none with train.loss: lovasz")):  # fmt: skip
        assert any(entry.startswith(f"line {line}:") and words in entry for entry in told), (line, words, told)
    with pytest.raises(StudyFileError, match="it is of masks"):
        Study.from_text("candidates: {a: {model: cnn, train: {crop_px: [16, 16]}}}")


def test_a_file_that_names_the_task_alone_runs_a_ladder_on_the_embedded_scenes(tmp_path: Path) -> None:
    small = ("prepare.size_px=[32, 48]", "data.split.train_items=16", "train.epochs=1", "train.precision=fp32")
    assert Study.from_text("task: segmentation\n").config.data.source == "streets"
    record = Study.from_text("task: segmentation\n", sets=small).run(tmp_path).record
    assert [ref.status for ref in record.runs] == ["finished"] * 4
    assert {"majority", "unet-mini", "fast-scnn"} <= {row.candidate for row in record.leaderboard}
    assert "pedestrian" in record.classes


WINDOWS = """
study: STUDY
task: segmentation
data: {source: streets, split: {train_items: 24, validation: 0.1}}
prepare: {size_px: [48, 64]}
train: {epochs: 4, batch: 8, precision: fp32, crop_px: [32, 48], optimizer: {name: adamw, lr: 0.02}}
candidates:
"""
PLAIN = "  plain: {model: {name: unet-mini, widths: [8, 12]}}\n"
SLIDING = "  sliding: {model: {name: unet-mini, widths: [8, 12]}, combine: {windows: sliding}}\n"


def test_windows_choose_no_other_epoch_and_cost_what_they_cost(tmp_path: Path) -> None:
    Study.from_text(WINDOWS.replace("STUDY", "both") + PLAIN + SLIDING).run(tmp_path)
    Study.from_text(WINDOWS.replace("STUDY", "alone") + SLIDING).run(tmp_path)
    both, alone = runs(tmp_path / "both"), runs(tmp_path / "alone")
    plain, taken_over, trained = both["plain"], both["sliding"], alone["sliding"]
    assert taken_over[0].name == trained[0].name

    def scores(folder: Path) -> list[float]:
        return [json.loads(line)["validation_score"] for line in (folder / "history.jsonl").read_text().splitlines()]

    assert scores(trained[0]) == scores(taken_over[0]) == scores(plain[0])
    weights = [(folder / "model.safetensors").read_bytes() for folder, _ in (plain, taken_over, trained)]
    assert weights[0] == weights[1] == weights[2]
    assert taken_over[1].test == trained[1].test != plain[1].test
    # Four windows of 32 × 48 are twice the pixels of a picture of 48 × 64.
    assert trained[1].cost.macs == 2 * plain[1].cost.macs
    assert trained[1].cost.params == plain[1].cost.params


CONTOURS = """
study: contours
task: segmentation
data: {source: streets, split: {train_items: 24, validation: 0.1}}
prepare: {size_px: [32, 48]}
train: {epochs: 2, batch: 8, precision: fp32}
candidates: {mini: {model: {name: unet-mini, widths: [8, 12]}}}
protocol: {metric: boundary_f1}
"""


def test_where_contours_are_the_metric_the_epoch_is_chosen_by_iou_and_said_to_be(tmp_path: Path) -> None:
    Study.from_text(CONTOURS).run(tmp_path)
    study = read_study(tmp_path / "contours")
    (history,) = study.histories_of("mini")
    assert [line.validation_metric for line in history] == ["miou"] * 2
    for line in history:
        known = [iou for iou in line.validation_classes if iou is not None]
        assert line.validation_score == pytest.approx(np.mean(known))
    words = Words("en")
    drawing = Artist(study, words, MetricWords(words, "boundary_f1")).draw_curves()
    assert drawing is not None
    headings = {axes.get_title(loc="left") or axes.get_title() for axes in drawing.draw(7.0).axes}
    assert "mean IoU (%), validation" in headings
    assert not any("boundary" in heading for heading in headings)
    told = r"line 8: protocol\.metric must be counted after every epoch.*Got 'boundary_f1'"
    with pytest.raises(StudyFileError, match=told):
        Study.from_text(CONTOURS + "search: {of: mini, space: {train.optimizer.lr: {log: [0.001, 0.1]}}, trials: 2}\n")


def test_losses_of_masks_can_be_searched(tmp_path: Path) -> None:
    text = CONTOURS.replace("contours", "losses").replace("boundary_f1", "miou")
    space = "{train.loss: {choice: [dice, lovasz, cross-entropy+dice]}}"
    text += f"search: {{of: mini, space: {space}, trials: 3, pruner: none}}\n"
    record = Study.from_text(text).run(tmp_path).record
    (search,) = record.searches
    assert (search.n_complete, search.n_failed) == (3, 0)
    assert search.settings[0]["train.loss"] in ("dice", "lovasz", "cross-entropy+dice")
    assert all(0 < score < 1 for score in search.validation_scores)


@pytest.mark.parametrize("fit", ["letterbox", "crop", "stretch"])
def test_a_kept_picture_lies_where_its_masks_do(tmp_path: Path, fit: str) -> None:
    folder = make_folder(tmp_path / "data", {})
    for number in range(12):  # white where the mask is 1, black where it is 0, twice as wide as the network's pictures
        mask = np.repeat(np.repeat([[0, 1]], 16, 0), 32, 1).astype(np.uint8)
        Image.fromarray(np.repeat(mask[..., None] * 255, 3, 2)).save(folder / "images" / f"{number:02d}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{number:02d}.png")
    text = study_of_text(folder).replace("size_px: [12, 16]", f"size_px: [16, 16], fit: {fit}")
    Study.from_text(text).run(tmp_path / "results")
    (kept,) = (tmp_path / "results").glob("*/runs/*/masks")
    for example in MaskExamples.load(kept / "examples.json").examples:
        picture, truth, answer = (
            np.asarray(Image.open(kept / f"{example.stem}{ending}").convert("L"))
            for ending in (".jpg", ".truth.png", ".answer.png")
        )
        assert ((answer == 255) == (truth == 255)).all()  # what a crop leaves out has no answer
        assert picture.shape == truth.shape == (16, 64)
        known = truth != 255
        assert ((picture > 127) == (truth == 1))[known].all()
        assert (picture[:, :28] < 60).all()
        assert (picture[:, 36:] > 200).all()


@pytest.mark.slow
def test_the_hardest_pictures_are_shown_with_the_answers_that_were_scored(
    finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(finished.parent)
    path, run = runs(finished)["crops"]
    folder = explain(finished, "--run", path.name, "--part", "layers", "--part", "errors")
    opened = MaskErrorsRecord.load(folder / "mask_errors.json")
    counts = MaskCounts.read(path / "predictions.parquet", Part.TEST)
    with np.load(folder / "mask_errors.npz") as arrays:
        for entry, truth, answer in zip(opened.hardest, arrays["truth"], arrays["answers"], strict=True):
            shown = pixel_confusion(truth, answer, len(run.classes))
            # The scores were counted at four times the pixels, of the same answer.
            counted = counts.confusions[counts.ids.tolist().index(entry.item)]
            assert np.abs(shown / shown.sum() - counted / counted.sum()).sum() < 0.05
