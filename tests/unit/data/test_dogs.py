"""Stanford Dogs as it is published: its lists of parts, its boxes, and what is said of a damaged list."""

import numpy as np
import pytest
from PIL import Image

from etude.core.errors import DataError
from etude.core.words import Part
from etude.data.prepared import prepare_items
from etude.data.source import open_source
from etude.data.sources.dogs import DogsSource
from etude.pictures.prepare_config import Prepare

scipy_io = pytest.importorskip("scipy.io")
BREEDS = ("n00000001-Pug", "n00000002-Saluki")


def draw(root, boxes=True, lists=True):
    names = []
    for breed in BREEDS:
        for number in range(4):
            name = f"{breed}/{breed[:9]}_{number}"
            pixels = np.zeros((40, 60, 3), np.uint8)
            pixels[10:30, 20:50] = 200
            path = root / "Images" / f"{name}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(path)
            names.append(f"{name}.png")
            if boxes:
                note = root / "Annotation" / name
                note.parent.mkdir(parents=True, exist_ok=True)
                sides = "<xmin>20</xmin>\n<ymin>10</ymin><xmax> 50 </xmax><ymax>30</ymax>"
                note.write_text(f"<annotation><object><bndbox>{sides}</bndbox></object></annotation>")
    if lists:
        (root / "lists").mkdir()
        for listed, chosen in (("train_list", names[::2]), ("test_list", names[1::2][:-1])):
            rows = np.array([[np.array([name])] for name in chosen], object)
            scipy_io.savemat(root / "lists" / f"{listed}.mat", {"file_list": rows})
    return root


def test_official_parts_and_boxes(tmp_path):
    source = open_source(str(draw(tmp_path)))
    assert isinstance(source, DogsSource)
    assert source.classes == ("Pug", "Saluki")
    assert source.items.official.tolist() == [Part.TRAIN, Part.TEST] * 3 + [Part.TRAIN, Part.LEFT_OUT]
    assert source.notes == ("1 picture is left out, as no official list names it.",)
    assert source.box(0) == (20.0, 10.0, 50.0, 30.0)
    prepared = prepare_items(source, np.arange(8), Prepare(size_px=8, crop_to_box=True))
    assert (prepared.pictures_NHWC > 100).all()
    whole = prepare_items(source, np.arange(8), Prepare(size_px=8))
    assert (whole.pictures_NHWC[:, 0] == 0).all()


def test_boxes_without_lists_and_lists_without_boxes(tmp_path):
    boxes = open_source(str(draw(tmp_path / "a", lists=False)))
    assert boxes.items.official is None
    assert boxes.box(3) is not None
    lists = open_source(str(draw(tmp_path / "b", boxes=False)))
    assert lists.items.official is not None
    assert lists.box(3) is None


def test_a_box_is_part_of_the_content(tmp_path):
    root = draw(tmp_path)
    before = open_source(str(root)).fingerprint()
    (root / "Annotation/n00000001-Pug/n00000001_0").write_text("<xmin>1</xmin>")
    changed = open_source(str(root))
    assert changed.box(0) is None
    assert changed.fingerprint() != before


def test_a_damaged_list_is_told(tmp_path):
    root = draw(tmp_path)
    (root / "lists/test_list.mat").write_bytes(b"no matlab")
    with pytest.raises(DataError, match=r"test_list\.mat must be a MATLAB file"):
        open_source(str(root))
