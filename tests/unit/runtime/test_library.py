"""The photo indexer: only what is new is read, nothing that was corrected is lost, originals are never touched."""

from __future__ import annotations

import contextlib
import csv
import errno
import io
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
import tracemalloc
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.unit.runtime.drawing import make_contents, make_graph, plain, write_zip
from tests.unit.runtime.library_disk import COLOURS, draw, run, state

from etude import load
from etude.cli.library import index_pictures, search_library
from etude.core.bundle_record import Certainty, Familiarity
from etude.core.errors import DataError, MistakeError, StorageError
from etude.data.source import open_source
from etude.pictures.reading import decode
from etude.runtime.library import indexing
from etude.runtime.library.database import Library
from etude.runtime.library.indexing import index_folder
from etude.runtime.library.schema import APPLICATION_ID
from etude.runtime.library.walking import File, Shut, find_pictures
from etude.runtime.library.writing import bring, write_table


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """A disk of years of pictures, with what such disks hold."""
    disk = tmp_path / "disk"
    for year in range(3):
        for position, (name, colour) in enumerate(COLOURS.items()):
            draw(
                disk / f"{2020 + year}/deep/er/{name} {year}.jpg",
                tuple(max(0, level - year) for level in colour),
                (30 + position, 40),
            )
    draw(disk / "grey.PNG", (120, 120, 120))
    shutil.copy(disk / "2020/deep/er/red 0.jpg", disk / "2021/the same.jpg")
    (disk / "broken.jpg").write_bytes((disk / "2020/deep/er/red 0.jpg").read_bytes()[:300])
    (disk / "empty.jpg").write_bytes(b"")
    (disk / "page.jpg").write_text("<html>not found</html>")
    (disk / "notes.txt").write_text("no picture")
    draw(disk / ".thumbnails/red.jpg", COLOURS["red"])
    draw(disk / "@eaDir/red.jpg", COLOURS["red"])
    (disk / "link.jpg").symlink_to(disk / "grey.PNG")
    (disk / "loop").symlink_to(disk)
    return disk


@pytest.fixture
def model(bundles):
    return load(bundles["classification"], threads=1)


def test_every_picture_is_answered_and_broken_ones_are_listed(model, disk: Path, tmp_path: Path) -> None:
    before = state(disk)
    summary, library = run(model, disk, tmp_path / "l.sqlite")
    assert (summary.pictures, summary.looked_at, summary.broken, summary.gone) == (14, 14, 3, 0)
    assert summary.passed_over == {"link": 2, "hidden": 1, "@eaDir": 1, ".txt": 1}
    labels = {entry.path: entry.label for entry in library.search()}
    for path, label in labels.items():
        expected = next((name for name in COLOURS if name in path), None)
        assert expected in (None, label)
    assert {path for path, _ in library.broken()} == {"broken.jpg", "empty.jpg", "page.jpg"}
    assert "empty" in dict(library.broken())["empty.jpg"]
    same = next(entry for entry in library.search() if entry.path == "2021/the same.jpg")
    assert same.duplicate_of == "2020/deep/er/red 0.jpg"
    assert next(entry for entry in library.search() if entry.path == "grey.PNG").unsure
    assert state(disk) == before


def test_what_is_passed_over_is_told_by_its_kind(bundles, disk: Path, tmp_path: Path, capsys) -> None:
    draw(disk / "@mum.png", COLOURS["green"], (33, 33))
    draw(disk / "@mum/of us.png", COLOURS["green"], (34, 34))
    for name in ("IMG_1.CR2", "IMG_2.cr2", "new.avif", "no ending", ".hidden.jpg", "a.b c d e f g h i j k"):
        (disk / name).write_bytes(b"x")
    index_pictures(bundles["classification"], disk, tmp_path / "l.sqlite", 1, 100.0, False, False, True)
    told = capsys.readouterr().out
    assert "l.sqlite: 16 pictures" in told
    assert "passed over, as no pictures: 2 .cr2, 2 hidden, 2 link, 2 no ending, 1 .avif, 1 .txt, 1 @eaDir" in told
    index_pictures(bundles["classification"], disk, tmp_path / "l.sqlite", 1, 100.0, False, True, True)
    assert json.loads(capsys.readouterr().out)["passed_over"][".cr2"] == 2
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "IMG_1.CR2").write_bytes(b"x")
    with pytest.raises(MistakeError, match=r"Passed over: 1 \.cr2"):
        index_pictures(bundles["classification"], raw, tmp_path / "r.sqlite", 1, 100.0, False, False, True)


def test_again_it_looks_at_new_and_changed_files_only(model, disk: Path, tmp_path: Path) -> None:
    run(model, disk, tmp_path / "l.sqlite")[1].close()
    summary, library = run(model, disk, tmp_path / "l.sqlite")
    assert (summary.looked_at, summary.answered, summary.broken) == (0, 0, 3)  # the broken ones are told all the same
    library.close()
    for name in ("broken.jpg", "empty.jpg", "page.jpg"):
        (disk / name).unlink()
    draw(disk / "new.jpg", COLOURS["blue"], (50, 50))
    draw(disk / "2020/deep/er/red 0.jpg", COLOURS["green"], (31, 41))
    os.utime(disk / "2022/deep/er/blue 2.jpg", ns=(1, 1))  # touched, not changed
    (disk / "2021/deep/er/red 1.jpg").rename(disk / "moved.jpg")
    (disk / "2021/deep/er/green 1.jpg").unlink()
    summary, library = run(model, disk, tmp_path / "l.sqlite")
    assert (summary.looked_at, summary.answered, summary.gone) == (4, 2, 5)
    labels = {entry.path: entry.label for entry in library.search()}
    assert (labels["new.jpg"], labels["2020/deep/er/red 0.jpg"], labels["moved.jpg"]) == ("blue", "green", "red")
    assert "2021/deep/er/green 1.jpg" not in labels
    assert next(entry for entry in library.search() if entry.path == "2021/the same.jpg").duplicate_of is None


def test_corrections_survive_another_model_a_move_and_a_new_library_row(model, disk: Path, tmp_path: Path) -> None:
    library = run(model, disk, tmp_path / "l.sqlite")[1]
    grey = next(entry for entry in library.search() if entry.path == "grey.PNG")
    library.correct(grey.sha256, "blue")
    assert [entry.path for entry in library.search(corrected=True)] == ["grey.PNG"]
    library.close()
    (disk / "grey.PNG").rename(disk / "2021/grey again.png")
    contents = make_contents(graph_bytes=make_graph("classification", 16, sharpness=0.02))
    other = load(write_zip(tmp_path / "other.bundle", contents), threads=1)
    summary, library = run(other, disk, tmp_path / "l.sqlite")
    assert (
        summary.answered >= summary.pictures - 3 - 1
    )  # all but the broken ones; a duplicate may be known by its content
    found = library.search(corrected=True)
    assert [(entry.path, entry.label, entry.unsure) for entry in found] == [("2021/grey again.png", "blue", False)]
    library.take_back(found[0].sha256)
    assert library.search(corrected=True) == []
    with pytest.raises(MistakeError, match="one of its classes"):
        library.correct(found[0].sha256, "husky")
    with pytest.raises(MistakeError, match="sha256"):
        library.correct("0" * 64, "red")


def test_search_by_class_probability_and_doubt(model, disk: Path, tmp_path: Path) -> None:
    library = run(model, disk, tmp_path / "l.sqlite")[1]
    assert len(library.search(label="blue")) == 3
    assert library.search(least=1.01) == []
    sure = library.search(unsure=False)
    assert all(not entry.unsure for entry in sure)
    assert len(sure) + len(library.search(unsure=True)) == 11
    every = library.search()
    for place, entry in enumerate(every):
        assert library.search(limit=2, after=entry.key) == every[place + 1 : place + 3]
    assert ("green", 3, 0) in library.counts()


def test_pictures_unlike_those_of_the_training_are_found(disk: Path, tmp_path: Path) -> None:
    graph = make_graph("classification", 16, tells_familiarity=True)
    known = Familiarity(unfamiliar_below=0.3, familiar_share=0.95, pictures=10)
    contents = make_contents(graph_bytes=graph, familiarity=known)
    knowing = load(write_zip(tmp_path / "knowing.bundle", contents), threads=1)
    draw(disk / "night.png", (40, 0, 0), (30, 30))
    library = run(knowing, disk, tmp_path / "l.sqlite")[1]
    found = library.search(unfamiliar=True)
    assert "night.png" in [entry.path for entry in found]
    assert all(entry.unsure for entry in found)
    assert "grey.PNG" not in [entry.path for entry in found]
    night = next(entry for entry in found if entry.path == "night.png")
    library.correct(night.sha256, "red")
    assert "night.png" not in [entry.path for entry in library.search(unfamiliar=True)]


def test_a_library_of_a_version_that_knew_nothing_of_familiarity_is_read(model, disk: Path, tmp_path: Path) -> None:
    run(model, disk, tmp_path / "l.sqlite")[1].close()
    with contextlib.closing(sqlite3.connect(tmp_path / "l.sqlite")) as base:
        base.executescript("PRAGMA application_id = 0; CREATE VIEW answers AS SELECT * FROM pictures;")
    for library in (Library(tmp_path / "l.sqlite", read_only=True), Library(tmp_path / "l.sqlite")):
        assert len(library.search(unfamiliar=False)) == 11
        assert library.search(unfamiliar=True) == []
        library.close()
    assert application_id(tmp_path / "l.sqlite") == APPLICATION_ID


def application_id(path: Path) -> int:
    with contextlib.closing(sqlite3.connect(path)) as base:
        return int(base.execute("PRAGMA application_id").fetchone()[0])


@pytest.mark.parametrize(
    "script",
    [
        "CREATE TABLE songs (title TEXT)",
        "CREATE TABLE pictures (path TEXT); CREATE TABLE meta (key TEXT); CREATE TABLE corrections (label TEXT)",
        "PRAGMA application_id = 252006674; CREATE TABLE songs (title TEXT)",
        "PRAGMA journal_mode = WAL; CREATE TABLE songs (title TEXT)",
        "PRAGMA user_version = 1",
    ],
)
def test_nothing_is_written_into_a_database_of_others(model, disk: Path, tmp_path: Path, script: str) -> None:
    path = tmp_path / "songs.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as base:
        base.executescript(script)
    before = state(tmp_path)
    for options in ({}, {"create": True}, {"read_only": True}):
        with pytest.raises(MistakeError, match="a library that `etude index` made"):
            Library(path, **options)
    assert state(tmp_path) == before


def test_who_only_searches_writes_nothing_and_needs_no_right_to(model, disk: Path, tmp_path: Path) -> None:
    run(model, disk, tmp_path / "l.sqlite")[1].close()
    before = state(tmp_path)
    search_library(tmp_path / "l.sqlite", "", 0.0, {}, 0, None, None, None, True)
    library = Library(tmp_path / "l.sqlite", read_only=True)
    found = library.search()
    with pytest.raises(MistakeError, match="can be written"):
        library.correct(found[0].sha256, "red")
    library.close()
    assert len(found) == 11
    assert state(tmp_path) == before


def test_what_a_writer_has_not_brought_into_the_file_yet_is_read(model, disk: Path, tmp_path: Path) -> None:
    library = run(model, disk, tmp_path / "l.sqlite")[1]
    assert (tmp_path / "l.sqlite-wal").stat().st_size > 0
    other = Library(tmp_path / "l.sqlite", read_only=True)
    assert len(other.search()) == 11
    other.close()
    library.close()


def test_copies_links_and_training_folders(model, disk: Path, tmp_path: Path) -> None:
    library = run(model, disk, tmp_path / "l.sqlite")[1]
    red = library.search(label="red")
    copies = bring(red, tmp_path / "copies", "copy").made
    assert len(copies) == len({entry.sha256 for entry in red}) < len(red)
    assert bring(red, tmp_path / "copies", "copy").made == []
    links = bring(red, tmp_path / "links", "link").made
    assert all(link.is_symlink() and link.read_bytes() for link in links)
    bring(library.search(), tmp_path / "train", "copy", by_class=True)
    assert sorted(path.name for path in (tmp_path / "train").iterdir()) == [".etude.json", "blue", "green", "red"]
    draw(disk / "a/one.jpg", COLOURS["red"], (60, 60))
    draw(disk / "b/one.jpg", COLOURS["red"], (61, 61))
    library.close()
    library = run(model, disk, tmp_path / "l.sqlite")[1]
    both = [entry for entry in library.search() if entry.path.endswith("one.jpg")]
    assert len(bring(both, tmp_path / "both", "copy").made) == 2


def test_a_copy_that_is_cut_off_leaves_no_half_picture(model, disk: Path, tmp_path: Path, monkeypatch) -> None:
    found = run(model, disk, tmp_path / "l.sqlite")[1].search(label="red")[:1]

    def cut_off(handle: int) -> None:
        os.truncate(handle, 100)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr("os.fsync", cut_off)
        bring(found, tmp_path / "train", "copy", by_class=True)
    assert [path for path in (tmp_path / "train").rglob("*") if path.is_file()] == []
    (made,) = bring(found, tmp_path / "train", "copy", by_class=True).made
    assert made.read_bytes() == found[0].file.read_bytes()
    assert made.stat().st_mtime == found[0].file.stat().st_mtime


def test_originals_that_are_not_there_are_told(model, disk: Path, tmp_path: Path, capsys) -> None:
    run(model, disk, tmp_path / "l.sqlite")[1].close()
    (disk / "2020/deep/er/red 0.jpg").unlink()  # its copy is there
    (disk / "2021/deep/er/red 1.jpg").unlink()
    search_library(tmp_path / "l.sqlite", "red", 0.0, {}, 0, tmp_path / "out", None, None, True)
    told = capsys.readouterr().err
    assert "3 files in" in told  # the grey one is red to the model
    assert "1 of 4 pictures are not where the library found them: 2021/deep/er/red 1.jpg." in told
    disk.rename(tmp_path / "away")
    for way in ("copy", "link", "train"):
        folders = {name: tmp_path / "none" if name == way else None for name in ("copy", "link", "train")}
        with pytest.raises(MistakeError, match=r"none of 4 pictures .* Is its disk there\?"):
            search_library(tmp_path / "l.sqlite", "red", 0.0, {}, 0, **folders, as_json=True)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("least", [2.5, -0.1, float("nan")])
def test_a_probability_that_is_none_is_refused(tmp_path: Path, least: float) -> None:
    with pytest.raises(MistakeError, match="--min must be between 0 and 1"):
        search_library(tmp_path / "l.sqlite", "", least, {}, 0, None, None, None, True)


@pytest.mark.parametrize("most", [0.0, -1.0, float("nan"), float("inf")])
def test_a_limit_that_is_none_is_refused(tmp_path: Path, most: float) -> None:
    with pytest.raises(MistakeError, match="--max-megapixels must be a number above 0"):
        index_pictures(tmp_path / "b", tmp_path, tmp_path / "l.sqlite", 1, most, False, False, True)


def test_pictures_of_none_of_the_classes_stay_so_and_are_no_class_to_train_on(
    model, disk: Path, tmp_path: Path, capsys
) -> None:
    library = run(model, disk, tmp_path / "l.sqlite")[1]
    grey = next(entry for entry in library.search() if entry.path == "grey.PNG")
    blue = library.search(label="blue")[0]
    library.set_none(grey.sha256)
    library.correct(blue.sha256, "red")
    library.close()
    contents = make_contents(graph_bytes=make_graph("classification", 16, sharpness=0.02))
    other = load(write_zip(tmp_path / "other.bundle", contents), threads=1)
    library = run(other, disk, tmp_path / "l.sqlite")[1]
    [found] = library.search(none=True)
    assert (found.path, found.label, found.probability, found.corrected, found.unsure) == (
        "grey.PNG", "", None, True, False
    )  # fmt: skip
    assert library.count_none() == 1
    assert "" not in [label for label, *_ in library.counts()]
    assert {entry.path for entry in library.search(corrected=True, none=False)} == {blue.path}
    library.close()
    search_library(tmp_path / "l.sqlite", "", 0.0, {"none": True}, 0, None, None, None, False)
    assert capsys.readouterr().out == "       none of the classes      grey.PNG corrected\n"
    search_library(tmp_path / "l.sqlite", "", 0.0, {"corrected": True}, 0, None, None, tmp_path / "train", True)
    assert [path.parent.name for path in (tmp_path / "train").rglob("*.jpg")] == ["red"]
    assert "1 picture of none of the classes left out" in capsys.readouterr().err
    write_table(Library(tmp_path / "l.sqlite"), tmp_path / "t.csv")
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8-sig") as file:
        row = next(row for row in csv.DictReader(file) if row["path"] == "grey.PNG")
    assert (row["label"], row["none"], row["probability"]) == ("", "1", "")


def test_a_probability_is_told_of_the_label_that_it_was_answered_with_alone(model, disk: Path, tmp_path: Path) -> None:
    library = run(model, disk, tmp_path / "l.sqlite")[1]
    blue = library.search(label="blue")[0]
    library.correct(blue.sha256, "red")
    assert library.of_content(blue.sha256)[0].probability is None
    library.correct(blue.sha256, "blue")  # confirmed
    confirmed = library.of_content(blue.sha256)[0]
    assert (confirmed.probability, confirmed.corrected) == (blue.probability, True)
    library.take_back(blue.sha256)
    assert library.of_content(blue.sha256) == [blue]


def test_no_page_passes_over_a_picture_while_others_are_corrected(model, disk: Path, tmp_path: Path) -> None:
    for number in range(12):
        draw(disk / f"unsure {number:02}.png", (120, 120, 120 + number // 4), (20, 20 + number))
    library = run(model, disk, tmp_path / "l.sqlite")[1]
    wanted = {entry.path for entry in library.search(unsure=True)}
    assert len(wanted) == 13
    seen, after = set(), None
    while page := library.search(unsure=True, limit=4, after=after):
        seen |= {entry.path for entry in page}
        after = page[-1].key
        for entry in page:
            library.correct(entry.sha256, "red")
    assert seen == wanted


def test_corrected_pictures_of_a_phone_become_pictures_to_train_on(model, tmp_path: Path, capsys) -> None:
    heif = pytest.importorskip("pillow_heif", reason="needs pillow-heif")
    disk, train = tmp_path / "disk", tmp_path / "train"
    for name, colour in (("a/IMG_1.HEIC", "green"), ("b/IMG_1.HEIC", "blue"), ("sent.jpg", "red")):
        (disk / name).parent.mkdir(parents=True, exist_ok=True)
        packed = io.BytesIO()
        heif.from_pillow(Image.fromarray(plain(COLOURS[colour], 64))).save(packed)
        (disk / name).write_bytes(packed.getvalue())
    draw(disk / "c/IMG_1.jpg", COLOURS["green"], (64, 64)).rename(disk / "only called so.heic")
    library = run(model, disk, tmp_path / "l.sqlite")[1]
    for entry in library.search():
        library.correct(entry.sha256, {"red": "blue"}.get(entry.label, entry.label))
    library.close()
    chosen = {"unsure": None, "unfamiliar": None, "corrected": True}
    for count in (4, 0):
        search_library(tmp_path / "l.sqlite", "", 0.0, chosen, 0, None, None, train, False)
        assert f"{count} files in {train}" in capsys.readouterr().err
    source = open_source(str(train))
    found = [
        (source.classes[label], list(COLOURS)[decode(source.raw(row)).mean((0, 1)).argmax()])
        for row, label in enumerate(source.items.labels)
    ]
    assert sorted(found) == [("blue", "blue"), ("blue", "red"), ("green", "green"), ("green", "green")]
    assert all(".etude.json" in note for note in source.notes)


def test_the_table_as_csv_and_parquet(model, disk: Path, tmp_path: Path) -> None:
    draw(disk / "=cmd.jpg", COLOURS["red"])
    library = run(model, disk, tmp_path / "l.sqlite")[1]
    write_table(library, tmp_path / "t.csv")
    rows = list(csv.DictReader((tmp_path / "t.csv").open(encoding="utf-8-sig")))
    assert len(rows) == 15
    assert {row["status"] for row in rows} == {"answered", "broken"}
    assert "'=cmd.jpg" in {row["path"] for row in rows}
    parquet = pytest.importorskip("pyarrow.parquet")
    write_table(library, tmp_path / "t.parquet")
    assert parquet.read_table(tmp_path / "t.parquet").num_rows == 15
    with pytest.raises(MistakeError, match=r"\.csv or \.parquet"):
        write_table(library, tmp_path / "t.xlsx")


def test_names_of_any_bytes(model, tmp_path: Path) -> None:
    folder = tmp_path / "disk"
    folder.mkdir()
    packed = io.BytesIO()
    Image.fromarray(plain(COLOURS["red"])).save(packed, "PNG")
    (folder / os.fsdecode(b"caf\xe9 \xf0\x9f\x90\x95.png")).write_bytes(packed.getvalue())
    draw(folder / "naïve ‘quotes’; DROP TABLE pictures.png", COLOURS["blue"])
    library = run(model, folder, tmp_path / "l.sqlite")[1]
    found = library.search()
    assert {entry.label for entry in found} == {"red", "blue"}
    assert all(entry.file.is_file() for entry in found)
    library.close()
    assert run(model, folder, tmp_path / "l.sqlite")[0].looked_at == 0


def test_exif_is_applied_and_a_picture_is_found_whatever_the_case_of_its_ending(bundles, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    sides = np.concatenate([plain((220, 30, 20), (40, 60)), plain((0, 30, 240), (40, 20))], axis=1)
    (tmp_path / "disk").mkdir()
    Image.fromarray(sides).save(tmp_path / "disk/A.JPEG", exif=exif, quality=95)
    model = load(bundles["segmentation"], threads=1)
    library = run(model, tmp_path / "disk", tmp_path / "l.sqlite")[1]
    [found] = library.search()
    assert (found.label, found.probability) == ("red", pytest.approx(0.75, abs=0.04))
    assert [file.path for file in find_pictures(tmp_path / "disk") if isinstance(file, File)] == ["A.JPEG"]


def test_heic_is_read_where_its_library_is_there(model, tmp_path: Path, monkeypatch) -> None:
    heif = pytest.importorskip("pillow_heif", reason="needs pillow-heif")
    (tmp_path / "disk").mkdir()
    heif.from_pillow(Image.fromarray(plain(COLOURS["green"], 64))).save(tmp_path / "disk/phone.HEIC")
    library = run(model, tmp_path / "disk", tmp_path / "l.sqlite")[1]
    assert [entry.label for entry in library.search()] == ["green"]
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    library = run(model, tmp_path / "disk", tmp_path / "m.sqlite")[1]
    assert "pip install pillow-heif" in library.broken()[0][1]


def test_what_was_too_large_is_read_once_it_is_permitted(bundles, model, disk: Path, tmp_path: Path) -> None:
    narrow = load(bundles["classification"], threads=1, max_pixels=100)
    summary, library = run(narrow, disk, tmp_path / "l.sqlite")
    assert (summary.broken, library.search()) == (14, [])
    library.close()
    summary, library = run(model, disk, tmp_path / "l.sqlite")
    assert (summary.looked_at, summary.broken, len(library.search()), len(library.broken())) == (14, 3, 11, 3)


def test_what_could_not_be_opened_is_read_once_it_can(model, disk: Path, tmp_path: Path, monkeypatch) -> None:
    read = indexing.read_file

    def refuse(path: Path, name: str) -> bytes:
        if name == "grey.PNG":
            raise DataError("Permission denied")
        return read(path, name)

    with monkeypatch.context() as locked:
        locked.setattr(indexing, "read_file", refuse)
        library = run(model, disk, tmp_path / "l.sqlite")[1]
        assert "grey.PNG" in dict(library.broken())
        library.close()
    library = run(model, disk, tmp_path / "l.sqlite")[1]
    assert "grey.PNG" in {entry.path for entry in library.search()}
    assert "grey.PNG" not in dict(library.broken())


def test_heic_is_read_once_its_library_is_installed(model, tmp_path: Path, monkeypatch) -> None:
    heif = pytest.importorskip("pillow_heif", reason="needs pillow-heif")
    (tmp_path / "disk").mkdir()
    heif.from_pillow(Image.fromarray(plain(COLOURS["green"], 64))).save(tmp_path / "disk/phone.HEIC")
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "pillow_heif", None)
        library = run(model, tmp_path / "disk", tmp_path / "l.sqlite")[1]
        assert [path for path, _ in library.broken()] == ["phone.HEIC"]
        library.close()
    library = run(model, tmp_path / "disk", tmp_path / "l.sqlite")[1]
    assert [entry.label for entry in library.search()] == ["green"]
    assert library.broken() == []


def shut(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """Keep everyone out of the folders of a name; the tests may run as a user whom no permission stops."""
    scandir = os.scandir

    def refuse(path: Path) -> object:
        if Path(path).name == name:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)


def test_a_folder_that_cannot_be_entered_is_told_and_keeps_what_is_known(
    model, disk: Path, tmp_path: Path, monkeypatch
) -> None:
    run(model, disk, tmp_path / "l.sqlite")[1].close()
    (disk / "2022/deep/er/red 2.jpg").unlink()
    with monkeypatch.context() as closed:
        shut(closed, "2021")
        summary, library = run(model, disk, tmp_path / "l.sqlite")
    assert (summary.gone, summary.broken) == (1, 4)
    assert "Permission denied" in dict(library.broken())["2021"]
    assert len([entry for entry in library.search() if entry.path.startswith("2021/")]) == 4
    library.close()
    (disk / "2021/the same.jpg").unlink()
    library = run(model, disk, tmp_path / "l.sqlite")[1]
    assert "2021" not in dict(library.broken())
    assert len([entry for entry in library.search() if entry.path.startswith("2021/")]) == 3


def test_a_folder_of_which_nothing_may_be_read_says_why(model, disk: Path, tmp_path: Path, monkeypatch) -> None:
    shut(monkeypatch, "disk")
    with pytest.raises(MistakeError, match="Permission denied"):
        run(model, disk, tmp_path / "l.sqlite")


def test_a_file_that_cannot_be_looked_at_stops_nothing(model, disk: Path, tmp_path: Path, monkeypatch) -> None:
    run(model, disk, tmp_path / "l.sqlite")[1].close()
    scandir = os.scandir

    class Entry:
        """An entry whose size the system does not tell where it is called grey or empty, and that goes meanwhile."""

        def __init__(self, entry: os.DirEntry[str]) -> None:
            self.name, self.is_dir, self.is_file, self._stat = entry.name, entry.is_dir, entry.is_file, entry.stat
            self.is_symlink = entry.is_symlink

        def stat(self, **options: bool) -> os.stat_result:
            if self.name in ("grey.PNG", "empty.jpg"):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            if self.name == "page.jpg":
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            return self._stat(**options)

    @contextlib.contextmanager
    def odd(path: Path) -> Iterator[list[Entry]]:
        with scandir(path) as entries:
            yield [Entry(entry) for entry in entries]

    monkeypatch.setattr(os, "scandir", odd)
    found = list(find_pictures(disk))
    assert [entry.path for entry in found if isinstance(entry, Shut)] == ["empty.jpg", "grey.PNG"]
    assert len([entry for entry in found if isinstance(entry, File)]) == 11
    summary, library = run(model, disk, tmp_path / "l.sqlite")
    assert summary.gone == 1
    assert "grey.PNG" in {entry.path for entry in library.search()}
    assert "Permission denied" in dict(library.broken())["empty.jpg"]


def test_another_folder_does_not_hide_the_one_that_is_known(bundles, model, disk: Path, tmp_path: Path) -> None:
    library = run(model, disk, tmp_path / "l.sqlite")[1]
    other = tmp_path / "other"
    for name in ("grey.PNG", "2020/deep/er/red 0.jpg", "new.jpg"):  # cameras give the same names again
        draw(other / name, COLOURS["blue"], (90, 90))
    with pytest.raises(MistakeError, match=r"0 of 11 known pictures.*--replace"):
        index_folder(model, other, library, threads=1)
    assert len(library.search()) == 11
    assert all(entry.file.is_file() for entry in library.search())
    grey = next(entry for entry in library.search() if entry.path == "grey.PNG")
    library.correct(grey.sha256, "red")
    library.close()
    index_pictures(bundles["classification"], other, tmp_path / "l.sqlite", 1, 100.0, True, False, True)
    library = Library(tmp_path / "l.sqlite")
    assert {entry.path for entry in library.search()} == {"grey.PNG", "2020/deep/er/red 0.jpg", "new.jpg"}
    assert {entry.label for entry in library.search()} == {"blue"}
    library.close()
    summary, library = run(model, disk, tmp_path / "l.sqlite", replace=True)
    assert summary.answered == 1  # the grey one, whose path the other folder had taken; a copy of the red one is known
    assert next(entry for entry in library.search() if entry.path == "grey.PNG").label == "red"


def test_a_folder_that_moved_is_the_same_folder(model, disk: Path, tmp_path: Path) -> None:
    run(model, disk, tmp_path / "l.sqlite")[1].close()
    summary, library = run(model, disk.rename(tmp_path / "elsewhere"), tmp_path / "l.sqlite")
    assert (summary.gone, summary.answered) == (0, 0)
    assert all(entry.file.is_file() for entry in library.search())


def test_stopped_in_another_folder_it_shows_no_picture_of_the_first(model, disk: Path, tmp_path: Path) -> None:
    run(model, disk, tmp_path / "l.sqlite")[1].close()
    draw(tmp_path / "other/new.jpg", COLOURS["blue"], (90, 90))

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(model, tmp_path / "other", tmp_path / "l.sqlite", replace=True, progress=stop)
    assert all(entry.file.is_file() for entry in Library(tmp_path / "l.sqlite").search())


def test_other_thresholds_are_another_model(model, disk: Path, tmp_path: Path) -> None:
    library = run(model, disk, tmp_path / "l.sqlite")[1]
    assert len(library.search(unsure=False)) == 10
    library.close()
    strict = Certainty(unsure_below=1.0, sure_share=0.0, sure_accuracy=None)
    other = load(write_zip(tmp_path / "strict.bundle", make_contents(certainty=strict)), threads=1)
    assert run(other, disk, tmp_path / "l.sqlite")[0].answered > 0
    sure = Library(tmp_path / "l.sqlite").search(unsure=False)
    assert len(sure) < 10
    assert all(entry.probability == 1 for entry in sure)


def test_memory_does_not_grow_with_what_was_answered(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(indexing, "_WRITE_EVERY_S", 0.0)
    names = tuple(letter * 10_000 for letter in "abc")  # an answer as JSON has 40 kB
    model = load(write_zip(tmp_path / "long.bundle", make_contents(classes=names)), threads=1)
    disk = tmp_path / "disk"
    for number in range(200):
        draw(disk / f"{number:04}.png", (number, 200 - number, 0), (8, 8))
    held: list[int] = []

    def heard(done: int, total: int) -> None:
        if done in (0, total):  # no file is being read: a read asks for room for the longest one first
            held.append(tracemalloc.get_traced_memory()[0])

    library = Library(tmp_path / "l.sqlite", create=True)
    tracemalloc.start()
    try:
        index_folder(model, disk, library, threads=1, progress=heard)
        shutil.copytree(disk, disk / "copies")
        index_folder(model, disk, library, threads=1, progress=heard)
    finally:
        tracemalloc.stop()
    assert len(library.search()) == 400
    assert max(held) - min(held) < 2_000_000  # of the 8 MB of 200 answers


def test_an_absent_disk_loses_nothing(model, disk: Path, tmp_path: Path) -> None:
    run(model, disk, tmp_path / "l.sqlite")[1].close()
    (tmp_path / "empty").mkdir()
    library = Library(tmp_path / "l.sqlite")
    with pytest.raises(MistakeError, match="Is its disk there"):
        index_folder(model, tmp_path / "empty", library, threads=1)
    assert len(library.search()) == 11
    with pytest.raises(MistakeError, match="a folder"):
        index_folder(model, tmp_path / "nowhere", library, threads=1)


def test_what_is_no_library_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.sqlite").write_text("hello " * 100)
    for path in (tmp_path / "a.sqlite", tmp_path / "b.sqlite"):
        with pytest.raises(MistakeError, match="library"):
            Library(path)


def test_killed_it_goes_on_where_it_was(bundles, model, tmp_path: Path) -> None:
    disk, path = tmp_path / "disk", tmp_path / "l.sqlite"
    for number in range(300):
        draw(disk / f"{number:04}.png", (number % 256, 255 - number % 256, number // 2))
    code = (
        "import sys, time; from pathlib import Path; from etude import load\n"
        "from etude.runtime.library import indexing; from etude.runtime.library.database import Library\n"
        "read = indexing.read_file\n"
        "indexing.read_file = lambda *given: (time.sleep(0.02), read(*given))[1]\n"
        "model, disk, library = load(sys.argv[1], threads=1), Path(sys.argv[2]), Library(Path(sys.argv[3]), create=True)\n"
        "indexing.index_folder(model, disk, library, threads=1)\n"
    )
    words = [sys.executable, "-c", code, str(bundles["classification"]), str(disk), str(path)]
    process = subprocess.Popen(words, stderr=subprocess.PIPE)
    ends, count = time.monotonic() + 40, 0
    while count == 0 and process.poll() is None and time.monotonic() < ends:
        time.sleep(0.1)
        with contextlib.suppress(MistakeError):  # it is not there yet, or not a library yet
            library = Library(path)
            count = len(library.known())
            library.close()
    process.kill()
    process.communicate()
    library = Library(path)
    count = len(library.known())
    library.close()
    assert 0 < count < 300
    summary, library = run(model, disk, path)
    assert (summary.pictures, summary.looked_at) == (300, 300 - count)
    assert len(library.search()) == 300


def test_ctrl_c_keeps_what_was_answered(model, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    for number in range(100):
        draw(disk / f"{number:04}.png", (number, 200 - number, 0))

    def stop(done: int, total: int) -> None:
        if done > 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(model, disk, tmp_path / "l.sqlite", progress=stop)
    kept = len(Library(tmp_path / "l.sqlite").known())
    assert 20 < kept < 100
    assert run(model, disk, tmp_path / "l.sqlite")[0].looked_at == 100 - kept


def test_the_gallery_shows_and_keeps_corrections_and_nothing_else(model, disk: Path, tmp_path: Path) -> None:
    testing = pytest.importorskip("starlette.testclient", reason="needs httpx")
    from etude.runtime.library.gallery import Gallery
    from etude.runtime.serving.config import ServeConfig

    library = run(model, disk, tmp_path / "l.sqlite")[1]
    with pytest.raises(MistakeError, match="this machine's own"):
        Gallery(library, ServeConfig(host="0.0.0.0", keys=Path("k")))
    client = testing.TestClient(Gallery(library, ServeConfig()).app, base_url="http://localhost")
    told = client.get("/api/classes").json()
    assert told["classes"] == ["red", "green", "blue"]
    assert {row["path"] for row in told["broken"]} == {"broken.jpg", "empty.jpg", "page.jpg"}
    rows = client.get("/api/pictures?label=blue").json()
    assert len(rows) == 3
    thumb = Image.open(io.BytesIO(client.get(f"/api/thumbs/{rows[0]['id']}").content))
    assert max(thumb.size) <= 192
    absent = client.get("/api/thumbs/99999")
    assert (absent.status_code, absent.json()["error"]["code"]) == (404, "missing")
    odd = client.get(f"/api/thumbs/{10**20}")
    assert (odd.status_code, odd.json()["error"]["code"]) == (422, "parameter")
    assert odd.json()["error"]["message"].startswith("number: ")
    assert client.get("/api/pictures", params={"after": '[true, 1, "\\ud800"]'}).status_code == 422
    assert client.get("/api/thumbs/..%2f..%2fetc%2fpasswd").status_code in (404, 422)
    kept = client.post("/api/corrections", json={"sha256": rows[0]["sha256"], "label": "red"})
    assert kept.status_code == 200
    assert library.search(corrected=True)[0].label == "red"
    same = {"sha256": rows[0]["sha256"]}
    [none] = client.post("/api/corrections", json={**same, "none": True}).json()
    assert (none["label"], none["none"], none["corrected"], none["probability"]) == ("", True, True, None)
    assert client.get("/api/classes").json()["none"] == 1
    assert [row["id"] for row in client.get("/api/pictures?none=true").json()] == [rows[0]["id"]]
    assert client.post("/api/corrections", json={**same, "label": None}).json() == [rows[0]]
    assert library.search(corrected=True) == []
    after = client.get("/api/pictures", params={"after": json.dumps(client.get("/api/pictures").json()[3]["key"])})
    assert after.json() == client.get("/api/pictures").json()[4:]
    for wrong in ("x", "[]", "[1, 2]", "[1, 1e999, {}]", "[true, null, 3]"):
        assert client.get("/api/pictures", params={"after": wrong}).status_code in (200, 422)
    kept = client.post("/api/corrections", json={**same, "label": "red"})
    for content, kind, status in (
        (b'{"sha256": "x", "label": "red"}', "text/plain", 415),
        (b"[]", "application/json", 422),
        (b'{"sha256": "x", "label": "red"}', "application/json", 422),
        (b'{"sha256": "x", "label": "dog"}', "application/json", 422),
        (b"{", "application/json", 422),
        (b'{"sha256": "\\ud800", "label": "red"}', "application/json", 422),
        *(
            (json.dumps({**same, **odd}).encode(), "application/json", 422)
            for odd in ({}, {"none": "true"}, {"none": False}, {"none": True, "label": None})
        ),
    ):
        assert client.post("/api/corrections", content=content, headers={"content-type": kind}).status_code == status
    assert library.search(corrected=True)[0].label == "red", "what is malformed takes nothing back"
    assert client.get("/api/classes", headers={"host": "evil.example"}).status_code == 421
    for path in ("/", "/gallery.js", "/gallery.css", "/words.json"):
        assert client.get(path).status_code == 200
    words = client.get("/words.json").json()
    assert set(words["en"]) == set(words["fr"])
    used = set(re.findall(r'data-word="(\w+)"', client.get("/").text))
    for said in re.findall(r"say\(([^)]*)\)", client.get("/gallery.js").text):
        used |= set(re.findall(r'"(\w+)"', said))
    assert used | {"kept", "kept_none", "undone"} <= set(words["en"])
    for key, text in words["fr"].items():
        assert not re.search(r"[^\u00a0][!?;%»]|[^\u00a0]:(?!\w)|«[^\u00a0]", text), key
        assert sorted(re.findall(r"\{\w+\}", text)) == sorted(re.findall(r"\{\w+\}", words["en"][key])), key


def test_the_gallery_of_a_library_that_cannot_be_written_shows_it_and_says_so(
    model, disk: Path, tmp_path: Path
) -> None:
    testing = pytest.importorskip("starlette.testclient", reason="needs httpx")
    from etude.runtime.library.gallery import Gallery
    from etude.runtime.serving.config import ServeConfig

    run(model, disk, tmp_path / "l.sqlite")[1].close()
    library = Library(tmp_path / "l.sqlite", read_only=True)
    client = testing.TestClient(Gallery(library, ServeConfig()).app, base_url="http://localhost")
    assert client.get("/api/classes").json()["read_only"] is True
    rows = client.get("/api/pictures").json()
    assert len(rows) == 11
    refused = client.post("/api/corrections", json={"sha256": rows[0]["sha256"], "label": "red"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "mistake")
    assert "one that can be written" in refused.json()["error"]["message"]


def test_a_gallery_whose_terminal_is_closed_ends_in_order(model, disk: Path, tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    found = run(model, disk, path)
    sha256 = found[1].search(label="blue")[0].sha256
    found[1].close()
    words = [sys.executable, "-m", "etude", "gallery", str(path), "--no-browse"]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True, preexec_fn=_hear_hangups) as gallery:
        [address] = re.findall(r"http://\S+", gallery.stderr.readline())
        body = json.dumps({"sha256": sha256, "label": "red"}).encode()
        asked = urllib.request.Request(
            f"{address}/api/corrections", body, {"content-type": "application/json"}
        )  # fmt: skip
        assert urllib.request.urlopen(asked, timeout=20).status == 200
        gallery.send_signal(signal.SIGHUP)
        assert gallery.wait(20) == 0
    assert sorted(tmp_path.glob("l.sqlite-*")) == []
    assert sha256 in (tmp_path / "l.corrections.csv").read_text("utf-8")


def _hear_hangups() -> None:
    """As from a terminal; tests may run under `nohup`."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def test_a_library_that_another_program_holds_or_whose_disk_is_full_says_so(model, disk: Path, tmp_path: Path) -> None:
    library = run(model, disk, tmp_path / "l.sqlite")[1]
    sha256 = library.search()[0].sha256
    with contextlib.closing(sqlite3.connect(tmp_path / "l.sqlite")) as other:
        library._base.execute("PRAGMA busy_timeout = 50")
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StorageError, match=r"l\.sqlite must be a library that can be read and written.*locked"):
            library.correct(sha256, "red")
    library._base.execute(f"PRAGMA max_page_count = {library._base.execute('PRAGMA page_count').fetchone()[0]}")
    with pytest.raises(StorageError, match="full"):
        library.set_meta(much="x" * 10_000_000)
    library.correct(sha256, "red")


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(MistakeError, match="a folder that can be made"):
        Library(tmp_path / "file" / "new" / "l.sqlite", create=True)


def test_a_library_whose_making_was_cut_off_is_made(tmp_path: Path) -> None:
    path = tmp_path / "cut.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as base:
        base.execute("PRAGMA journal_mode=WAL")  # the header is written, and nothing else
    assert path.stat().st_size > 0
    with pytest.raises(MistakeError, match="a library that `etude index` made"):
        Library(path)
    library = Library(path, create=True)
    assert library.counts() == []
    library.close()
