"""How the pictures were parted, in words."""

from __future__ import annotations

from typing import get_args

import pytest

from etude.core.study_record import StudyRecord
from etude.data.split import SplitConfig, SplitKind
from etude.report import slides
from etude.report.deck import Deck
from etude.report.limits import list_limits
from etude.report.note import gather
from etude.report.reading import read_study
from etude.report.splits import list_folds, tell_folds, tell_split
from etude.report.tables import caption_counts
from etude.report.words import MetricWords, Words


def tell(language="en", **fields):
    told = " ".join(tell_split(SplitConfig(**fields).model_dump(mode="json"), Words(language)))
    return told.replace("\xa0", " ")


@pytest.mark.parametrize("kind", get_args(SplitKind))
@pytest.mark.parametrize("language", ["en", "fr"])
def test_every_kind_is_told_without_a_field_of_the_file(kind, language):
    text = tell(language, kind=kind)
    assert not {"auto", "kfold", "stratified-group-kfold", "blocks"} & set(text.split())
    assert "{" not in text
    assert "validation_by" not in text
    assert "None" not in text
    assert "seed 0" in text or "graine 0" in text


def test_numbers_are_those_of_the_split():
    assert tell(kind="random", test=0.25, validation=0.15) == (
        "About 25% of the pictures of each class are drawn for the test part. "
        "Validation is about 15% of what the test part leaves. What is drawn is drawn with seed 0."
    )
    text = tell(kind="kfold", folds=4, repeats=3, seed=7)
    assert "dealt to 4 folds" in text
    assert "The folds are drawn 3 times (12 splits)." in text
    assert "The folds are drawn twice (8 splits)." in tell(kind="kfold", folds=4, repeats=2)
    assert "Les plis sont tirés deux fois (8 partitions)." in tell("fr", kind="kfold", folds=4, repeats=2)
    assert "seed 7" in text


def test_what_was_asked_besides_is_told():
    text = tell(kind="blocks", gap=25, leave_out=["0016E5", "Seq05"], train_items=500)
    assert "25 frames are left out" in text
    assert "No picture of 0016E5 and Seq05" in text
    assert "500 pictures are kept" in text
    assert "stretch of time" in text
    assert "No picture is kept for validation" in tell(kind="random", validation=0)


def test_a_record_that_lacks_fields_is_told_as_far_as_it_goes():
    assert tell_split({"kind": "official"}, Words("en")) == ["The test part is the source's own."]
    assert tell_split({"kind": "mine"}, Words("en")) == ["mine"]


def test_of_masks_nothing_is_said_to_be_drawn_by_class():
    for fields, told in (
        ({"kind": "official", "train_items": 24}, "24 pictures are kept, drawn whatever they show"),
        ({"kind": "random"}, "of the pictures are drawn for the test part, whatever they show"),
        ({"kind": "kfold", "folds": 4}, "The pictures are dealt to 4 folds"),
        ({"kind": "stratified-group-kfold", "folds": 4}, "Whole groups are dealt to 4 folds; each"),
    ):
        split = SplitConfig(**fields).model_dump(mode="json")
        text = " ".join(tell_split(split, Words("en"), of_masks=True)).replace("\xa0", " ")
        assert told in text
        assert "each class" not in text
        assert "in proportion" not in text
        assert tell_split(split, Words("fr"), of_masks=True) != tell_split(split, Words("en"), of_masks=True)


def folded(record, n_splits, repeats):
    """Return a record whose runs are of so many splits."""
    runs = tuple(
        record.runs[0].model_copy(update={"fold": fold, "identity": f"{fold:016}"}) for fold in range(n_splits)
    )
    split = {"kind": "kfold", "folds": n_splits // repeats, "repeats": repeats}
    return record.model_copy(update={"runs": runs, "config": {"data": {"split": split}}})


@pytest.mark.parametrize(
    ("repeats", "english", "french"),
    [
        (1, "10 folds", "10 plis"),
        (2, "5 folds, drawn twice (10 splits)", "5 plis, tirés deux fois (10 partitions)"),
        (5, "2 folds, drawn 5 times (10 splits)", "2 plis, tirés 5 fois (10 partitions)"),
    ],
)
def test_folds_that_are_drawn_again_are_no_more_folds(whole_study, repeats, english, french):
    record = folded(StudyRecord.load(whole_study / "study.json"), 10, repeats)
    words = Words("en")
    assert tell_folds(record, Words("fr")).replace("\xa0", " ") == french
    assert tell_folds(record, words) == english
    assert f"in the first of {english};" in caption_counts(record, words)
    assert f"The study has 1 seed and {english}:" in list_limits(record, [], words, MetricWords(words, "accuracy"))[0]
    assert list_folds(record, words).endswith("0, 1, 2, 3, 4, 5, 6, 7, 8, 9")
    assert list_folds(record, words).startswith("0, 1" if repeats == 1 else f"{english}: 0, 1")


def test_a_study_without_folds_has_none(whole_study):
    record = StudyRecord.load(whole_study / "study.json")
    assert tell_folds(record, Words("en")) == list_folds(record, Words("en")) == ""


def test_a_slide_tells_how_often_the_folds_were_drawn(study_folder, monkeypatch):
    folded(StudyRecord.load(study_folder / "study.json"), 10, 2).save(study_folder / "study.json")
    study, words = read_study(study_folder), Words("en")
    monkeypatch.setattr(slides, "_tell_pictures", lambda *_: None)
    deck = Deck(words, study_folder)
    slides._tell_problem(deck, study, gather(study, words, name=str))
    texts = [shape.text_frame.text for shape in deck.presentation.slides[0].shapes if shape.has_text_frame]
    said = "In the first of 5 folds, drawn twice (10 splits): 45,000 pictures to learn from"
    assert any(said in text for text in texts)
