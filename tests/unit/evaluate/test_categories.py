"""Classes put together into categories: those that Cityscapes itself has, and IoU counted after, not before."""

from __future__ import annotations

import numpy as np
import pytest

from etude.data.sources.camvid import CLASSES as CAMVID
from etude.data.sources.cityscapes import CATEGORIES, CLASSES
from etude.evaluate.categories import CATEGORY_OF, category_ious, class_ious


@pytest.mark.parametrize(("name", "number"), CLASSES.items(), ids=CLASSES)
def test_a_class_is_in_the_category_that_its_label_id_is_in(name: str, number: int) -> None:
    """A study of `labels: classes` and one of `labels: categories` must speak of the same things."""
    assert [category for category, ids in CATEGORIES.items() if number in ids] == [CATEGORY_OF[name]]


def test_every_class_of_camvid_has_a_category() -> None:
    assert {CATEGORY_OF[name] for name in CAMVID} == set(CATEGORIES) - {"void"}


def test_a_wall_taken_for_a_fence_is_right_of_the_category() -> None:
    classes = ("wall", "fence", "car")
    confusion = np.array([[10, 5, 0], [5, 20, 2], [0, 8, 50]])
    assert class_ious(confusion, classes) == {"wall": 10 / 20, "fence": 20 / 40, "car": 50 / 60}
    assert category_ious(confusion, classes) == {"construction": 40 / 50, "vehicle": 50 / 60}


def test_a_category_of_which_nothing_is_there_has_no_score() -> None:
    ious = category_ious(np.array([[7, 0], [0, 0]]), ("sky", "car"))
    assert ious == {"sky": 1.0, "vehicle": None}


@pytest.mark.parametrize("classes", [tuple(CATEGORIES), ("road", "cat")], ids=["categories themselves", "others"])
def test_where_classes_are_none_of_streets_there_are_no_categories(classes: tuple[str, ...]) -> None:
    assert category_ious(np.eye(len(classes), dtype=np.int64), classes) == {}
