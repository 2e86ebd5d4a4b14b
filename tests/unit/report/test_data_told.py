"""What reports say of the pictures themselves: their classes, sizes and terms, what was done with them, and a look."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image
from pptx import Presentation

from etude.core.study_record import StudyRecord
from etude.core.words import Part
from etude.data.source import open_source
from etude.data.sources.cifar import CifarSource
from etude.data.split_file import write_split
from etude.report.contact import draw_contact
from etude.report.data_told import tell_balance, tell_check, tell_cleaning, tell_leaks, tell_licence, tell_picture_sizes
from etude.report.note import render_note
from etude.report.pdf import render_typst
from etude.report.proposals import tell_proposals
from etude.report.reading import read_study
from etude.report.slides import write_slides
from etude.report.words import MetricWords, Words


def change(folder, **changes):
    path = folder / "study.json"
    record = StudyRecord.load(path).model_copy(update=changes)
    record.save(path)
    return record


def check(folder, *findings, sizes=None):
    entries = [{"kind": kind, "severity": severity, "sentence": f"{kind}!", "count": 2} for kind, severity in findings]
    (folder / "check.json").write_text(json.dumps({"findings": entries, "sizes": sizes or {}}), "utf-8")


def proposals(folder):
    words = Words("en")
    return " ".join(tell_proposals(read_study(folder), words, MetricWords(words, "accuracy")))


def test_how_even_the_classes_are_is_told_by_their_counts(study_folder):
    words = Words("en")
    record = StudyRecord.load(study_folder / "study.json")
    assert tell_balance(record, words) == "Each class has 4,500 training pictures."
    for counts, told in (({"cat": 100, "dog": 120}, "about even: from 100"), ({"cat": 100, "dog": 340}, "×3.4")):
        assert told in tell_balance(record.model_copy(update={"counts": {"train": counts}}), words)
    assert tell_balance(record.model_copy(update={"task": "segmentation"}), words) == ""


@pytest.mark.parametrize(
    ("counts", "told"),
    [
        ({"cat": 100, "dog": 0}, "There is no training picture of dog."),
        (
            {"cat": 9, "dog": 9, "emu": 0, "ant": 0},
            "Each class has 9 training pictures. There is no training picture of ant and emu.",
        ),
        (
            {"cat": 9} | {f"breed {n}": 0 for n in range(7)},
            "There is no training picture of 7 classes, such as breed 0, breed 1",
        ),
    ],
)
def test_classes_without_a_training_picture_are_named(study_folder, counts, told):
    record = StudyRecord.load(study_folder / "study.json").model_copy(update={"counts": {"train": counts}})
    assert tell_balance(record, Words("en")).startswith(told)
    assert "aucune image d’entraînement" in tell_balance(record, Words("fr"))


@pytest.mark.parametrize("language", ["en", "fr"])
def test_the_note_has_the_data_sheet_and_what_the_card_is_trained_on(study_folder, tmp_path, language):
    change(study_folder, licence=CifarSource.licence, data_fingerprint="915e595cb7e4ea23")
    check(study_folder, sizes={"32x32": 60_000})
    study, words = read_study(study_folder, language), Words(language)
    for text in (render_note(study, words), render_typst(study, words, tmp_path)):
        plain = text.replace("\xa0", " ").replace("\u202f", " ")
        for told in ("915e595cb7e4ea23", "Krizhevsky", "32 × 32 pixels"):
            assert told in plain
        assert {"en": "45,000 pictures of cifar10", "fr": "45 000 images (source : cifar10)"}[language] in plain
        scores = {
            "en": "81.3% accuracy on the test part (95%: [80.2",
            "fr": "exactitude de 81,3 % sur la partie de test",
        }
        assert scores[language] in plain.split({"en": "Model card", "fr": "Carte du modèle"}[language])[-1]


def test_whether_anything_leaks_is_told_as_it_was_found(study_folder):
    """The sentence changes with the record: it is no promise."""
    words = Words("en")
    assert "is not known" in tell_leaks(read_study(study_folder), words)
    check(study_folder)
    assert tell_leaks(read_study(study_folder), words).startswith("No picture stands on two sides, nor a near twin")
    path = study_folder / "check.json"
    left_out = "Near duplicates were not looked for among 200,000 pictures (limit 100,000); equal ones were."
    path.write_text(json.dumps(json.loads(path.read_text()) | {"skipped": [left_out]}))
    assert "was not looked for" in tell_leaks(read_study(study_folder), words)
    check(study_folder, ("leak-near", "error"))
    config = StudyRecord.load(study_folder / "study.json").config
    for on_leak, told in (("allow", "were left there"), ("drop", "were left out")):
        change(study_folder, config=config | {"data": config["data"] | {"on_leak": on_leak}})
        assert told in tell_leaks(read_study(study_folder), words)


def test_sizes_come_from_the_check(study_folder):
    words = Words("fr")
    assert tell_picture_sizes(read_study(study_folder), words) == ""
    check(study_folder, sizes={"64x48": 12})
    assert "64 × 48 pixels" in tell_picture_sizes(read_study(study_folder), words)
    check(study_folder, sizes={"64x48": 12, "1024x768": 30})
    assert tell_picture_sizes(read_study(study_folder), words).index("768") < tell_picture_sizes(
        read_study(study_folder), words
    ).index("64 × 48")


@pytest.mark.parametrize("language", ["en", "fr"])
def test_terms_of_registered_sources_are_told_in_the_language(language):
    told = tell_licence(CifarSource.licence, Words(language))
    assert "Krizhevsky" in told
    assert ("cite" in told.split()) == (language == "en")
    assert tell_licence("CC BY 4.0, ours", Words(language)) == "CC BY 4.0, ours"


def test_what_was_done_with_the_pictures_is_told_and_what_was_not(study_folder):
    words = Words("en")
    assert tell_cleaning(read_study(study_folder), words) == []  # unchecked, nothing known
    check(study_folder, ("near-duplicates", "warning"))
    assert tell_cleaning(read_study(study_folder), words) == [
        "None of these twins stands in two parts of the split.", "No picture was left out.",
    ]  # fmt: skip
    check(study_folder, ("near-duplicates", "warning"), ("leak-near", "error"))
    note = "7 pictures left training or validation, as another part holds a twin (on_leak: drop)."
    record = StudyRecord.load(study_folder / "study.json")
    change(study_folder, notes=(note, "One run a candidate: what another seed would give is not known."),
           counts=record.counts | {"left_out": {"cat": 7}})  # fmt: skip
    assert tell_cleaning(read_study(study_folder), words) == [note, "7 pictures belong to no part."]


def test_what_was_done_follows_what_was_found(study_folder):
    words = Words("en")
    assert tell_check(read_study(study_folder), words) == []
    check(study_folder)
    assert tell_check(read_study(study_folder), words) == [
        "The data check found nothing amiss.", "No picture was left out.",
    ]  # fmt: skip
    check(study_folder, *[(f"kind{n}", "note") for n in range(7)], ("near-duplicates", "warning"))
    told = tell_check(read_study(study_folder), words)
    assert told[5:] == [
        "kind5!", "2 other findings.", "None of these twins stands in two parts of the split.", "No picture was left out.",
    ]  # fmt: skip


def test_two_dark_pictures_are_no_reason_to_run_a_study_again(study_folder):
    check(study_folder, ("dark", "warning"), ("frames", "note"))
    assert "again" not in proposals(study_folder)
    check(study_folder, ("truncated", "error"))
    assert "something grave: fix it" in proposals(study_folder)
    check(study_folder, ("doubtful-labels", "warning"))
    assert "Some labels are doubtful" in proposals(study_folder)


@pytest.mark.parametrize(("on_leak", "asked"), [("allow", True), ("drop", False)])
def test_a_leak_is_proposed_to_be_mended_where_it_was_not(study_folder, on_leak, asked):
    check(study_folder, ("leak-near", "error"))
    config = StudyRecord.load(study_folder / "study.json").config
    change(study_folder, config=config | {"data": config["data"] | {"on_leak": on_leak}})
    assert ("The split leaks" in proposals(study_folder)) is asked


@pytest.fixture
def with_pictures(study_folder, tmp_path):
    """The study on a folder of pictures that are at hand."""
    rng = np.random.default_rng(5)
    photos = tmp_path / "photos"
    for name in ("cat", "dog"):
        (photos / name).mkdir(parents=True)
        for n in range(9):
            Image.fromarray(rng.integers(0, 255, (40, 60, 3), np.uint8)).save(photos / name / f"{n}.png")
    source = open_source(str(photos))
    write_split(study_folder / "split.parquet", source.items, [np.full(18, Part.TRAIN, np.int8)])
    config = StudyRecord.load(study_folder / "study.json").config
    change(
        study_folder, classes=("cat", "dog"), data_fingerprint=source.fingerprint(), licence="CC BY 4.0",
        config=config | {"data": {"source": str(photos)}}, counts={"train": {"cat": 9, "dog": 9}},
    )  # fmt: skip
    return study_folder, photos


def test_slides_show_training_pictures_of_each_class_with_their_terms(with_pictures, tmp_path):
    folder, _ = with_pictures
    for path in folder.glob("runs/*/predictions.parquet"):
        path.unlink()
    slides = Presentation(str(write_slides(folder, "en", to=tmp_path / "s.pptx"))).slides
    shown = [
        s
        for s in slides
        if any("What the pictures look like" in x.text_frame.text for x in s.shapes if x.has_text_frame)
    ]
    assert len(shown) == 1
    assert sum(shape.shape_type == 13 for shape in shown[0].shapes) == 1
    assert any("CC BY 4.0" in shape.text_frame.text for shape in shown[0].shapes if shape.has_text_frame)


def test_no_other_pictures_are_shown_in_their_place(with_pictures):
    folder, photos = with_pictures
    words = Words("en")
    assert draw_contact(read_study(folder), words) is not None
    Image.new("RGB", (60, 40)).save(photos / "cat" / "0.png")
    assert draw_contact(read_study(folder), words) is None, "one picture is another now"
    for path in photos.glob("*/*.png"):
        path.unlink()
    assert draw_contact(read_study(folder), words) is None
