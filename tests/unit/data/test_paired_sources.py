"""Pictures with masks: what ids and colours become, which pictures are paired, and what is said where they cannot be."""

import numpy as np
import pytest
from PIL import Image

from etude.check import check_source
from etude.core.errors import DataError
from etude.core.words import Part
from etude.data.prepared import check_ids, read_item
from etude.data.source import open_source
from etude.data.sources import camvid, cityscapes
from etude.data.split import SplitConfig, make_splits
from etude.pictures.prepare_config import Prepare


def save(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(array, np.uint8)).save(path)


def picture(seed=0):
    return np.random.default_rng(seed).integers(0, 256, (4, 6, 3))


def camvid_folder(root):
    for part, names in (("train", ("0001TP_1", "0016E5_1", "0016E5_2")), ("val", ("0016E5_9",))):
        for place, name in enumerate(names):
            save(root / part / f"{name}.png", picture(place))
            save(root / f"{part}annot" / f"{name}.png", np.full((4, 6), 11 if place else 8))
    return root


def test_camvid_knows_its_videos_its_parts_and_void(tmp_path):
    source = open_source(str(camvid_folder(tmp_path / "camvid")), task="segmentation")
    assert source.items.groups.tolist() == ["0001TP", "0016E5", "0016E5", "0016E5"]
    assert source.items.official.tolist() == [Part.TRAIN] * 3 + [Part.VALIDATION]
    assert source.classes[8] == "car"
    assert (source.mask(0) == 8).all()
    assert (source.mask(1) == 255).all()
    (parts,) = make_splits(source.items, 11, SplitConfig())
    assert parts[3] == Part.TEST
    found = {finding.kind: finding for finding in check_source(source).findings}
    assert found["leak-group"].files == ("val/0016E5_9.png",)


def test_a_picture_without_a_mask_is_passed_over_and_told(tmp_path):
    root = camvid_folder(tmp_path / "camvid")
    (root / "trainannot/0001TP_1.png").unlink()
    source = open_source(str(root), task="segmentation")
    assert len(source.items) == 3
    assert source.notes == ("1 picture without a mask was passed over.",)


def test_the_original_colours_become_the_eleven_classes(tmp_path):
    labels = [label for labels in camvid._ORIGINAL_LABELS.values() for label in labels]
    lines = [f"{number} 7 9 {label}" for number, label in enumerate(labels)] + ["200 1 1 Void", ""]
    save(tmp_path / "701_StillsRaw_full/0001TP_1.png", picture())
    mask = np.zeros((4, 6, 3))
    mask[..., 0], mask[..., 1], mask[..., 2] = labels.index("Truck_Bus"), 7, 9
    mask[0, 0] = (200, 1, 1)
    save(tmp_path / "LabeledApproved_full/0001TP_1_L.png", mask)
    (tmp_path / "label_colors.txt").write_text("\n".join(lines))
    source = open_source(str(tmp_path), task="segmentation")
    assert source.mask(0)[0, 0] == 255
    assert set(source.mask(0).ravel()[1:].tolist()) == {source.classes.index("car")}
    (tmp_path / "label_colors.txt").write_text("1 2 3 Sky\n1 2 Road\n")
    with pytest.raises(DataError, match="line 2"):
        open_source(str(tmp_path), task="segmentation")
    (tmp_path / "label_colors.txt").write_text("1 2 3 Sky\n")
    with pytest.raises(DataError, match="Building"):
        open_source(str(tmp_path), task="segmentation")


def cityscapes_folder(root):
    for part, city, number in (
        ("train", "ulm", 26),
        ("train", "bonn", 5),
        ("val", "lindau", 24),
        ("test", "berlin", 0),
    ):
        save(root / "leftImg8bit" / part / city / f"{city}_1_2_leftImg8bit.png", picture(number))
        save(root / "gtFine" / part / city / f"{city}_1_2_gtFine_labelIds.png", np.full((4, 6), number))
        save(root / "gtFine" / part / city / f"{city}_1_2_gtFine_color.png", picture())
    return root


def test_cityscapes_by_class_and_by_category(tmp_path):
    root = cityscapes_folder(tmp_path / "cityscapes")
    source = open_source(str(root), task="segmentation")
    assert len(source.classes) == 19
    assert source.items.groups.tolist() == ["train/bonn", "train/ulm", "val/lindau"]
    assert source.items.official.tolist() == [Part.TRAIN, Part.TRAIN, Part.TEST]
    named = [None if (ids := source.mask(place))[0, 0] == 255 else source.classes[ids[0, 0]] for place in range(3)]
    assert named == [None, "car", "person"]
    assert any("not public" in note for note in source.notes)
    coarse = open_source(str(root), task="segmentation", labels="categories")
    assert [coarse.classes[coarse.mask(place)[0, 0]] for place in range(3)] == ["void", "vehicle", "human"]
    assert coarse.fingerprint() != source.fingerprint()


def test_categories_are_refused_of_all_but_cityscapes(tmp_path):
    for spec in ("streets", str(camvid_folder(tmp_path / "camvid"))):
        with pytest.raises(DataError, match="classes, as only Cityscapes has categories and this is") as caught:
            open_source(spec, task="segmentation", labels="categories")
        assert caught.value.field == ("data", "labels")


def test_cityscapes_tables_are_whole():
    assert len(cityscapes.CLASSES) == len(set(cityscapes.CLASSES.values())) == 19
    ids = [number for numbers in cityscapes.CATEGORIES.values() for number in numbers]
    assert ids == list(range(34))
    assert len(cityscapes.CATEGORIES) == 8


def mask_folder(root, classes, mask):
    save(root / "images/a.png", picture())
    save(root / "masks/a.png", mask)
    (root / "classes.txt").write_text(classes)
    return root


def test_other_colours_of_the_classes_are_other_data(tmp_path):
    """The same files mean other masks: runs and prepared pictures of before are not those of now."""
    colours = np.zeros((4, 6, 3))
    colours[:, 3:] = (0, 255, 0)
    colours[:, :3] = (0, 0, 255)
    found = []
    for text in ("road 0 255 0\nsky 0 0 255\n", "road 0 0 255\nsky 0 255 0\n", "road 0 255 0\nsky 0 0 255\n- 9 9 9\n"):
        source = open_source(str(mask_folder(tmp_path / "a", text, colours)), task="segmentation")
        found.append((source.fingerprint(), source.mask(0)[0, 0]))
    assert [label for _, label in found] == [1, 0, 1]
    assert len({key for key, _ in found}) == 3


def test_two_masks_of_one_name_are_refused(tmp_path):
    root = mask_folder(tmp_path / "a", "road\nopen sky\n", np.ones((4, 6)))
    save(root / "masks/a.bmp", np.zeros((4, 6)))
    with pytest.raises(DataError, match=r"one mask named a\. Got 'a\.bmp and a\.png"):
        open_source(str(root), task="segmentation")


def test_masks_by_ids_and_by_colours(tmp_path):
    by_id = open_source(str(mask_folder(tmp_path / "a", "road\nopen sky\n", np.ones((4, 6)))), task="segmentation")
    assert by_id.classes == ("road", "open sky")
    assert (by_id.mask(0) == 1).all()
    colours = np.zeros((4, 6, 3))
    colours[0] = (9, 9, 9)
    colours[1:] = (0, 255, 0)
    root = mask_folder(tmp_path / "b", "road 0 255 0\nopen sky 0 0 255\n- 9 9 9\n", colours)
    by_colour = open_source(str(root), task="segmentation")
    assert by_colour.classes == ("road", "open sky")
    assert (by_colour.mask(0)[0] == 255).all()
    assert (by_colour.mask(0)[1:] == 0).all()


def test_ids_that_name_no_class_are_found_by_the_check(tmp_path):
    source = open_source(str(mask_folder(tmp_path / "a", "road\nsky\n", np.full((4, 6), 9))), task="segmentation")
    kinds = {finding.kind for finding in check_source(source).findings}
    assert "mask-ids" in kinds


def strayed(known, stray):
    """Return a mask of one id, but for a pixel in its corner."""
    mask = np.full((4, 6), known)
    mask[0, 0] = stray
    return mask


def spoilt_camvid(root):
    save(camvid_folder(root) / "trainannot/0001TP_1.png", strayed(8, 12))
    return root


def spoilt_cityscapes(root):
    save(cityscapes_folder(root) / "gtFine/train/bonn/bonn_1_2_gtFine_labelIds.png", strayed(7, 34))
    return root


@pytest.mark.parametrize(
    ("folder", "labels", "told"),
    [
        (spoilt_camvid, "classes", "ids between 0 and 10, or 255 for void. Got 12"),
        (spoilt_cityscapes, "classes", "ids between 0 and 18, or 255 for void. Got 34"),
        (spoilt_cityscapes, "categories", "ids between 0 and 7, or 255 for void. Got 34"),
    ],
)
def test_an_id_that_the_layout_does_not_know_is_refused_and_found(tmp_path, folder, labels, told):
    source = open_source(str(folder(tmp_path / "street")), task="segmentation", labels=labels)
    # At 2 × 2 the corner is no pixel's nearest: a mask is looked at whole, as scores are counted there.
    for prepare in (Prepare(size_px=(4, 6)), Prepare(size_px=(2, 2))):
        with pytest.raises(DataError, match=told):
            read_item(source, 0, prepare)
    (found,) = [finding for finding in check_source(source).findings if finding.kind == "mask-ids"]
    assert found.files == (str(source.items.ids[0]),)
    assert told.rsplit(" ", 1)[-1] in found.sentence


def test_every_id_that_cityscapes_has_for_void_is_void_and_none_is_refused(tmp_path):
    root = cityscapes_folder(tmp_path / "cityscapes")
    ids = np.append(np.arange(34), 255)
    save(root / "leftImg8bit/train/bonn/bonn_1_2_leftImg8bit.png", np.zeros((5, 7, 3)))
    save(root / "gtFine/train/bonn/bonn_1_2_gtFine_labelIds.png", ids.reshape(5, 7))
    source = open_source(str(root), task="segmentation")
    _, mask = read_item(source, 0, Prepare(size_px=(5, 7)))
    scored = list(cityscapes.CLASSES.values())
    assert mask.ravel().tolist() == [scored.index(number) if number in scored else 255 for number in ids.tolist()]


def test_a_colour_that_nobody_named_is_refused(tmp_path):
    colours = np.zeros((4, 6, 3))
    colours[1:] = (0, 255, 0)
    classes = "road 0 255 0\nopen sky 0 0 255\n"
    black = open_source(str(mask_folder(tmp_path / "a", classes, colours)), task="segmentation")
    assert (black.mask(0)[0] == 255).all()
    colours[2, 3] = (9, 9, 9)
    source = open_source(str(mask_folder(tmp_path / "b", classes, colours)), task="segmentation")
    told = r"a mask of 2 colours, or \(0, 0, 0\) for void\. Got \(9, 9, 9\)"
    with pytest.raises(DataError, match=told):
        read_item(source, 0, Prepare(size_px=(4, 6)))
    assert "mask-unreadable" in {finding.kind for finding in check_source(source).findings}


@pytest.mark.parametrize("classes", ["", "road\n", "road\nroad\n", "road 1 2 3\nsky\n", "road\nsky\n- 1 2 3\n"])
def test_class_names_that_do_not_hold_are_told(tmp_path, classes):
    with pytest.raises(DataError, match=r"classes\.txt must be two to 255"):
        open_source(str(mask_folder(tmp_path / "a", classes, np.ones((4, 6)))), task="segmentation")


def test_real_street_scenes(real_data):
    source = open_source(str(real_data / "camvid"), task="segmentation")
    assert len(source.items) == 468
    assert set(source.items.groups.tolist()) == {"0001TP", "0006R0", "0016E5"}
    assert source.mask(0).shape == (360, 480)
    for index in range(len(source.items)):
        check_ids(source.mask(index), len(source.classes), str(source.items.ids[index]))
