"""The colours of masks: a reader must tell classes apart, and know them again from one report to the next."""

from __future__ import annotations

import numpy as np
import pytest

from etude.data.sources.camvid import CLASSES as CAMVID
from etude.data.sources.cityscapes import CATEGORIES, CLASSES
from etude.pictures.palette import VOID_RGB, palette_of

SETS = {
    "Cityscapes by class": tuple(CLASSES),
    "Cityscapes by category": tuple(CATEGORIES),
    "CamVid": tuple(CAMVID),
    "names of nobody": tuple(f"thing {number}" for number in range(30)),
}


@pytest.mark.parametrize("classes", SETS.values(), ids=SETS)
def test_no_two_classes_have_one_colour_and_black_is_void_alone(classes: tuple[str, ...]) -> None:
    palette = palette_of(classes)
    assert palette.shape == (256, 3)
    assert palette.dtype == np.uint8
    own = [tuple(color) for color in palette[: len(classes)].tolist()]
    assert len(set(own)) == len(classes)
    assert [name for name, color in zip(classes, own, strict=True) if color == VOID_RGB] in ([], ["void"])
    assert not palette[len(classes) :].any()


def test_a_class_has_its_colour_whatever_stands_beside_it() -> None:
    one, other = palette_of(["sky", "moon", "road"]), palette_of(["road", "sky", "moon"])
    assert one[[0, 1, 2]].tolist() == other[[1, 2, 0]].tolist()


@pytest.mark.parametrize(
    ("camvid", "cityscapes"), [("pavement", "sidewalk"), ("tree", "vegetation"), ("pedestrian", "person")]
)
def test_what_means_the_same_looks_the_same(camvid: str, cityscapes: str) -> None:
    assert palette_of([camvid])[0].tolist() == palette_of([cityscapes])[0].tolist()
