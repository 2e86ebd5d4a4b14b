"""CSV files: columns by name or by place, boxes, and all faulty rows at once."""

import numpy as np
import pytest
from PIL import Image

from etude.core.errors import DataError
from etude.core.words import Part
from etude.data.prepared import prepare_items
from etude.data.sources.table import TableSource
from etude.pictures.prepare_config import Prepare


def write(tmp_path, text):
    for number in range(4):
        pixels = np.zeros((20, 20, 3), np.uint8)
        pixels[5:10, 5:10] = 50 * number
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    path = tmp_path / "pets.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("mark", [",", ";", "\t"])
def test_columns_by_name_in_any_order(tmp_path, mark):
    rows = ["Group,label,path,split,other", "a,dog,0.png,train,x", "a,cat,1.png,test,x", "b,,2.png,val,x"]
    source = TableSource(write(tmp_path, "\ufeff" + "\r\n".join(rows).replace(",", mark) + "\r\n\r\n"))
    assert source.classes == ("cat", "dog")
    assert source.items.ids.tolist() == ["0.png", "1.png", "2.png"]
    assert source.items.labels.tolist() == [1, 0, -1]
    assert source.items.official.tolist() == [Part.TRAIN, Part.TEST, Part.VALIDATION]
    assert source.items.groups.tolist() == ["a", "a", "b"]
    assert source.raw(1) == (tmp_path / "1.png").read_bytes()


def test_without_a_head_the_columns_are_path_label_part_group(tmp_path):
    source = TableSource(write(tmp_path, '0.png,"dog, small"\n1.png,cat\n'))
    assert source.classes == ("cat", "dog, small")
    assert source.items.official is None


def test_boxes_are_used_when_asked_for(tmp_path):
    head = "path,label,xmin,ymin,xmax,ymax\n"
    source = TableSource(write(tmp_path, head + "1.png,cat,5,5,10,10\n2.png,dog,5,5,10,10\n3.png,dog,,,,\n"))
    assert source.box(0) == (5, 5, 10, 10)
    assert source.box(2) is None
    prepared = prepare_items(source, np.arange(2), Prepare(size_px=5, crop_to_box=True))
    assert (prepared.pictures_NHWC[0] == 50).all()
    assert (prepared.pictures_NHWC[1] == 100).all()
    moved = TableSource(write(tmp_path, head + "1.png,cat,5,5,10,11\n2.png,dog,5,5,10,10\n3.png,dog,,,,\n"))
    assert moved.fingerprint() != source.fingerprint()


def test_all_faulty_rows_are_reported_together(tmp_path):
    text = "path,label,part,left,top,right,bottom\n0.png,cat,train,0,0,x,9\n,dog,test,,,,\n1.png,dog,exam,,,,\n2.png\n"
    with pytest.raises(DataError) as caught:
        TableSource(write(tmp_path, text))
    said = str(caught.value)
    for fault in ("line 2: right 'x'", "line 3: no path", "line 4: part 'exam'", "line 5: 1 cells, 7 needed"):
        assert fault in said
    many = "path,label\n" + "0.png\n" * 50
    with pytest.raises(DataError, match="and 30 more"):
        TableSource(write(tmp_path, many))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "columns path and label"),
        ("a,b\nc,d\n", "columns path and label"),
        ("path,label\n", "with pictures"),
        ("path,label\n0.png,cat\n0.png,dog\n", "different from each other. Got '0.png'"),
    ],
)
def test_what_does_not_hold_is_said(tmp_path, text, said):
    with pytest.raises(DataError, match=said):
        TableSource(write(tmp_path, text))


def test_a_file_that_is_no_utf8(tmp_path):
    path = tmp_path / "pets.csv"
    path.write_bytes(b"path,label\ncaf\xe9.png,cat\n")
    with pytest.raises(DataError, match="Save it as UTF-8"):
        TableSource(path)


def test_a_missing_picture_is_named_when_it_is_read(tmp_path):
    source = TableSource(write(tmp_path, "path,label\n0.png,cat\ngone.png,dog\n"))
    with pytest.raises(DataError, match=r"gone\.png must be a file that can be read. Got 'No such file"):
        prepare_items(source, np.arange(2), Prepare(size_px=4))
