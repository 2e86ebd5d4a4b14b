"""Items: columns that agree, ids that differ, and little memory."""

import numpy as np
import pytest

from etude.core.errors import DataError
from etude.core.words import Part
from etude.data.items import Items, check_classes, part_named, texts


def test_a_hundred_thousand_pictures_take_less_than_200_bytes_each():
    ids = texts(f"train/n02085620-Chihuahua/n02085620_{row}.jpg" for row in range(100_000))
    groups = texts(f"patient-{row // 10}" for row in range(100_000))
    items = Items(ids, np.zeros(100_000, np.int32), np.zeros(100_000, np.int8), groups)
    longest = max(len(text) for text in ids[-10:])
    held = sum(column.nbytes for column in (items.ids, items.labels, items.official, items.groups))
    assert held / len(items) + longest + 16 < 200  # long texts lie beside the column


def test_the_same_id_twice_is_an_error_that_names_it():
    with pytest.raises(DataError, match=r"different.*'b\.png'"):
        Items(texts(["a.png", "b.png", "b.png"]), np.zeros(3, np.int32))


def test_columns_of_other_lengths_are_a_fault():
    with pytest.raises(ValueError, match="official has 1 rows"):
        Items(texts(["a", "b"]), np.zeros(2, np.int32), np.zeros(1, np.int8))


def test_take_keeps_every_column():
    items = Items(texts("abc"), np.arange(3, dtype=np.int32), np.array([0, 1, 2], np.int8), texts("xyz"))
    taken = items.take(np.array([2, 0]))
    assert taken.ids.tolist() == ["c", "a"]
    assert taken.labels.tolist() == [2, 0]
    assert taken.official.tolist() == [2, 0]
    assert taken.groups.tolist() == ["z", "x"]


@pytest.mark.parametrize(
    ("word", "part"),
    [("train", Part.TRAIN), ("Training", Part.TRAIN), ("VAL", Part.VALIDATION), (" test ", Part.TEST), ("cat", None)],
)
def test_parts_are_known_by_their_usual_names(word, part):
    assert part_named(word) is part


@pytest.mark.parametrize(
    ("classes", "labels", "said"),
    [
        (("a", "b"), [], "with pictures"),
        (("a", "b", "c"), [0, 2, 0], r"every class.*\['b'\]"),
        (("a", "b"), [0, 1, 2], r"between 0 and 1\. Got 2"),
        (("a", "b"), [0, 1, -2], r"Got -2"),
    ],
)
def test_there_must_be_something_to_learn(classes, labels, said):
    with pytest.raises(DataError, match=said) as caught:
        check_classes(classes, np.array(labels, np.int32), "pets")
    assert "pets" in str(caught.value)
