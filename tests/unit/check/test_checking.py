"""The check on folders of traps: each is found, named and weighed; good pictures raise nothing."""

import io
import json
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageFilter

from etude.check import CheckLimits, CheckRecord, check_source
from etude.check.page import render_page
from etude.core.words import Part
from etude.data.items import Items, texts
from etude.data.source import open_source
from etude.data.sources.folder import FolderSource
from etude.data.sources.shapes import shapes
from etude.data.split import SplitConfig, make_splits


def scene(seed, side=48):
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (9, 9, 3), dtype=np.uint8))
    return small.resize((side, side), Image.Resampling.BICUBIC)


def draw(root, n=8):
    for place, name in enumerate(("cat", "dog")):
        (root / name).mkdir(parents=True)
        for number in range(n):
            scene(100 * place + number).save(root / name / f"{number}.png")
    return root


def by_kind(record):
    return {finding.kind: finding for finding in record.findings}


def forged_png(width, height):
    def chunk(kind, content):
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 999)) + chunk(b"IEND", b"")
    )


def test_good_pictures_raise_nothing(tmp_path):
    record = check_source(FolderSource(draw(tmp_path)))
    assert record.findings == ()
    assert record.n_checked == 16
    assert record.counts == {"cat": 8, "dog": 8}
    assert record.sizes == {"48x48": 16}
    assert record.leaks == ()


def test_a_hostile_folder_is_survived_and_every_file_named(tmp_path):
    cat = draw(tmp_path) / "cat"
    (cat / "empty.png").write_bytes(b"")
    (cat / "text.jpg").write_text("not a picture")
    (cat / "bomb.png").write_bytes(forged_png(60_000, 60_000))
    content = io.BytesIO()
    scene(501, 200).save(content, "JPEG")
    (cat / "cut.jpg").write_bytes(content.getvalue()[: len(content.getvalue()) // 2])
    (cat / "gone.png").symlink_to(cat / "nowhere.png")
    (cat / "loop").symlink_to(cat)
    (cat / ("n" * 200 + ".png")).write_bytes(b"\x00" * 10)
    scene(502).convert("CMYK").save(cat / "cmyk.jpg")
    Image.fromarray((np.random.default_rng(0).integers(0, 65_536, (40, 40))).astype(np.uint16)).save(cat / "deep.png")
    scene(503).convert("P").save(cat / "palette.gif")
    scene(504).convert("RGBA").save(cat / "alpha.png")
    scene(505).save(cat / "liar.jpg", "PNG")
    scene(506).save(cat / "lossy.webp")
    exif = Image.Exif()
    exif[274] = 6
    scene(507).save(cat / "turned.jpg", exif=exif)
    scene(508, 9).save(cat / "tiny.png")
    scene(509).point(lambda level: level // 6).save(cat / "dark.png")
    scene(510).point(lambda level: 238 + level // 16).save(cat / "bright.png")
    Image.new("RGB", (40, 40), (90, 90, 90)).save(cat / "plain.png")
    found = by_kind(check_source(FolderSource(tmp_path), workers=3))
    wanted = {
        "empty": ("error", ["empty.png"]),
        "no-picture": ("error", [f"{'n' * 200}.png", "text.jpg"]),
        "bomb": ("error", ["bomb.png"]),
        "truncated": ("error", ["cut.jpg"]),
        "unreadable": ("error", ["gone.png"]),
        "cmyk": ("note", ["cmyk.jpg"]),
        "16-bit": ("note", ["deep.png"]),
        "palette": ("note", ["palette.gif"]),
        "alpha": ("note", ["alpha.png"]),
        "extension": ("warning", ["liar.jpg"]),
        "rotated": ("note", ["turned.jpg"]),
        "tiny": ("warning", ["tiny.png"]),
        "dark": ("warning", ["dark.png"]),
        "bright": ("warning", ["bright.png"]),
        "plain": ("warning", ["plain.png"]),
    }
    for kind, (severity, names) in wanted.items():
        assert found[kind].severity == severity, kind
        assert [name.removeprefix("cat/") for name in found[kind].files] == names, kind
        assert found[kind].count == len(names)
    assert set(found) == set(wanted)


def test_blurred_pictures_are_told_from_sharp_ones(tmp_path):
    for name in ("sharp", "soft"):
        (tmp_path / name).mkdir()
        for number in range(3):
            blocks = np.random.default_rng(number).integers(0, 256, (5, 8, 3), dtype=np.uint8)
            image = Image.fromarray(blocks).resize((300, 200), Image.Resampling.NEAREST)
            image = image if name == "sharp" else image.filter(ImageFilter.GaussianBlur(10))
            image.save(tmp_path / name / f"{number}.png")
    found = by_kind(check_source(FolderSource(tmp_path)))
    assert [name.split("/")[0] for name in found["blurred"].files] == ["soft"] * 3


def test_duplicates_are_found_by_pixels_whatever_the_file(tmp_path):
    draw(tmp_path)
    scene(0).save(tmp_path / "cat" / "again.bmp")
    scene(100).save(tmp_path / "cat" / "stray.png")
    found = by_kind(check_source(FolderSource(tmp_path)))
    assert ("cat/0.png", "cat/again.bmp") in found["duplicates"].sets
    assert found["conflicting-labels"].sets == (("cat/stray.png", "dog/0.png"),)
    assert found["conflicting-labels"].severity == "error"
    assert found["duplicates"].count == 4


def test_what_crosses_a_split_is_a_leak(tmp_path):
    draw(tmp_path)
    scene(0).save(tmp_path / "cat" / "again.png")
    scene(1).resize((64, 64)).save(tmp_path / "cat" / "larger.jpg")
    source = FolderSource(tmp_path)
    names = source.items.ids.tolist()
    parts = np.zeros(len(names), np.int8)
    parts[[names.index("cat/again.png"), names.index("dog/3.png")]] = Part.TEST
    parts[names.index("cat/larger.jpg")] = Part.VALIDATION
    record = check_source(source, [parts])
    found = by_kind(record)
    assert found["leak-exact"].sets == (("cat/again.png", "cat/0.png"),)
    assert found["leak-near"].sets == (("cat/larger.jpg", "cat/1.png"),)
    assert record.leaks[0].test == ("cat/again.png",)
    assert record.leaks[0].validation == ("cat/larger.jpg",)
    assert set(record.leaks[0].dropped) == {"cat/0.png", "cat/1.png"}
    assert record.leaks[0].n_test == 2


class Frames:
    """Sequences of frames with masks."""

    name, kind, classes, licence, notes = "frames", "segmentation", ("road", "sky"), "", ()

    def __init__(self, n_sequences=4, n_frames=5):
        groups = [f"s{number}" for number in range(n_sequences) for _ in range(n_frames)]
        names = texts(f"{group}_{place % n_frames}" for place, group in enumerate(groups))
        self.items = Items(names, np.full(len(groups), -1, np.int32), None, texts(groups))
        self.masks = [np.zeros((48, 48), np.uint8) for _ in groups]

    def raw(self, index):
        return np.asarray(scene(index // 5 * 1000 + index))

    def mask(self, index):
        return self.masks[index]

    def box(self, index):
        return None

    def fingerprint(self):
        return "f" * 32


def test_frames_of_one_sequence_on_both_sides_are_a_leak_unless_meant(tmp_path):
    source = Frames()
    parts = np.tile(np.array([0, 0, 0, 1, 2], np.int8), 4)
    record = check_source(source, [parts])
    assert by_kind(record)["leak-group"].severity == "error"
    assert len(record.leaks[0].test) == 4
    meant = check_source(source, [parts], groups_may_cross=True)
    assert by_kind(meant)["leak-group"].severity == "note"
    assert not meant.leaks_any
    (by_group,) = make_splits(source.items, 2, SplitConfig())
    assert not check_source(source, [by_group]).leaks_any


def test_masks_that_do_not_fit_are_found():
    source = Frames()
    source.masks[0] = np.zeros((20, 48), np.uint8)
    source.masks[1] = np.full((48, 48), 7, np.uint8)
    source.masks[2] = None
    source.masks[3] = np.full((48, 48), 255, np.uint8)
    found = by_kind(check_source(source))
    assert found["mask-size"].files == ("s0_0",)
    assert found["mask-ids"].files == ("s0_1",)
    assert found["mask-missing"].files == ("s0_2",)
    assert "ids [7]" in found["mask-ids"].sentence
    assert found["mask-void"].files == ("s0_3",)
    assert found["mask-void"].severity == "error"


def test_rare_classes_are_found():
    labels = np.repeat([0, 1], [40, 3])
    source = Frames()
    source.items = Items(texts(str(row) for row in range(43)), labels.astype(np.int32))
    source.kind = "classification"
    assert by_kind(check_source(source))["balance"].count == 3


def test_what_is_too_much_is_left_out_with_a_sentence(tmp_path):
    source = FolderSource(draw(tmp_path))
    parts = np.where(np.arange(16) % 4 == 0, Part.TEST, Part.TRAIN).astype(np.int8)
    record = check_source(source, [parts], limits=CheckLimits(near=10))
    assert "Near duplicates were not looked for among 16" in record.skipped[0]
    record = check_source(source, [parts], limits=CheckLimits(open=10))
    assert "were not opened" in record.skipped[0]
    assert record.sizes == {}


def test_the_record_is_read_by_the_report_and_comes_back(tmp_path):
    from etude.report.reading import _read_check

    draw(tmp_path / "pets")
    scene(0).save(tmp_path / "pets" / "cat" / "again.bmp")
    record = check_source(FolderSource(tmp_path / "pets"))
    record.save(tmp_path / "check.json")
    assert CheckRecord.load(tmp_path / "check.json") == record
    findings, sizes, twins_sought = _read_check(tmp_path / "check.json")
    assert twins_sought
    (finding,) = findings
    assert sizes == record.sizes
    assert finding.kind == "duplicates"
    assert finding.count == 2
    assert json.loads((tmp_path / "check.json").read_text())["format"] == 1


def test_the_page_holds_all_it_shows_and_escapes_names(tmp_path):
    draw(tmp_path)
    scene(0).save(tmp_path / "cat" / "<b>again.png")
    (tmp_path / "cat" / "empty.png").write_bytes(b"")
    source = FolderSource(tmp_path)
    page = render_page(check_source(source), source)
    assert page.count("data:image/webp;base64,") == 2
    assert "cat/&lt;b&gt;again.png" in page
    assert "<b>again" not in page
    assert "http" not in page.replace("http-equiv", "")


def test_pictures_that_are_drawn_have_no_near_duplicates():
    record = check_source(shapes(n_train=200, n_test=100))
    assert not record.leaks_any
    assert "drawn for itself" in record.skipped[0]


@pytest.mark.parametrize(
    ("folder", "kind", "count"), [("animals", "conflicting-labels", 27), ("dogs", "near-duplicates", 2)]
)
def test_real_pictures(real_data, folder, kind, count):
    record = check_source(open_source(str(real_data / folder)))
    assert by_kind(record)[kind].count == count
