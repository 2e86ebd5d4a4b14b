"""One suite over every source: the registered ones, and each layout on a tiny fake drawn here."""

import csv
import io
import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from etude.core.words import Part
from etude.data.prepared import prepare_items
from etude.data.source import LAYOUTS, SOURCES, open_source
from etude.data.sources.shapes import shapes
from etude.data.sources.streets import streets
from etude.data.split import SplitConfig, make_splits
from etude.pictures.prepare_config import Prepare
from etude.pictures.reading import decode

CLASSES = ("cat", "dog", "owl")


def picture(number, size=(12, 10)):
    return Image.fromarray(np.random.default_rng(number).integers(0, 256, (*size, 3), dtype=np.uint8))


def encoded(number, file_format="PNG"):
    buffer = io.BytesIO()
    picture(number).save(buffer, file_format)
    return buffer.getvalue()


def draw_folders(root, parts=("",), n=6, prefix=""):
    for part in parts:
        for label, name in enumerate(CLASSES):
            folder = root / part / f"{prefix}{name}"
            folder.mkdir(parents=True)
            for number in range(n):
                picture(len(part) * 100 + label * 10 + number).save(folder / f"{number}.png")
    return root


def draw_flat(tmp_path):
    return draw_folders(tmp_path / "pets")


def draw_parts(tmp_path):
    return draw_folders(tmp_path / "pets", ("train", "test"))


def draw_dogs(tmp_path):
    draw_folders(tmp_path / "pets" / "Images", prefix="n02085620-")
    return tmp_path / "pets"


def draw_parquet(tmp_path):
    pa, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    features = {"image": {"_type": "Image"}, "label": {"names": list(CLASSES), "_type": "ClassLabel"}}
    for number, shard in enumerate(("train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001")):
        rows = [{"bytes": encoded(number * 10 + row), "path": None} for row in range(9)]
        table = pa.table({"image": rows, "label": [row % 3 for row in range(9)]})
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
        (tmp_path / "pets" / "data").mkdir(parents=True, exist_ok=True)
        parquet.write_table(table, tmp_path / "pets" / "data" / f"{shard}.parquet", row_group_size=4)
    return tmp_path / "pets"


def draw_table(tmp_path):
    draw_folders(tmp_path / "pictures")
    path = tmp_path / "pets.csv"
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["path", "label", "part", "group"])
        for label, name in enumerate(CLASSES):
            for number in range(6):
                part = "test" if number >= 4 else "train"
                rows.writerow([f"pictures/{name}/{number}.png", name, part, f"{part}-{label}-{number // 2}"])
    return path


def draw_cifar(tmp_path, name="cifar-10-batches-bin"):
    folder = tmp_path / "set" / name
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    label_bytes = 1 if "10-" in name else 2
    files = (
        ("data_batch_1.bin", "data_batch_2.bin", "test_batch.bin") if label_bytes == 1 else ("train.bin", "test.bin")
    )
    for file in files:
        rows = rng.integers(0, 256, (12, label_bytes + 3072), dtype=np.uint8)
        rows[:, label_bytes - 1] = np.arange(12) % 3
        rows.tofile(folder / file)
    names = "batches.meta.txt" if label_bytes == 1 else "fine_label_names.txt"
    (folder / names).write_text("\n".join(CLASSES) + "\n\n")
    return tmp_path / "set"


def draw_cifar100(tmp_path):
    return draw_cifar(tmp_path, "cifar-100-binary")


def save_mask(path, ids):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(ids).save(path)


def ids_of(number, n_ids=3, size=(12, 10)):
    return np.random.default_rng(number).integers(0, n_ids, size, dtype=np.uint8)


def draw_camvid(tmp_path):
    for part, videos in (("train", ("0001TP", "0006R0", "0016E5")), ("val", ("Seq05VD",))):
        for place, video in enumerate(videos):
            for frame in range(3):
                name, number = f"{video}_{frame:06d}", len(part) * 100 + place * 10 + frame
                (tmp_path / "street" / part).mkdir(parents=True, exist_ok=True)
                picture(number).save(tmp_path / "street" / part / f"{name}.jpg")
                save_mask(tmp_path / "street" / f"{part}annot" / f"{name}.png", ids_of(number, 12))
    return tmp_path / "street"


def draw_camvid_original(tmp_path):
    from etude.data.sources.camvid import _ORIGINAL_LABELS

    names = [*(label for labels in _ORIGINAL_LABELS.values() for label in labels), "Void"]
    colours = np.array([(number * 8, 255 - number, number * 3 % 256) for number in range(len(names))], np.uint8)
    root = tmp_path / "street"
    for video in ("0001TP", "0006R0", "0016E5", "Seq05VD"):
        for frame in range(2):
            number = frame + len(video) * 10 + ord(video[3])
            (root / "701_StillsRaw_full").mkdir(parents=True, exist_ok=True)
            picture(number).save(root / "701_StillsRaw_full" / f"{video}_{frame:05d}.png")
            labels = ids_of(number, len(names))
            save_mask(root / "LabeledApproved_full" / f"{video}_{frame:05d}_L.png", colours[labels])
    lines = [f"{red} {green} {blue}\t\t{name}" for (red, green, blue), name in zip(colours, names, strict=True)]
    (root / "label_colors.txt").write_text("\n".join(lines) + "\n")
    return root


def draw_cityscapes(tmp_path):
    root = tmp_path / "street"
    for part, cities in (("train", ("aachen", "bonn", "ulm")), ("val", ("lindau",)), ("test", ("berlin",))):
        for city in cities:
            for frame in range(2):
                stem, number = f"{city}_000000_{frame:06d}", len(city) * 10 + frame
                (root / "leftImg8bit" / part / city).mkdir(parents=True, exist_ok=True)
                picture(number).save(root / "leftImg8bit" / part / city / f"{stem}_leftImg8bit.png")
                save_mask(root / "gtFine" / part / city / f"{stem}_gtFine_labelIds.png", ids_of(number, 34))
    return root


def draw_masks(tmp_path, classes="cat\ndog\nbig owl\n", colours=None):
    root = tmp_path / "pets"
    for part in ("train", "test"):
        for number in range(6):
            (root / "images" / part).mkdir(parents=True, exist_ok=True)
            picture(len(part) * 10 + number).save(root / "images" / part / f"{number}.png")
            ids = ids_of(len(part) * 10 + number)
            save_mask(root / "masks" / part / f"{number}.png", ids if colours is None else colours[ids])
    (root / "classes.txt").write_text(classes)
    return root


def draw_palette(tmp_path):
    colours = np.array([(1, 2, 3), (255, 0, 0), (0, 0, 255)], np.uint8)
    return draw_masks(tmp_path, "cat 1 2 3\ndog 255 0 0\nbig owl 0 0 255\n", colours)


def draw_tiny_imagenet(tmp_path):
    root, synsets = tmp_path / "tiny", ["n01", "n02", "n03"]
    rows = []
    for label, synset in enumerate(synsets):
        for number in range(4):
            (root / "train" / synset / "images").mkdir(parents=True, exist_ok=True)
            picture(label * 10 + number).save(root / "train" / synset / "images" / f"{synset}_{number}.JPEG")
        (root / "val" / "images").mkdir(parents=True, exist_ok=True)
        for number in range(2):
            picture(100 + label * 10 + number).save(root / "val" / "images" / f"val_{label * 2 + number}.JPEG")
            rows.append(f"val_{label * 2 + number}.JPEG\t{synset}\t0\t0\t9\t9")
    (root / "val" / "val_annotations.txt").write_text("\n".join(rows) + "\n")
    (root / "wnids.txt").write_text("\n".join(synsets) + "\n")
    (root / "words.txt").write_text("n01\tcat, true cat\nn02\tdog\nn03\tbig owl, owl\nn04\tother\n")
    return root


def draw_official_dogs(tmp_path):
    scipy_io = pytest.importorskip("scipy.io")
    root = draw_dogs(tmp_path)
    names = sorted(path.relative_to(root / "Images").as_posix() for path in root.glob("Images/*/*.png"))
    (root / "lists").mkdir()
    for listed, chosen in (("train_list", names[::2]), ("test_list", names[1::2])):
        rows = np.array([[np.array([name])] for name in chosen], object)
        scipy_io.savemat(root / "lists" / f"{listed}.mat", {"file_list": rows})
    return root


DRAWN = {
    "official-dogs": draw_official_dogs,
    "tiny-imagenet": draw_tiny_imagenet,
    "camvid": draw_camvid,
    "camvid-original": draw_camvid_original,
    "cityscapes": draw_cityscapes,
    "masks": draw_masks,
    "palette": draw_palette,
    "flat": draw_flat,
    "parts": draw_parts,
    "dogs": draw_dogs,
    "parquet": draw_parquet,
    "table": draw_table,
    "cifar10": draw_cifar,
    "cifar100": draw_cifar100,
}
REGISTERED = {
    "shapes": lambda: shapes(n_train=40, n_test=20),
    "streets": lambda: streets(n_train=3, n_test=2, n_frames=2, size_px=(24, 32)),
}


@pytest.fixture(params=[*DRAWN, *REGISTERED])
def opened(request, tmp_path):
    """A way to open the same source twice."""
    if request.param in REGISTERED:
        return REGISTERED[request.param]
    path = DRAWN[request.param](tmp_path)
    return lambda: open_source(str(path), task="any")


def test_every_registered_source_and_layout_is_in_this_suite():
    downloaded = {"cifar10", "cifar100"}
    assert set(SOURCES.names()) == set(REGISTERED) | downloaded
    assert downloaded < set(DRAWN)
    assert {layout.name for layout in LAYOUTS} == {
        "parquet", "table", "cifar", "dogs", "tiny-imagenet", "cityscapes", "camvid", "camvid-original", "masks", "folders",
    }  # fmt: skip


def test_a_source_says_what_it_is(opened):
    source = opened()
    assert source.name
    assert source.kind in ("classification", "segmentation")
    assert len(source.classes) == len(set(source.classes)) >= 2
    assert isinstance(source.licence, str)
    assert all(isinstance(note, str) for note in source.notes)


def test_items_are_columns_of_the_promised_types(opened):
    source = opened()
    items = source.items
    assert len(items) > 0
    assert items.ids.dtype.kind == "T"
    assert len(set(items.ids.tolist())) == len(items)
    assert not any(item.startswith("/") or "\\" in item for item in items.ids)
    assert items.labels.dtype == np.int32
    assert items.labels.max() < len(source.classes)
    if source.kind == "classification":
        assert set(items.labels.tolist()) == set(range(len(source.classes)))
    if items.official is not None:
        assert items.official.dtype == np.int8
        assert Part.TRAIN in set(items.official.tolist()) <= {Part.TRAIN, Part.VALIDATION, Part.TEST}
        assert len(set(items.official.tolist())) > 1
    if items.groups is not None:
        assert items.groups.dtype.kind == "T"


def test_every_picture_can_be_decoded_and_has_its_mask(opened):
    source = opened()
    for index in range(len(source.items)):
        raw = source.raw(index)
        pixels = decode(raw)
        assert pixels.shape[2] == 3
        mask = source.mask(index)
        assert (mask is not None) == (source.kind == "segmentation")
        if mask is not None:
            assert mask.shape == pixels.shape[:2]
            assert set(np.unique(mask)) <= {*range(len(source.classes)), 255}
        assert source.box(index) is None


def test_opened_twice_it_is_the_same(opened):
    one, other = opened(), opened()
    assert one.fingerprint() == other.fingerprint()
    assert len(one.fingerprint()) == 32
    assert one.items.ids.tolist() == other.items.ids.tolist()
    last = len(one.items) - 1
    assert np.array_equal(decode(one.raw(last)), decode(other.raw(last)))


def test_threads_may_read_together(opened):
    source = opened()
    alone = [decode(source.raw(index)) for index in range(len(source.items))]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda index: decode(source.raw(index)), reversed(range(len(source.items)))))
    assert all(np.array_equal(one, other) for one, other in zip(alone, reversed(together), strict=True))


def test_it_can_be_split_and_prepared(opened):
    source = opened()
    (parts,) = make_splits(source.items, len(source.classes), SplitConfig(validation=0.3))
    assert set(parts) == {Part.TRAIN, Part.VALIDATION, Part.TEST}
    chosen = np.flatnonzero(parts == Part.TRAIN)
    prepared = prepare_items(source, chosen, Prepare(size_px=8))
    assert prepared.pictures_NHWC.shape == (len(chosen), 8, 8, 3)
    assert prepared.labels_N.tolist() == source.items.labels[chosen].tolist()
    assert (prepared.masks_NHW is not None) == (source.kind == "segmentation")


@pytest.mark.parametrize("name", [name for name in DRAWN if name != "table"])
def test_the_fingerprint_does_not_hang_on_where_the_pictures_lie(name, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b" / "deep").mkdir(parents=True)
    one = open_source(str(DRAWN[name](tmp_path / "a")), task="any")
    other = open_source(str(DRAWN[name](tmp_path / "b" / "deep")), task="any")
    assert one.fingerprint() == other.fingerprint()


@pytest.mark.parametrize("name", ["flat", "parts", "dogs", "parquet", "table"])
def test_one_class_can_be_told_from_all_others(name, tmp_path):
    path = DRAWN[name](tmp_path)
    whole, binary = open_source(str(path)), open_source(str(path), positive="OWL")
    assert binary.classes == ("not owl", "owl")
    assert binary.items.labels.tolist() == (whole.items.labels == 2).astype(int).tolist()
    assert binary.fingerprint() != whole.fingerprint()


@pytest.mark.parametrize(
    ("folder", "positive", "n_items", "classes"),
    [
        ("cifar10", None, 60_000, 10),
        ("dogs", None, 2_400, 6),
        ("animals", "elephant", 200, 2),
        ("objects200", None, 20_000, 200),
    ],
)
def test_real_pictures_are_opened(real_data, folder, positive, n_items, classes):
    source = open_source(str(real_data / folder), positive=positive)
    assert len(source.items) == n_items
    assert len(source.classes) == classes
    assert (source.items.official is not None) == (folder == "cifar10")
    assert decode(source.raw(n_items - 1)).shape[2] == 3
    if folder == "dogs":
        assert "Chihuahua" in source.classes
    if positive:
        assert np.bincount(source.items.labels).tolist() == [100, 100]
