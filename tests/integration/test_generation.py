"""A study of generators from its file to the note: trained, measured against held-out pictures, told."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from etude import Study
from etude.core.errors import DataError, EtudeError, StudyFileError
from etude.core.generation_record import GenerationRecord
from etude.core.interval import Interval
from etude.core.run_record import RunRecord
from etude.core.study_record import StudyRecord
from etude.core.words import Part
from etude.evaluate.generated import GeneratedFeatures
from etude.models import picture_features
from etude.models.embedding import Embedder
from etude.study.comparing import compare_studies
from etude.study.folder import StudyFolder
from etude.study.parse import parse_study
from etude.study.resolve import resolve_candidate

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
    also = {"fid", "density", "coverage", "diversity", "near_copies", "closest_copies"}
    assert also == set(record.leaderboard[0].also)
    assert [verdict.candidate for verdict in record.verdicts] == ["conditional"]
    by_name = {row.candidate: row.score for row in record.leaderboard}
    ratio = record.verdicts[0].ratio
    assert ratio.value == pytest.approx(by_name["conditional"] / by_name["dcgan"], rel=1e-3)
    assert ratio.interval.low < ratio.value < ratio.interval.high


def test_records_are_strict_json(finished: Path) -> None:
    """What compares with training and held-out pictures at once has no value against training ones alone."""

    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    for path in finished.glob("runs/*/*.json"):
        json.loads(path.read_text(), parse_constant=refuse)


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
        beside = Image.open(folder / "samples" / "nearest.png").text
        assert beside["Description"].startswith("Generated pictures beside photographs.")
        assert "compositeSynthetic" in beside["XML:com.adobe.xmp"]
        with Image.open(folder / "samples" / "interpolation.gif") as film:
            assert film.is_animated
            assert film.info["comment"].decode().startswith(told)


def test_the_measures_come_with_intervals_and_trivial_generators(finished: Path) -> None:
    for folder, run in runs(finished).values():
        record = GenerationRecord.load(folder / "generation.json")
        assert record.features == "pixels"
        assert record.n_generated == 40
        by_name = {measure.name: measure for measure in record.measures}
        assert by_name["kid"].value == run.test["kid"]
        for name in ("kid", "fid", "diversity"):
            assert by_name[name].interval.low < by_name[name].value < by_name[name].interval.high
        assert by_name["near_copies"].interval is None
        assert {one.n for one in record.trivial} == {record.n_training} == {record.n_training_measured}
        assert all(one.intervals["kid"].low < one.scores["kid"] < one.intervals["kid"].high for one in record.trivial)
        trivial = {one.name: one.scores for one in record.trivial}
        assert set(trivial) == {"training", "blurred", "noise"}
        assert trivial["training"]["near_copies"] == trivial["training"]["closest_copies"] == 1.0
        assert trivial["training"]["kid"] < trivial["noise"]["kid"]
        assert (len(record.near_to.trained), len(record.near_to.held_out)) == (record.n_training, record.n_real)
        assert sum(record.near_to.counts.values()) == round(40 * record.near_any)
        assert record.near_photographs == len(record.near_to.counts)
        assert record.near_photographs_trained == len(record.near_to.counts.keys() & set(record.near_to.trained))
        assert 0 <= record.outright_trained <= 1
        distances = [pair.distance for pair in record.nearest]
        assert distances == sorted(distances)
        assert set(record.classes) == ({"disc", "square"} if run.candidate == "conditional" else set())
        answers = GeneratedFeatures.read(folder / "predictions.parquet", Part.TEST)
        assert answers.score("kid") == pytest.approx(run.test["kid"], rel=1e-4)
        rows = pq.read_table(folder / "predictions.parquet").to_pylist()
        made = sorted((row for row in rows if row["part"] == "generated"), key=lambda row: row["nearness"])
        assert [row["nearest_item"] for row in made[:12]] == [pair.item for pair in record.nearest]
        assert all((row["nearest_item"] is None) == (row["part"] == "train") for row in rows)


def test_a_class_is_set_beside_training_pictures_of_that_class_alone(finished: Path, monkeypatch) -> None:
    from etude.core.watch import Silent
    from etude.study.jobs import make_job
    from etude.study.plan import plan_runs
    from etude.study.resolve import resolve_candidates
    from etude.study.workspace import Workspace
    from etude.train import generation

    compared: list[np.ndarray] = []

    def watched(pictures, training):
        compared.append(training)
        return honest(pictures, training)

    honest = generation.nearness
    monkeypatch.setattr(generation, "nearness", watched)
    monkeypatch.setattr(generation, "MEASURED_TRAINING", 20)
    folder = shutil.copytree(finished, finished.parent / "again")
    workspace = Workspace(Study.from_text(STUDY).config, Path(), StudyFolder.of(folder), "cpu", Silent())
    candidates = resolve_candidates(workspace.study)
    order = next(one for one in plan_runs(workspace.study, workspace, candidates) if one.candidate == "conditional")
    job, run = make_job(workspace, candidates["conditional"], order), folder / "runs" / order.identity
    generation.measure_again(job, run, generation.find_features("pixels"))
    train = job.parts("train")
    own = {len(training) for training in compared if len(training) < len(train)}
    assert own == {int((train.labels_N == label).sum()) for label in (0, 1)}
    record = GenerationRecord.load(run / "generation.json")
    assert (record.n_training, record.n_training_measured) == (24, 20)  # no more than memory has room for
    assert {one.n for one in record.trivial} == {20}


def test_no_ratio_is_told_to_a_baseline_that_may_be_nothing(finished: Path, tmp_path: Path) -> None:
    """Ranked by near copies, of which the baseline may have none at all."""
    from etude.report.generated_told import tell_ratios
    from etude.report.reading import read_study
    from etude.report.words import Words

    text = STUDY.replace("protocol: {", "protocol: {metric: near_copies, also: [kid], ")
    shutil.copytree(finished, tmp_path / "drawn")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("drawn/runs/*/model.safetensors")}
    record = Study.from_text(text).run(tmp_path).record
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert record.verdicts[0].ratio is None
    assert record.leaderboard[0].of_photographs["near_copies"].high < 1
    study = read_study(tmp_path / "drawn")
    told = list(tell_ratios(replace(study, record=StudyRecord.load(finished / "study.json")), Words("en")))
    assert told[0].startswith("KID: conditional has")
    verdict = record.verdicts[0].model_copy(update={"metric": "kid"})
    told = list(tell_ratios(replace(study, record=record.model_copy(update={"verdicts": (verdict,)})), Words("en")))
    assert "is not shown to lie above 0" in told[0]


def test_the_note_shows_samples_and_trivial_generators_in_both_languages(finished: Path) -> None:
    from etude.report.note import write_note

    english, french = (write_note(finished, language).read_text("utf-8") for language in ("en", "fr"))
    assert "Generated pictures" in english
    assert "training pictures, blurred" in english
    assert "Images générées" in french
    assert "over the pixels, made small" in english
    assert "sur les pixels, réduits" in french
    assert "nothing was chosen by its pictures" in english
    assert english.count('src="data:image/gif;base64,R0lGOD') == french.count('src="data:image/gif;base64,R0lGOD') == 1
    assert "chosen on the validation part" not in english
    assert "epoch kept" not in english


@pytest.mark.parametrize(
    ("language", "told"),
    [
        (
            "en",
            ("## Generated pictures", "training pictures, blurred", "a distance from photographs", "nearness of photo"),
        ),
        (
            "fr",
            ("## Images générées", "images d’entraînement floutées", "une distance à des photographies", "proximité"),
        ),
    ],
)
def test_the_page_of_a_repository_shows_them_in_files_that_say_what_they_are(
    finished: Path, tmp_path: Path, language: str, told: tuple[str, ...]
) -> None:
    from etude.report.markdown import write_markdown

    page, *figures = write_markdown(finished, language, to=tmp_path)
    text = page.read_text("utf-8")
    part = text[text.index(told[0]) :].partition("\n## ")[0]
    assert all(words in part for words in told), part
    record = StudyRecord.load(finished / "study.json")
    ratio = record.verdicts[0].ratio
    assert f"{ratio.value:.2f}".replace(".", "." if language == "en" else ",") in part
    pictures = [path for path in figures if path.suffix == ".png"]
    assert [path.name for path in pictures] == [
        "samples-0.png", "samples-1.png", "nearest-0.png", "nearest-1.png",
    ]  # fmt: skip
    assert all(f"({path.name})" in part for path in pictures)
    told_inside = [Image.open(path).text["Description"] for path in pictures]
    assert all(inside.startswith("Generated picture, no photograph.") for inside in told_inside[:2])
    assert all(inside.startswith("Generated pictures beside photographs.") for inside in told_inside[2:])
    for name in (
        ("disc", "square") if language == "en" else ("disque", "carré")
    ):  # the classes that the conditional one was asked for
        assert f"\n| conditional | {name} |" in part


def test_every_candidate_is_told_in_plain_words_with_its_collapse(finished: Path, tmp_path: Path) -> None:
    from etude.report.note import gather
    from etude.report.reading import read_study
    from etude.report.words import Words

    folder = tmp_path / "drawn"
    shutil.copytree(finished, folder)
    for path, run in runs(folder).values():
        record = GenerationRecord.load(path / "generation.json")
        assert record.note == ""
        if run.candidate == "dcgan":
            record.model_copy(update={"note": "The generator collapsed."}).save(path / "generation.json")
    for language, collapsed in (("en", "dcgan collapsed in 1 run of 1"), ("fr", "dcgan s’est effondré dans 1 ent")):
        plain = gather(read_study(folder, language), Words(language), name=str)["generated"].plain
        assert len(plain) == 3  # what the KID is, and a paragraph for each candidate
        assert sum("dcgan" in told for told in plain) == sum("conditional" in told for told in plain) == 1
        assert [collapsed in told for told in plain].count(True) == 1
        assert next(told for told in plain if collapsed in told).startswith("dcgan")


def test_what_is_told_of_folds_is_told_over_all_of_them(tmp_path: Path) -> None:
    from etude.report.note import gather
    from etude.report.reading import read_study
    from etude.report.words import Words

    folds = "split: {kind: kfold, folds: 2, validation: 0, train_items: 24}"
    text = STUDY.replace("split: {train_items: 24, validation: 0.1}", folds)
    Study.from_text(text).run(tmp_path)
    record = StudyRecord.load(tmp_path / "drawn" / "study.json")
    board = gather(read_study(tmp_path / "drawn"), Words("en"), name=str)
    generated = board["generated"]
    for row in record.leaderboard:
        assert row.n_runs == 2
        interval = row.of_photographs["near_copies"]
        ends = f"(fresh photographs: {100 * interval.low:.0f}% to {100 * interval.high:.0f}% in 95 of 100 draws)"
        told = next(told for told in generated.plain if told.startswith(row.candidate))
        assert f"{100 * row.also['near_copies']:.0f}% of its pictures" in told
        assert ends in told
    at = [column.heading for column in board["leaderboard"].columns].index("near copies (%)")
    ends = record.leaderboard[0].of_photographs["near_copies"]
    assert (
        board["leaderboard"]
        .rows[0][at]
        .text.endswith(Words("en").interval(*(Words("en").number(100 * end, 1) for end in (ends.low, ends.high))))
    )
    assert any("near copies" in note for note in board["leaderboard_notes"])
    header, line = (tmp_path / "drawn" / "leaderboard.csv").read_text().splitlines()[:2]
    columns = dict(zip(header.split(","), line.split(","), strict=True))
    assert float(columns["near_copies_photographs_low"]) == ends.low


def test_losses_gradients_logits_and_diversity_are_drawn_by_step(finished: Path) -> None:
    from etude.report.note import gather
    from etude.report.reading import read_study
    from etude.report.words import Words

    told = gather(read_study(finished), Words("en"), name=str)
    figure = told["curves_drawing"].draw(7.65)
    headings = [axes.get_title(loc="left") for axes in figure.axes]
    assert headings == [
        "loss, generator", "loss, discriminator", "diversity of the samples", "gradient, generator",
        "gradient, discriminator", "logit, photographs", "logit, generated pictures",
    ]  # fmt: skip
    assert all(list(line.get_xdata()) == [2, 4] for axes in figure.axes for line in axes.lines)
    assert figure.axes[-1].get_xlabel() == "step"
    assert told["curves_told"].startswith("By step")


@pytest.mark.parametrize("language", ["en", "fr"])
def test_pdf_and_slides_show_samples_measures_and_what_they_mean(finished: Path, tmp_path: Path, language: str) -> None:
    pdfium, pptx = pytest.importorskip("pypdfium2"), pytest.importorskip("pptx")
    from tests.slide_layout import faults_of

    from etude.report.pdf import write_pdf
    from etude.report.slides import write_slides

    words = {
        "en": ("the training pictures themselves", "a distance from photographs", "Does it copy?", "What it draws"),
        "fr": (
            "les images d’entraînement elles-mêmes",
            "une distance à des photographies",
            "Copie-t-il ?",
            "Ce qu’il dessine",
        ),
    }[language]
    document = pdfium.PdfDocument(write_pdf(finished, language, to=tmp_path / "note.pdf"))
    text = " ".join(" ".join(page.get_textpage().get_text_range() for page in document).split())
    assert all(told in text for told in words[:2]), text
    deck = pptx.Presentation(str(write_slides(finished, language, to=tmp_path / "slides.pptx")))
    told, pictures = [], {}
    for slide in deck.slides:
        for shape in slide.shapes:
            told += [shape.text_frame.text] if shape.has_text_frame else []
            told += [cell.text for row in shape.table.rows for cell in row.cells] if shape.has_table else []
        of_slide = [shape for shape in slide.shapes if shape.shape_type == 13]
        pictures[next((shape.text_frame.text for shape in slide.shapes if shape.has_text_frame), "")] = len(of_slide)
    text = " ".join(" ".join(told).split())
    assert all(word in text for word in words), text
    assert pictures[words[3]] == 2  # a sheet of each candidate
    assert "one of them all the same" not in text  # which is said of classifiers
    assert faults_of(tmp_path / "slides.pptx") == []


def test_the_notebook_holds_samples_and_shows_them(finished: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from etude.report.cells import Book
    from etude.report.notebook import build_notebook
    from etude.report.reading import read_study
    from etude.report.words import Words

    book = build_notebook(read_study(finished), Words("en"))
    code = "\n".join(cell["source"] for cell in book["cells"] if cell["cell_type"] == "code")
    assert "book.generated()" in code
    assert "book.errors()" not in code
    assert "%%module etude/train/adversarial.py" in code
    shown: list[object] = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    Book(finished, "en").generated()
    assert [type(entry).__name__ for entry in shown].count("Image") == 3, (
        "samples, and what lies nearest, of each of two"
    )
    text = " ".join(str(getattr(entry, "data", "")) for entry in shown)
    assert "the training pictures themselves" in text
    assert "a distance from photographs" in text


@pytest.mark.parametrize(
    ("name", "value", "low", "high", "told"),
    [
        ("near_copies", 0.11, 0.02, 0.1, "It copies."),
        ("near_copies", 0.4, 0.3, 0.5, "That it copies was not shown."),
        ("near_copies", 0.02, 0.03, 0.1, "fewer than photographs would."),
        ("kid", -1e12, -2e12, -1e11, "nearer to photographs than blurred photographs"),
        ("kid", 1e12, 1e11, 2e12, "further from photographs than noise is."),
        ("kid", 1.0, -1e-9, 1e12, "not shown that its pictures are nearer to photographs than noise is"),
    ],
)
def test_what_the_measures_mean_changes_with_them(
    finished: Path, tmp_path: Path, name: str, value: float, low: float, high: float, told: str
) -> None:
    from etude.report.generated_measured import Measured
    from etude.report.generated_told import tell_plainly
    from etude.report.words import Words

    record = GenerationRecord.load(next(finished.glob("runs/*/generation.json")))
    record = record.model_copy(update={"near_trained": 0.9, "near_trained_chance": Interval(low=0.5, high=0.8)})
    found = Interval(low=low, high=high)
    photographs = {name: found} if name == "near_copies" else {}
    of = Measured("dcgan", {name: value}, {name: found}, photographs, (record,))
    assert told in " ".join(tell_plainly(of, Words("en")))


@pytest.mark.parametrize(("closest", "copies"), [(0.09, True), (0.05, False)])
def test_a_few_outright_copies_are_told_where_most_pictures_are_far(
    finished: Path, *, closest: float, copies: bool
) -> None:
    from etude.report.generated_measured import Measured
    from etude.report.generated_told import tell_plainly
    from etude.report.words import Words

    record = GenerationRecord.load(next(finished.glob("runs/*/generation.json")))
    ends = {"near_copies": Interval(low=0.02, high=0.1), "closest_copies": Interval(low=0, high=0.07)}
    record = record.model_copy(update={"near_trained": 0.9, "near_trained_chance": Interval(low=0.5, high=0.8)})
    of = Measured("dcgan", {"near_copies": 0.09, "closest_copies": closest}, {}, ends, (record,))
    told = " ".join(tell_plainly(of, Words("en")))
    assert (
        f"{100 * closest:.1f}% lie nearer to one than every held-out photograph does (fresh photographs: 0% to 7%"
        in told
    )
    assert ("It copies some." in told) == copies
    assert ("That it copies was not shown" in told) != copies


def test_pictures_that_are_as_near_to_photographs_it_never_saw_are_no_copies(finished: Path) -> None:
    """Brown smears of a generator of three steps were said to be copies: they lie near to any photograph."""
    from etude.report.generated_measured import Measured
    from etude.report.generated_told import tell_plainly
    from etude.report.words import Words

    record = GenerationRecord.load(next(finished.glob("runs/*/generation.json")))
    record = record.model_copy(update={"near_trained": 0.7, "near_trained_chance": Interval(low=0.5, high=0.8)})
    ends = {"near_copies": Interval(low=0.02, high=0.1), "closest_copies": Interval(low=0, high=0.07)}
    of = Measured("dcgan", {"near_copies": 0.3, "closest_copies": 0.2}, {}, ends, (record,))
    told = " ".join(tell_plainly(of, Words("en")))
    assert "70% are nearest to a training one; by chance that would be 50% to 80%" in told
    assert "Photographs that it never saw are as near to its pictures" in told
    assert "It copies" not in told


def test_a_finished_run_is_not_trained_again(finished: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in finished.glob("runs/*/run.json")}
    Study.from_text(STUDY).run(finished.parent)
    assert {path: path.stat().st_mtime_ns for path in finished.glob("runs/*/run.json")} == before


def test_other_weights_of_one_name_measure_finished_runs_again_and_train_nothing(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = tmp_path / "resnet50.safetensors"

    def open_it(name: str, file: Path) -> Callable[[Tensor], Tensor]:
        """Return a network whose one weight is what the file says."""
        return lambda images_BCHW: adaptive_avg_pool2d(images_BCHW, 2).flatten(1) * float(file.read_text())

    def refuse(*_: object) -> None:
        raise AssertionError("nothing may be trained")

    monkeypatch.setattr(picture_features, "find_embedder", lambda _: Embedder("resnet50", weights))
    monkeypatch.setattr(picture_features, "open_embedder", open_it)
    monkeypatch.setattr(picture_features, "statistics_for", lambda *_: ((0.5,) * 3, (0.5,) * 3))
    monkeypatch.setattr("etude.train.generation.fit_generator", refuse)
    shutil.copytree(finished, tmp_path / "drawn")
    trained = {path: path.read_bytes() for path in tmp_path.glob("drawn/runs/*/model.safetensors")}
    found = []
    for content in ("1", "2.5"):
        weights.write_text(content)
        record = Study.from_text(STUDY.replace("features: pixels", "features: resnet50")).run(tmp_path).record
        for folder, run in runs(tmp_path / "drawn").values():
            measured = GenerationRecord.load(folder / "generation.json")
            digest = hashlib.sha256(content.encode()).hexdigest()
            assert (measured.features, measured.weights, measured.n_generated) == ("resnet50", digest, 40)
            kid = {measure.name: measure.value for measure in measured.measures}["kid"]
            assert run.test["kid"] == kid
            assert run.config["protocol"]["generation"]["features"] == "resnet50"
            row = next(row for row in record.leaderboard if row.candidate == run.candidate)
            assert row.score == pytest.approx(kid, rel=1e-4)
        found.append({row.candidate: row.score for row in record.leaderboard})
        told = [note for note in record.notes if note.startswith("Pictures were normalised in several ways")]
        assert not told
    assert all(found[0][name] != pytest.approx(found[1][name], rel=0.1) for name in found[0])
    path = next(iter(runs(tmp_path / "drawn").values()))[0] / "generation.json"
    measured = GenerationRecord.load(path)
    assert measured.statistics == ((0.5,) * 3, (0.5,) * 3)
    measured.model_copy(update={"statistics": ((0.4,) * 3, (0.2,) * 3)}).save(path)
    record = Study.from_text(STUDY.replace("features: pixels", "features: resnet50")).run(tmp_path).record
    assert any(note.startswith("Pictures were normalised in several ways") for note in record.notes)
    assert {path: path.read_bytes() for path in tmp_path.glob("drawn/runs/*/model.safetensors")} == trained
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("drawn/runs/*/generation.json")}
    Study.from_text(STUDY.replace("features: pixels", "features: resnet50")).run(tmp_path)
    assert {path: path.stat().st_mtime_ns for path in before} == before


def test_what_was_measured_over_a_network_is_not_measured_over_pixels_unasked(
    finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without ETUDE_WEIGHTS the same command turned a finished leaderboard round."""
    monkeypatch.setattr(picture_features, "find_embedder", lambda _: None)
    shutil.copytree(finished, tmp_path / "drawn")
    for folder, _ in runs(tmp_path / "drawn").values():
        record = GenerationRecord.load(folder / "generation.json")
        record.model_copy(update={"features": "resnet50"}).save(folder / "generation.json")
    board = (tmp_path / "drawn" / "study.json").read_bytes()
    with pytest.raises(EtudeError, match=r"have the weights of resnet50 at hand.*ETUDE_WEIGHTS"):
        Study.from_text(STUDY.replace("features: pixels", "features: auto")).run(tmp_path)
    assert (tmp_path / "drawn" / "study.json").read_bytes() == board
    Study.from_text(STUDY).run(tmp_path)
    assert {GenerationRecord.load(path).features for path in tmp_path.glob("drawn/runs/*/generation.json")} == {
        "pixels"
    }


def test_too_few_photographs_to_compare_with_are_refused_before_anything_is_trained(tmp_path: Path) -> None:
    few = STUDY.replace("split: {train_items: 24, validation: 0.1}", "split: {kind: kfold, folds: 60, validation: 0}")
    small = few.replace("source: shapes", "source: photos/").replace("classes: [disc, square], ", "")
    for place in range(60):
        path = tmp_path / "photos" / f"{place}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (16, 16), (4 * place, 200, 90)).save(path)
    with pytest.raises(EtudeError, match="test part of fold 0 must be of 10 photographs or more"):
        Study.from_text(small, base=tmp_path).run(tmp_path / "results")
    assert not list(tmp_path.glob("results/*/runs/*"))


def test_what_was_measured_over_other_weights_is_not_compared(finished: Path, tmp_path: Path) -> None:
    other = shutil.copytree(finished, tmp_path / "other")
    studies = [StudyFolder.of(finished), StudyFolder.of(other)]
    assert len(compare_studies(studies).verdicts) == 1  # conditional there against dcgan here
    for path in other.glob("runs/*/generation.json"):
        GenerationRecord.load(path).model_copy(update={"weights": "1" * 64}).save(path)
    found = compare_studies(studies)
    assert found.verdicts == ()
    (note,) = found.notes
    assert note.startswith("other: no verdict against drawn/dcgan, as its pictures were measured otherwise.")


def test_pictures_of_another_size_are_not_compared(finished: Path, tmp_path: Path) -> None:
    other = shutil.copytree(finished, tmp_path / "other")
    for path, run in runs(other).values():
        config = run.config | {"prepare": run.config["prepare"] | {"size_px": [32, 32]}}
        run.model_copy(update={"config": config}).save(path / "run.json")
    found = compare_studies([StudyFolder.of(finished), StudyFolder.of(other)])
    assert found.verdicts == ()
    assert found.notes == ("other: no verdict against drawn/dcgan, as its pictures are of another size.",)


def test_runs_of_a_version_that_told_copies_by_features_are_measured_again(finished: Path, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    shutil.copytree(finished, tmp_path / "drawn")
    for folder, _ in runs(tmp_path / "drawn").values():
        content = json.loads((folder / "generation.json").read_text())
        (folder / "generation.json").write_text(json.dumps(content | {"format": 2, "near_by": "ratio"}))
        path = folder / "predictions.parquet"
        pq.write_table(pq.read_table(path).drop_columns("nearness"), path)
        assert GeneratedFeatures.read(path, Part.TEST).sets.real_nearness_N is None
        assert np.isnan(GeneratedFeatures.read(path, Part.TEST).score("near_copies"))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("drawn/runs/*/model.safetensors")}
    record = Study.from_text(STUDY).run(tmp_path).record
    assert {path: path.stat().st_mtime_ns for path in before} == before
    for folder, run in runs(tmp_path / "drawn").values():
        assert GenerationRecord.load(folder / "generation.json").near_by == "zooms"
        assert GeneratedFeatures.read(folder / "predictions.parquet", Part.TEST).score("near_copies") == pytest.approx(
            run.test["near_copies"]
        )
    assert record.leaderboard == StudyRecord.load(finished / "study.json").leaderboard


def test_what_a_generation_cannot_have_is_told_in_one_go() -> None:
    wrong = STUDY.replace("loss: non-saturating", "loss: cross-entropy").replace("prepare: {size_px: 16}", "")
    wrong = wrong.replace("seeds: 1,", "seeds: 1, metric: accuracy, calibrate: true,")
    with pytest.raises(StudyFileError) as caught:
        Study.from_text(wrong + "prepare: {normalize: imagenet}\naugment: [mixup]\n")
    for told in ("train.loss", "protocol.metric", "calibrate", "normalize", "mixup"):
        assert told in str(caught.value)


def test_copies_that_a_generation_would_not_use_are_refused() -> None:
    with pytest.raises(StudyFileError, match=r"dcgan: augment\.copies must be left out"):
        Study.from_text(STUDY + "augment: {use: [flip], copies: 3}\n")


def test_a_file_that_names_no_candidates_has_a_ladder_of_generators() -> None:
    study = parse_study("task: generation\ndata: {source: shapes, classes: [disc]}")
    assert list(study.candidates) == ["dcgan", "dcgan-augmented", "fastgan"]
    several = parse_study("task: generation\ndata: {source: shapes, classes: [disc, square]}")
    assert list(several.candidates) == ["dcgan", "dcgan-augmented", "fastgan", "conditional"]
    assert resolve_candidate(several, "conditional").model.conditional is True  # type: ignore[attr-defined]


def test_a_size_that_no_generator_has_is_told_with_its_line_before_anything_is_timed() -> None:
    with pytest.raises(
        StudyFileError, match=r"line 5: dcgan: prepare\.size_px must be a square of 8, 16, .*\[48, 48\]"
    ):
        Study.from_text(STUDY.replace("size_px: 16", "size_px: 48"))


def test_candidates_of_several_sizes_are_told_not_to_compare() -> None:
    from etude.study.cautions import size_cautions
    from etude.study.resolve import resolve_candidates

    study = parse_study(
        STUDY.replace("    model: {name: fastgan", "    prepare: {size_px: 32}\n    model: {name: fastgan")
    )
    told = {name: list(size_cautions(one, study)) for name, one in resolve_candidates(study).items()}
    assert "32 px. Each is measured beside" in told["dcgan"][0]
    assert "a side of 32 px, those of another candidate one of 16 px" in told["conditional"][0]
    alike = parse_study(STUDY)
    assert not [one for candidate in resolve_candidates(alike).values() for one in size_cautions(candidate, alike)]


def test_generators_losses_are_not_for_classifiers() -> None:
    with pytest.raises(StudyFileError, match="generators"):
        Study.from_text("candidates: {a: {model: mlp, train: {loss: hinge}}}")


def test_an_unknown_class_is_named_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="disc"):
        Study.from_text(STUDY.replace("[disc", "[dics")).run(tmp_path)
