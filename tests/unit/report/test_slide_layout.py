"""Slides of a study with long names and much to say: nothing overlaps, runs off, or does not fit its box."""

from __future__ import annotations

import json
import shutil

import pytest
from matplotlib.figure import Figure
from PIL import Image
from pptx import Presentation
from pptx.util import Inches, Pt
from tests import slide_layout
from tests.slide_layout import faults_of

from etude.core.run_record import RunRecord
from etude.core.study_record import AblationGroup, Combination, StudyRecord
from etude.figures import curves
from etude.figures.theme import assign_looks
from etude.report.deck import Deck
from etude.report.deployment import tabulate_commands
from etude.report.slides import write_slides
from etude.report.tables import Cell, Column, Table
from etude.report.words import Words

NAMES = {
    "resnet": "residual-network-of-twenty-layers",
    "cnn-flip-shift": "plain-convolutions+flip+shift+color+erase",
    "cnn-noise": "plain-convolutions+noise",
    "cnn": "plain-convolutions",
    "mlp": "two-layers-and-nothing-else",
}
QUESTION = " ".join(["Which small network should we train, does augmentation pay, and who would notice?"] * 5)
DIVERGED = (
    "train: the loss of residual-network-of-twenty-layers, seed 1, fold 3 is no longer a number in epoch 3, at learning "
    "rate 0.5. Lower train.optimizer.lr, or set train.clip_norm (1.0, say) or train.precision: fp32."
)
FINDINGS = ("leak-exact", "leak-near", "duplicates", "near-duplicates", "label-errors", "dark", "bright", "blurred")


def renamed(entry):
    given = {name: NAMES.get(getattr(entry, name), "") for name in ("candidate", "baseline") if hasattr(entry, name)}
    return entry.model_copy(update=given)


@pytest.fixture
def crowded(study_folder):
    """The study with long names, many candidates, an ablation, combinations, findings and failures."""
    record = StudyRecord.load(study_folder / "study.json")
    rows, verdicts = [renamed(row) for row in record.leaderboard], [renamed(entry) for entry in record.verdicts]
    base = NAMES["cnn"]
    group = f"{base}: augment.use"
    variants = [
        verdicts[n % 2].model_copy(update={"candidate": f"{base} +{name}", "group": group})
        for n, name in enumerate(("flip", "shift", "rotation", "elastic", "brightness", "everything-at-once"))
    ]
    rows[-1] = rows[-1].model_copy(update={"failed": (DIVERGED,) * 20})
    rows += [rows[1].model_copy(update={"candidate": f"residual-network-of-{n}-layers+flip+shift"}) for n in range(9)]
    rows += [rows[1].model_copy(update={"candidate": entry.candidate}) for entry in variants]
    changes = {
        "leaderboard": tuple(rows),
        "verdicts": (*verdicts, *variants),
        "ablations": (
            AblationGroup(name=group, of=base, vary="augment.use", candidates=tuple(v.candidate for v in variants)),
        ),
        "combinations": tuple(
            Combination(candidate=row.candidate, of=base, combine={"tta": "flip", "members": 3}) for row in rows[1:]
        ),
        "runs": tuple(renamed(ref) for ref in record.runs),
        "baseline": base,
        "question": QUESTION,
        "classes": tuple(f"a class of a long name, number {n}" for n in range(10)),
        "command": "etude run studies/cifar10-models.yaml " + " ".join(f"--set train.epochs={n}" for n in range(12)),
    }
    record.model_copy(update=changes).save(study_folder / "study.json")
    for path in study_folder.glob("runs/*/run.json"):
        renamed(RunRecord.load(path)).save(path)
    findings = [{"kind": kind, "sentence": f"{kind}: " + "seen here. " * 30, "count": 1234} for kind in FINDINGS]
    (study_folder / "check.json").write_text(json.dumps({"findings": findings}), "utf-8")
    return study_folder


@pytest.mark.parametrize("language", ["en", "fr"])
def test_long_names_and_much_to_say_fit_the_slides(crowded, tmp_path, language):
    path = write_slides(crowded, language, to=tmp_path / "s.pptx")
    assert faults_of(path) == []
    for slide in Presentation(str(path)).slides:
        title = slide.shapes.title
        assert slide_layout._height(title.text_frame, title.width.inches - 0.2) + 0.1 <= title.height.inches + 0.05
    lead = {"en": "A run of two-layers-and-nothing-else failed", "fr": "Un entraînement de two-layers-and"}[language]
    failed = next(slide for slide in Presentation(str(path)).slides if texts_with(slide, lead))
    assert texts_with(failed, {"en": "see the speaker notes", "fr": "voir les notes"}[language])
    assert failed.notes_slide.notes_text_frame.text.count(lead) == 20


def texts_with(slide, text):
    return [shape for shape in slide.shapes if shape.has_text_frame and text in shape.text_frame.text]


def test_of_too_many_rows_the_last_are_left_out_and_letters_shrink_first(tmp_path):
    deck = Deck(Words("en"), tmp_path)
    table = Table(
        (Column("name"), Column("what it is")), tuple((Cell(f"n{n}"), Cell("some words " * 12)) for n in range(9))
    )
    slide = deck.slide("A table", ["told"])
    assert deck.table(slide, table, (0.7, 1.4, 4.0, 5.0)) == 0
    left = deck.table(deck.slide("Another", ["told"]), table, (0.7, 1.4, 4.0, 2.0))
    assert 0 < left < 9
    deck.presentation.save(str(tmp_path / "s.pptx"))
    assert faults_of(tmp_path / "s.pptx") == []


def test_nothing_to_say_makes_no_box(tmp_path):
    deck = Deck(Words("en"), tmp_path)
    slide = deck.slide("A title", ["told"])
    before = len(slide.shapes)
    deck.bullets(slide, ["", ""], (0.7, 1.4, 8.0, 3.0))
    assert len(slide.shapes) == before


def boxed(slide, text, left, top, wide, high, size_pt=20):
    frame = slide.shapes.add_textbox(*map(Inches, (left, top, wide, high))).text_frame
    frame.word_wrap = True
    run = frame.paragraphs[0].add_run()
    run.text, run.font.size = text, Pt(size_pt)


@pytest.mark.parametrize(
    ("boxes", "fault"),
    [
        ([("one", 1, 1, 3, 1), ("two", 3, 1.5, 3, 1)], "'one' and 'two' overlap"),
        ([("one", 11, 1, 3, 1)], "'one' leaves the slide"),
        ([("words that need several lines " * 3, 1, 1, 3, 0.6)], "needs"),
        ([("", 1, 1, 3, 1)], "an empty text"),
    ],
)
def test_the_reader_of_these_tests_finds_what_is_wrong(tmp_path, boxes, fault):
    deck = Deck(Words("en"), tmp_path).presentation
    for box in boxes:
        slide = deck.slides[0] if len(deck.slides) else deck.slides.add_slide(deck.slide_layouts[6])
        boxed(slide, *box)
    deck.save(str(tmp_path / "s.pptx"))
    (found,) = faults_of(tmp_path / "s.pptx")
    assert fault in found


@pytest.mark.parametrize("n", [5, 14])
def test_curves_that_are_drawn_are_named_and_others_are_counted(whole_study, tmp_path, monkeypatch, n):
    """Beyond what a legend can name, curves of the first candidates and the baseline are drawn alone."""
    folder = shutil.copytree(whole_study, tmp_path / "study", ignore=shutil.ignore_patterns("report", "predictions.*"))
    record = StudyRecord.load(folder / "study.json")
    more = [f"more-{place}" for place in range(n - 5)]
    rows = [record.leaderboard[-1].model_copy(update={"candidate": name}) for name in more]
    refs = [record.runs[0].model_copy(update={"candidate": name, "identity": name}) for name in more]
    for name in more:
        shutil.copytree(folder / "runs" / record.runs[0].identity, folder / "runs" / name)
    given = {"leaderboard": (*record.leaderboard, *rows), "runs": (*record.runs, *refs)}
    record.model_copy(update=given).save(folder / "study.json")
    drawn = []
    monkeypatch.setattr(curves, "draw_curves", lambda histories, *_, **given: drawn.append(list(histories)) or Figure())
    write_slides(folder, "en", to=tmp_path / "s.pptx")
    names = {"resnet", "cnn-flip-shift", "cnn-noise", "cnn", "mlp", *(["more-0"] if n > 5 else [])}
    assert set(drawn[0]) == names
    texts = [shape.text_frame.text for slide in Presentation(str(tmp_path / "s.pptx")).slides
             for shape in slide.shapes if shape.has_text_frame]  # fmt: skip
    legend = next(text for text in texts if "\N{EM DASH} resnet" in text)
    assert all(name in legend for name in names)
    assert ("8 more are in the note" in legend) == (n == 14)


def test_a_legend_shows_the_dashes_of_a_line(tmp_path):
    names = [f"net-{n}" for n in range(14)]
    deck = Deck(Words("en"), tmp_path)
    slide = deck.slide("Curves", ["told"])
    deck.legend(slide, names, assign_looks(names))
    text = slide.shapes[-1].text_frame.text
    assert "\N{EM DASH} net-0 " in text
    assert "\N{EN DASH} \N{EN DASH} net-6 " in text
    assert "\N{MIDDLE DOT}\N{MIDDLE DOT} net-12 " in text


@pytest.mark.parametrize("language", ["en", "fr"])
@pytest.mark.parametrize("task", ["classification", "segmentation", "generation"])
def test_commands_stand_on_one_line_so_that_they_can_be_copied(tmp_path, language, task):
    table = tabulate_commands("animal-detectors-red-panda", task, Words(language))
    deck = Deck(Words(language), tmp_path)
    slide = deck.slide("Commands", ["told"])
    deck.table(slide, table, (0.7, 1.45, 11.9, 4.2))
    laid = next(shape for shape in slide.shapes if shape.has_table).table
    size_pt = laid.cell(1, 0).text_frame.paragraphs[0].runs[0].font.size.pt
    longest = max(len(row[0].text) for row in table.rows)
    assert laid.columns[0].width.inches - 0.2 >= 0.6 * size_pt / 72 * longest  # a letter of Courier has 0.6 em
    assert sum(column.width.inches for column in laid.columns) <= 11.9 + 1e-6


@pytest.mark.parametrize(("language", "code"), [("en", "en-GB"), ("fr", "fr-FR")])
def test_outlines_and_readers_find_titles_and_the_language(tmp_path, language, code):
    deck = Deck(Words(language), tmp_path)
    deck.cover("A study", "A question", "small", "What is said.")
    slide = deck.slide("A title", ["One thing.", "Another."])
    deck.bullets(slide, ["told"], (0.7, 1.45, 8.0, 3.0))
    deck.table(slide, Table((Column("head"),), ((Cell("cell"),),)), (0.7, 4.5, 8.0, 2.0))
    assert [slide.shapes.title.text_frame.text for slide in deck.presentation.slides] == ["A study", "A title"]
    title = slide.shapes.title
    run = title.text_frame.paragraphs[0].runs[0]
    place = (title.left, title.top, title.width, title.height)
    assert [round(side / Inches(1), 3) for side in place] == [0.7, 0.45, 11.933, 0.8]
    assert (run.font.size.pt, run.font.bold, run.font.name, str(run.font.color.rgb)) == (28, True, "Arial", "1F2328")
    for slide in deck.presentation.slides:
        for part in (slide, slide.notes_slide):
            runs = part._element.xpath(".//a:r/a:rPr")
            assert runs
            assert {found.get("lang") for found in runs} == {code}
    assert deck.presentation.core_properties.language == code


def test_a_picture_of_a_presentation_has_a_description(tmp_path):
    deck = Deck(Words("en"), tmp_path)
    path = tmp_path / "one.png"
    Image.new("RGB", (8, 8)).save(path)
    slide = deck.slide("A picture", ["told"])
    deck.image(slide, path, (0.7, 1.45, 4.0, 3.0), "What it shows")
    assert slide._element.xpath(".//p:pic/p:nvPicPr/p:cNvPr/@descr") == ["What it shows"]


@pytest.mark.parametrize(("language", "told"), [("en", "About 1 min 40 s."), ("fr", "Environ 1 min 40 s.")])
def test_the_minutes_of_a_part_are_shared_by_its_slides(tmp_path, language, told):
    deck = Deck(Words(language), tmp_path)
    deck.cover("A study", "A question", "small", "What is said.")
    deck.open_part(1, "Data", 5)
    slides = [deck.slide(f"Slide {n}", [f"Note {n}."]) for n in range(3)]
    deck.open_part(2, "Paths", 10)
    deck.slide("Slide", ["Note."])
    deck.tell_times()
    notes = [slide.notes_slide.notes_text_frame.text.replace("\xa0", " ") for slide in deck.presentation.slides]
    assert [slides[n].notes_slide.notes_text_frame.text.replace("\xa0", " ") for n in range(3)] == [
        f"{told}\n\nNote {n}." for n in range(3)
    ]
    assert notes[0] == "What is said."
    assert "5 minutes" in notes[1]
    assert "10 min" in notes[-1]
