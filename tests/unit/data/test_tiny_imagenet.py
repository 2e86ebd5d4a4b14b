"""Tiny ImageNet as it is published: names, parts, and what is said of a damaged copy."""

import numpy as np
import pytest
from PIL import Image

from etude.core.errors import DataError
from etude.core.words import Part
from etude.data.source import open_source
from etude.data.split import SplitConfig, make_splits


def draw(
    root,
    words="n01\tcrane, bird\nn02\tcrane, machine\n",
    annotations="v0.JPEG\tn02\t0\t0\t1\t1\nv1.JPEG\tn01\t0\t0\t1\t1\n",
):
    for synset in ("n01", "n02"):
        for number in range(6):
            path = root / "train" / synset / "images" / f"{synset}_{number}.JPEG"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((8, 8, 3), number, np.uint8)).save(path)
    (root / "val/images").mkdir(parents=True)
    for number in range(2):
        Image.fromarray(np.full((8, 8, 3), 99, np.uint8)).save(root / "val/images" / f"v{number}.JPEG")
    (root / "val/val_annotations.txt").write_text(annotations)
    (root / "wnids.txt").write_text("n01\nn02\n")
    (root / "words.txt").write_text(words)
    return root


def test_classes_parts_and_labels(tmp_path):
    source = open_source(str(draw(tmp_path)))
    assert source.classes == ("crane (n01)", "crane (n02)")
    assert len(source.items) == 14
    by_id = dict(zip(source.items.ids.tolist(), source.items.labels.tolist(), strict=True))
    assert by_id["val/images/v0.JPEG"] == 1
    assert by_id["train/n01/images/n01_3.JPEG"] == 0
    (parts,) = make_splits(source.items, 2, SplitConfig(validation=0.2))
    assert (parts[12:] == Part.TEST).all()
    assert set(parts[:12].tolist()) == {Part.TRAIN, Part.VALIDATION}


@pytest.mark.parametrize("line", ["v0.JPEG\tn99\n", "v0.JPEG\n", "../v0.JPEG\tn01\n"])
def test_a_damaged_annotation_is_told_with_its_line(tmp_path, line):
    with pytest.raises(DataError, match="line 1 must be a file name"):
        open_source(str(draw(tmp_path, annotations=line)))


def test_a_missing_class_folder_is_told(tmp_path):
    root = draw(tmp_path)
    (root / "wnids.txt").write_text("n01\nn02\nn03\n")
    with pytest.raises(DataError, match="n03"):
        open_source(str(root))
