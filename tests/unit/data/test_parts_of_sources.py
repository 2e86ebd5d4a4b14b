"""Some classes of a source, and one class against the rest: other labels, the very same pictures."""

from __future__ import annotations

import numpy as np
import pytest

from etude.core.errors import DataError
from etude.core.words import Part
from etude.data.items import UNLABELLED, Items, texts
from etude.data.sources.binary import BinarySource
from etude.data.sources.chosen import ChosenSource

CLASSES = ("Cat", "Dog", "Fox", "Owl")
LABELS = [0, 1, 2, 3, 2, 1, 0, UNLABELLED]


class Zoo:
    """Eight pictures of four classes, one of them without a label."""

    kind = "classification"

    def __init__(self, classes=CLASSES):
        self.classes, self.name, self.licence, self.notes = classes, "zoo", "CC0", ("drawn",)
        self.pictures = [f"picture {index}".encode() for index in range(8)]
        official = np.array([Part.TRAIN] * 5 + [Part.TEST] * 3, np.int8)
        groups = texts(f"day{index // 2}" for index in range(8))
        self.items = Items(texts(f"{index}.png" for index in range(8)), np.array(LABELS, np.int32), official, groups)

    def raw(self, index):
        return self.pictures[index]

    def mask(self, index):
        return None

    def box(self, index):
        return (index, 0, index + 1, 1)

    def fingerprint(self):
        return "whole"


def test_the_classes_are_numbered_in_the_order_in_which_they_are_given():
    chosen = ChosenSource(Zoo(), ["fox", "Cat", "FOX"])
    assert chosen.classes == ("Fox", "Cat")
    assert chosen.items.labels.tolist() == [1, 0, 0, 1]
    assert chosen.items.labels.dtype == np.int32
    assert chosen.items.ids.tolist() == ["0.png", "2.png", "4.png", "6.png"]
    assert chosen.name == "zoo:Fox+Cat"
    assert (chosen.licence, chosen.notes, chosen.kind) == ("CC0", ("drawn",), "classification")


def test_pictures_boxes_parts_and_groups_are_those_of_the_source():
    chosen = ChosenSource(Zoo(), ["Dog", "Owl"])
    assert [chosen.raw(index) for index in range(3)] == [b"picture 1", b"picture 3", b"picture 5"]
    assert [chosen.box(index)[0] for index in range(3)] == [1, 3, 5]
    assert chosen.mask(0) is None
    assert chosen.items.official.tolist() == [Part.TRAIN, Part.TRAIN, Part.TEST]
    assert chosen.items.groups.tolist() == ["day0", "day1", "day2"]


def test_an_unknown_class_is_told_with_the_nearest():
    with pytest.raises(DataError, match=r"data\.classes.*'Foks'.*Fox"):
        ChosenSource(Zoo(), ["Cat", "Foks"])


@pytest.mark.parametrize(("make", "used", "unused"), [
    (lambda zoo: ChosenSource(zoo, ["Cat", "Dog"]), 5, 2),
    (lambda zoo: BinarySource(zoo, "fox"), 4, None),
])  # fmt: skip
def test_the_fingerprint_is_of_what_is_used(make, used, unused):
    before = make(Zoo()).fingerprint()
    assert make(Zoo()).fingerprint() == before
    zoo = Zoo()
    zoo.pictures[used] = b"another"
    assert make(zoo).fingerprint() != before
    if unused is not None:
        zoo = Zoo()
        zoo.pictures[unused] = b"another"
        assert make(zoo).fingerprint() == before
    assert ChosenSource(Zoo(), ["Dog", "Cat"]).fingerprint() != before, "other labels are another content"


def test_one_class_is_told_from_all_others_and_the_unlabelled_stay_so():
    binary = BinarySource(Zoo(), "OWL")
    assert binary.classes == ("not Owl", "Owl")
    assert binary.items.labels.tolist() == [0, 0, 0, 1, 0, 0, 0, UNLABELLED]
    assert binary.name == "zoo:Owl"


def test_where_a_class_has_a_negative_class_only_these_two_are_used():
    binary = BinarySource(Zoo(("Cat", "Cat_negative_class", "Fox", "Owl")), "cat")
    assert binary.items.ids.tolist() == ["0.png", "1.png", "5.png", "6.png"]
    assert binary.items.labels.tolist() == [1, 0, 0, 1]
    assert binary.raw(2) == b"picture 5"


def test_a_positive_class_that_is_not_there_is_told_without_the_negative_ones():
    with pytest.raises(DataError) as caught:
        BinarySource(Zoo(("Cat", "Cat_negative_class", "Fox", "Owl")), "cet")
    assert "Cat" in str(caught.value)
    assert "negative" not in str(caught.value)
