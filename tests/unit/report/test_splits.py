"""How the pictures were parted, in words."""

from __future__ import annotations

from typing import get_args

import pytest

from etude.data.split import SplitConfig, SplitKind
from etude.report.splits import tell_split
from etude.report.words import Words


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
    assert "drawn 3 times" in text
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
