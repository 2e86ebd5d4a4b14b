"""What an indexing does again and what it tells: broken files, what is gone, names of any bytes, tables."""

from __future__ import annotations

import csv
import json
import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.runtime.drawing import make_contents, write_zip
from tests.unit.runtime.library_disk import COLOURS, draw, kennel, make, row, run

from etude import load
from etude.cli import library as commands
from etude.cli.library import index_pictures, search_library
from etude.core.errors import BundleError, DataError
from etude.runtime.library.database import Library
from etude.runtime.library.writing import write_table
from etude.runtime.predictor import Predictor


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    disk = tmp_path / "disk"
    for name, colour in COLOURS.items():
        draw(disk / f"{name}.png", colour)
    (disk / "broken.jpg").write_bytes(b"\xff\xd8\xff" + bytes(100))
    (disk / "empty.jpg").write_bytes(b"")
    return disk


@pytest.fixture
def model(bundles: dict[str, Path]) -> Predictor:
    return load(bundles["classification"], threads=1)


def test_a_broken_file_is_read_once_and_listed_each_time(bundles, disk: Path, tmp_path: Path, capsys) -> None:
    for looked_at in (5, 0):
        index_pictures(bundles["classification"], disk, tmp_path / "l.sqlite", 1, 100.0, False, False, True)
        told = capsys.readouterr()
        assert f"{looked_at} of them" in told.out
        assert ", 2 broken, 0 gone" in told.out
        assert "empty.jpg" in told.err
        assert "broken.jpg" in told.err


def test_a_broken_file_is_read_again_once_it_changed_or_what_reads_it_did(
    bundles, model, disk: Path, tmp_path: Path, monkeypatch
) -> None:
    run(model, disk, tmp_path / "l.sqlite")[1].close()
    draw(disk / "empty.jpg", COLOURS["red"])
    summary, library = run(model, disk, tmp_path / "l.sqlite")
    assert (summary.looked_at, summary.broken) == (1, 1)
    library.close()
    wide = load(bundles["classification"], threads=1, max_pixels=200_000_000)
    assert run(wide, disk, tmp_path / "l.sqlite")[0].looked_at == 1
    assert run(wide, disk, tmp_path / "l.sqlite")[0].looked_at == 0
    monkeypatch.setattr("PIL.__version__", "99.0")
    assert run(wide, disk, tmp_path / "l.sqlite")[0].looked_at == 1


def test_a_picture_that_memory_did_not_suffice_for_is_tried_again(model, disk: Path, tmp_path: Path) -> None:
    read = model.read

    def short(content: bytes, *, name: str) -> object:
        if name == "red.png":
            raise DataError("no memory is left", cause="memory")
        return read(content, name=name)

    model.read = short  # type: ignore[method-assign]
    summary, library = run(model, disk, tmp_path / "l.sqlite")
    assert (summary.looked_at, summary.broken) == (5, 3)
    library.close()
    model.read = read  # type: ignore[method-assign]
    summary, library = run(model, disk, tmp_path / "l.sqlite")
    assert (summary.looked_at, summary.broken, len(library.search())) == (1, 2, 3)
    library.close()


def test_what_is_gone_is_told_once(model, disk: Path, tmp_path: Path, monkeypatch) -> None:
    draw(disk / "shut" / "in it.png", COLOURS["red"], (50, 50))
    scandir = os.scandir

    def refuse(path: Path) -> object:
        if Path(path).name == "shut":
            raise PermissionError(13, os.strerror(13), str(path))
        return scandir(path)

    with monkeypatch.context() as closed:
        closed.setattr(os, "scandir", refuse)
        summary, library = run(model, disk, tmp_path / "l.sqlite")
        assert (summary.broken, summary.gone) == (3, 0)
        library.close()
    (disk / "empty.jpg").unlink()
    summary, library = run(model, disk, tmp_path / "l.sqlite")
    assert (summary.broken, summary.gone) == (1, 1), "a folder that may be entered again is not gone"
    library.close()
    (disk / "red.png").unlink()
    summary, library = run(model, disk, tmp_path / "l.sqlite")
    assert (summary.broken, summary.gone) == (1, 1)
    library.close()
    summary, library = run(model, disk, tmp_path / "l.sqlite")
    assert (summary.broken, summary.gone) == (1, 0)
    library.close()


def test_a_folder_whose_own_name_is_of_any_bytes(bundles, model, tmp_path: Path, capsys) -> None:
    folder = tmp_path / os.fsdecode(b"\xe9t\xe9")
    folder.mkdir()
    draw(folder / "red.png", COLOURS["red"])
    to = folder / "l.sqlite"
    for looked_at in (1, 0):
        index_pictures(bundles["classification"], folder, to, 1, 100.0, False, False, True)
        told = capsys.readouterr().out
        assert f"{looked_at} of them" in told
        assert "\\udce9t\\udce9" in told
    library = Library(to)
    assert library.folder == folder
    [found] = library.search()
    assert found.file.is_file()
    assert (library.meta("folder") or "").isprintable()
    library.close()
    search_library(to, "", 0.0, {}, 0, folder / "out", None, None, False)
    assert "1 file in" in capsys.readouterr().err
    moved = folder.rename(tmp_path / "now a text")
    library = run(model, moved, moved / "l.sqlite")[1]
    assert library.folder == moved
    library.close()


def test_a_folder_noted_by_an_earlier_version_is_read(tmp_path: Path) -> None:
    library = kennel(tmp_path)
    library.set_meta(folder_raw=os.fsencode("/elsewhere").hex())  # of a version that knew it, before one that did not
    assert library.folder == tmp_path / "disk"
    assert all(found.file.is_file() for found in library.search())
    library.close()


def steps(library: Library, table: bool = True) -> int:
    """Return about how many steps SQLite takes for the whole table."""
    counted = [0]

    def count() -> int:
        counted[0] += 1000
        return 0

    library._base.set_progress_handler(count, 1000)
    library.table()
    library._base.set_progress_handler(None, 0)
    return counted[0]


@pytest.mark.parametrize("status", ["answered", "broken"])
def test_many_copies_of_a_content_take_no_longer_than_others(tmp_path: Path, status: str) -> None:
    alike = make(tmp_path / "a.sqlite", [row(f"{n:05}.jpg", digest="0" * 64, status=status) for n in range(4000)])
    others = make(tmp_path / "o.sqlite", [row(f"{n:05}.jpg", status=status) for n in range(4000)])
    assert steps(alike) < 3 * steps(others)
    copies = {entry[0]: entry[8] for entry in alike.table()}
    assert copies["00000.jpg"] is None
    assert copies["00007.jpg"] == ("00000.jpg" if status == "answered" else None)
    alike.close()
    others.close()


def test_a_library_of_before_gets_what_makes_copies_fast(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    make(path, [row("a.jpg")]).close()
    base = sqlite3.connect(path)
    base.execute("DROP INDEX pictures_by_copy")
    base.commit()
    base.close()
    library = Library(path, read_only=True)
    assert len(library.table()) == 1
    library.close()
    library = Library(path)
    assert library._base.execute("SELECT COUNT(*) FROM sqlite_master WHERE name = 'pictures_by_copy'").fetchone()[0]
    library.close()


def test_a_search_asks_for_its_folder_once(tmp_path: Path) -> None:
    library = make(tmp_path / "l.sqlite", [row(f"{n:05}.jpg") for n in range(500)])
    asked: list[str] = []
    library._base.set_trace_callback(asked.append)
    assert len(library.search()) == 500
    library._base.set_trace_callback(None)
    assert len(asked) < 6
    library.close()


def test_a_table_as_csv_says_that_it_is_unicode(tmp_path: Path) -> None:
    library = make(tmp_path / "l.sqlite", [row("été.jpg")])
    write_table(library, tmp_path / "t.csv")
    assert (tmp_path / "t.csv").read_bytes()[:3] == b"\xef\xbb\xbf"
    with (tmp_path / "t.csv").open(newline="", encoding="utf-8-sig") as file:
        assert [entry["path"] for entry in csv.DictReader(file)] == ["été.jpg"]
    library.close()


def test_the_library_keeps_the_largest_limit_that_its_pictures_were_read_with(bundles, disk: Path, tmp_path) -> None:
    for most, kept in ((10_000, 10_000), (50_000, 50_000), (20_000, 50_000)):
        model = load(bundles["classification"], threads=1, max_pixels=most)
        library = run(model, disk, tmp_path / "l.sqlite")[1]
        assert library.max_pixels == kept
        library.close()


def test_the_gallery_draws_what_the_library_was_indexed_with(tmp_path: Path) -> None:
    from etude.runtime.library.gallery import make_thumb

    found = kennel(tmp_path, ("a",)).search()[0]
    with pytest.raises(DataError, match=r"at most 0\.0001 megapixels"):
        make_thumb(found, 100)
    assert make_thumb(found, 10_000)[:3] == b"\xff\xd8\xff"


def test_the_browser_is_opened_beside_the_server(tmp_path: Path, monkeypatch) -> None:
    kennel(tmp_path).close()
    opened: list[threading.Thread] = []
    came = threading.Event()

    def slow(address: str) -> bool:
        opened.append(threading.current_thread())
        came.set()
        return True

    def serve(library: Library, config: object, ready: Callable[[str], None]) -> None:
        ready("http://127.0.0.1:1/")
        assert came.wait(20)

    monkeypatch.setattr("webbrowser.open", slow)
    monkeypatch.setattr("etude.runtime.serving.server.serve_gallery", serve)
    commands.show_gallery(tmp_path / "l.sqlite", 0, True)
    assert opened != [threading.current_thread()], "requests would wait for the browser"


def test_corrections_that_are_taken_in_are_told(bundles, disk: Path, tmp_path: Path, capsys) -> None:
    to = tmp_path / "l.sqlite"
    index_pictures(bundles["classification"], disk, to, 1, 100.0, False, False, True)
    library = Library(to)
    library.correct(library.search()[0].sha256, "blue")
    library.close()
    to.unlink()
    capsys.readouterr()
    index_pictures(bundles["classification"], disk, to, 1, 100.0, False, False, True)
    assert "1 correction taken in from" in capsys.readouterr().err
    library = Library(to)
    assert len(library.search(corrected=True)) == 1
    library.close()


def test_a_bundle_of_8_bits_is_tested_on_this_processor_before_it_indexes(disk: Path, tmp_path: Path) -> None:
    from etude.runtime.reference import Reference, drawn_pictures

    good = make_contents()
    answers = Reference.from_bytes(good["reference.npz"]).answers
    other = Reference(drawn_pictures((16, 16)), answers[::-1].copy() * 0.5).to_bytes()
    contents = make_contents(kind="int8", reference=other)
    assert json.loads(contents["bundle.json"])["kind"] == "int8"
    bundle = write_zip(tmp_path / "eight.bundle", contents)
    with pytest.raises(BundleError, match="self-test"):
        index_pictures(bundle, disk, tmp_path / "l.sqlite", 1, 100.0, False, False, True)
    assert not (tmp_path / "l.sqlite").exists()
