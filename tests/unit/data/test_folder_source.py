"""Class folders: every layout, and a folder full of traps that is survived with each file named."""

import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from etude.core.errors import DataError, MistakeError
from etude.core.words import Part
from etude.data.prepared import prepare_items
from etude.data.source import open_source
from etude.data.sources.folder import FolderSource
from etude.pictures.prepare_config import Prepare


def save(path, value=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(value).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def draw(root, *paths):
    for number, path in enumerate(paths):
        save(root / path, number)
    return root


def ids(source):
    return source.items.ids.tolist()


def test_flat_folders(tmp_path):
    source = FolderSource(draw(tmp_path / "pets", "dog/2.png", "cat/b.png", "cat/a.png"))
    assert source.name == "pets"
    assert source.classes == ("cat", "dog")
    assert ids(source) == ["cat/a.png", "cat/b.png", "dog/2.png"]
    assert source.items.labels.tolist() == [0, 0, 1]
    assert source.items.official is None
    assert source.notes == ()


def test_parts_by_any_of_their_names(tmp_path):
    paths = [f"{part}/{name}/1.png" for part in ("Training", "valid", "TEST") for name in ("cat", "dog")]
    source = FolderSource(draw(tmp_path, *paths))
    by_id = dict(zip(ids(source), source.items.official.tolist(), strict=True))
    assert by_id == {
        path: {"T": 0, "v": 1}.get(path[0], 0) if not path.startswith("TEST") else Part.TEST for path in paths
    }
    assert source.classes == ("cat", "dog")


def test_train_alone_is_entered_and_beside_other_classes_it_is_one(tmp_path):
    wrapped = FolderSource(draw(tmp_path / "a", "train/cat/1.png", "train/dog/1.png"))
    assert wrapped.classes == ("cat", "dog")
    assert wrapped.items.official is None
    vehicles = FolderSource(draw(tmp_path / "b", "train/1.png", "bus/1.png"))
    assert vehicles.classes == ("bus", "train")


def test_pictures_below_a_class_count(tmp_path):
    source = FolderSource(draw(tmp_path, "cat/2019/may/1.png", "cat/2.JPG", "dog/1.png"))
    assert ids(source) == ["cat/2.JPG", "cat/2019/may/1.png", "dog/1.png"]


def test_stanford_dogs(tmp_path):
    root = draw(tmp_path, "Images/n02085620-Chihuahua/1.png", "Images/n02099712-Labrador_retriever/1.png")
    (root / "lists").mkdir()
    (root / "Annotation").mkdir()
    assert FolderSource(root).classes == ("Chihuahua", "Labrador_retriever")
    assert FolderSource(root).fingerprint() == FolderSource(root / "Images").fingerprint()


def test_names_that_would_fall_together_stay_whole(tmp_path):
    source = FolderSource(draw(tmp_path, "n00000001-cat/1.png", "n00000002-cat/1.png"))
    assert source.classes == ("n00000001-cat", "n00000002-cat")


@pytest.mark.parametrize("negative", ["elephant_negative_class", "ELEPHANT_Negative_Class"])
def test_one_class_beside_its_negatives(tmp_path, negative):
    draw(tmp_path, "Elephant/1.png", "Elephant/2.png", f"{negative}/1.png", "lion/1.png", "lion_negative_class/1.png")
    source = open_source(str(tmp_path), positive="elephant")
    assert source.classes == ("not Elephant", "Elephant")
    assert sorted(ids(source)) == sorted(["Elephant/1.png", "Elephant/2.png", f"{negative}/1.png"])
    assert [source.items.ids[row] for row in np.flatnonzero(source.items.labels)] == [
        "Elephant/1.png",
        "Elephant/2.png",
    ]


def test_one_class_against_all_others(tmp_path):
    draw(tmp_path, "elephant/1.png", "lion/1.png", "zebra/1.png")
    source = open_source(str(tmp_path), positive="lion")
    assert source.items.labels.tolist() == [0, 1, 0]
    with pytest.raises(MistakeError, match=r"data.positive: unknown name 'lyon'\. Did you mean 'lion'"):
        open_source(str(tmp_path), positive="lyon")


def test_what_is_passed_over_is_named(tmp_path):
    root = draw(tmp_path, "cat/1.png", "dog/1.png", ".git/1.png", "stray.png")
    (root / "cat" / ".DS_Store").write_bytes(b"x")
    (root / "cat" / "notes.txt").write_text("x")
    (root / "__MACOSX").mkdir()
    source = FolderSource(root)
    assert len(source.items) == 2
    said = "\n".join(source.notes)
    for name in ("cat/notes.txt", "cat/.DS_Store", ".git", "stray.png", "__MACOSX"):
        assert name in said
    assert "outside any class folder" in said


def test_moved_it_is_the_same_and_changed_it_is_not(tmp_path):
    root = draw(tmp_path / "one", "cat/1.png", "dog/1.png")
    before = FolderSource(root).fingerprint()
    moved = root.rename(tmp_path / "two")
    assert FolderSource(moved).fingerprint() == before
    save(moved / "cat" / "1.png", 99)
    assert FolderSource(moved).fingerprint() != before
    save(moved / "cat" / "1.png", 0)
    assert FolderSource(moved).fingerprint() == before
    (moved / "cat" / "1.png").rename(moved / "dog" / "2.png")
    save(moved / "cat" / "3.png", 0)
    assert FolderSource(moved).fingerprint() != before


@pytest.mark.parametrize(
    ("paths", "folders", "said"),
    [
        ([], [], "with pictures"),
        (["1.png", "2.png"], [], r"two classes or more. Got \['pets'\]"),
        (["cat/1.png"], [], r"two classes or more. Got \['cat'\]"),
        (["cat/1.png", "dog/1.png"], ["owl"], r"every class.*owl"),
    ],
)
def test_nothing_to_learn_is_said(tmp_path, paths, folders, said):
    root = draw(tmp_path / "pets", *paths)
    for folder in [".", *folders]:
        (root / folder).mkdir(parents=True, exist_ok=True)
    with pytest.raises(DataError, match=said) as caught:
        open_source(str(root))
    assert "pets" in str(caught.value)


@pytest.mark.parametrize("paths", [["1.png", "inner/2.png"], ["lion/1.png", "lion/2.png"]], ids=["flat", "one class"])
def test_one_class_is_enough_to_generate_more_of_it(tmp_path, paths):
    root = draw(tmp_path / "lion", *(paths if "lion/1.png" in paths else ["1.png", "2.png"]))
    source = open_source(str(root), task="generation")
    assert source.classes == ("lion",)
    assert len(source.items) == 2
    assert source.notes == ()
    with pytest.raises(DataError, match="A generation may have one"):
        open_source(str(root))


def hostile(root):
    """Two good pictures, and every trap that a folder can hold."""
    draw(root, "cat/good.png", "dog/good.png")
    cat = root / "cat"

    def put(name, image, file_format, cut=None, **options):
        buffer = io.BytesIO()
        image.save(buffer, file_format, **options)
        (cat / name).write_bytes(buffer.getvalue()[:cut])

    gradient = Image.linear_gradient("L")
    put("cmyk.jpg", Image.new("CMYK", (20, 20), (10, 200, 30, 0)), "JPEG")
    put("sixteen.png", Image.fromarray(np.arange(400, dtype=np.uint16).reshape(20, 20) * 100), "PNG")
    frames = [Image.new("P", (20, 20), number) for number in range(3)]
    put("animated.gif", frames[0], "GIF", save_all=True, append_images=frames[1:])
    put("modern.webp", gradient.convert("RGB"), "WEBP")
    put("wrong-ending.jpg", gradient, "PNG")
    save(cat / ("n" * 245 + ".png"), 7)
    save(cat / os.fsdecode(b"caf\xe9.png"), 8)
    deep = cat
    for _ in range(12):
        deep = deep / ("d" * 250)
    deep.mkdir(parents=True)
    save(deep / "deep.png", 9)
    readable = {"cmyk.jpg", "sixteen.png", "animated.gif", "modern.webp", "wrong-ending.jpg", "deep.png", "good.png"}
    (cat / "empty.jpg").write_bytes(b"")
    (cat / "text.jpg").write_text("not a picture")
    put("truncated.jpg", gradient.convert("RGB"), "JPEG", cut=900)
    put("bomb.png", Image.new("L", (4, 4)), "PNG")
    bomb = bytearray((cat / "bomb.png").read_bytes())
    bomb[16:24] = struct.pack(">II", 50_000, 50_000)
    bomb[29:33] = struct.pack(">I", zlib.crc32(bytes(bomb[12:29])))
    (cat / "bomb.png").write_bytes(bytes(bomb))
    (cat / "loop.jpg").symlink_to("loop.jpg")
    (cat / "nowhere.jpg").symlink_to("nowhere-at-all.jpg")
    (cat / "round").symlink_to(root, target_is_directory=True)
    (cat / "folder.png").mkdir()
    os.mkfifo(cat / "pipe.png")
    unreadable = {"empty.jpg", "text.jpg", "truncated.jpg", "bomb.png", "loop.jpg", "nowhere.jpg", "pipe.png"}
    return readable, unreadable


@pytest.mark.timeout(60)
def test_a_hostile_folder_is_survived_with_each_file_named(tmp_path):
    readable, unreadable = hostile(tmp_path / "pets")
    source = FolderSource(tmp_path / "pets")
    assert any("loop of links" in note and "round" in note for note in source.notes)
    names = {str(item).rsplit("/", 1)[-1] for item in source.items.ids}
    assert readable | unreadable <= names
    assert any("caf" in name for name in names)
    source.fingerprint()
    everything = np.arange(len(source.items))
    with pytest.raises(DataError, match=r"7 of \d+ pictures of pets cannot be read") as caught:
        prepare_items(source, everything, Prepare(size_px=8))
    for name in unreadable:
        assert name in str(caught.value)
    str(caught.value).encode("utf-8")
    prepared = prepare_items(source, everything, Prepare(size_px=8), unreadable="skip")
    left_out = {name.rsplit("/", 1)[-1] for name, _ in prepared.left_out}
    assert left_out == unreadable
    assert len(prepared) == len(source.items) - 7


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_entered_is_named(tmp_path):
    root = draw(tmp_path, "cat/1.png", "cat/secret/2.png", "dog/1.png")
    (root / "cat" / "secret").chmod(0)
    try:
        assert any("cat/secret" in note and "Permission" in note for note in FolderSource(root).notes)
    finally:
        (root / "cat" / "secret").chmod(0o755)
