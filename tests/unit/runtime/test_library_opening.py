"""How a library is opened: readers beside writers, protected folders, damage, and corrections that outlive their file."""

from __future__ import annotations

import contextlib
import csv
import os
import shutil
import sqlite3
from pathlib import Path

import pytest
from tests.unit.runtime.library_disk import as_before, head, make, row, state

from etude.cli.library import index_pictures, search_library
from etude.core.errors import EtudeError, MistakeError, StorageError
from etude.runtime.library.database import Library


@pytest.mark.parametrize("is_old", [False, True])
def test_who_reads_sees_what_is_written_meanwhile(tmp_path: Path, is_old: bool) -> None:
    path = tmp_path / "l.sqlite"
    make(path, [row("first.jpg")]).close()
    if is_old:
        as_before(path)
    reader = Library(path, read_only=True)
    assert reader.counts() == [("husky", 1, 0)]
    writer = Library(path)
    for begin in range(0, 4000, 1000):
        writer.write(row(f"{number:05}.jpg") for number in range(begin, begin + 1000))
        assert reader.counts() == [("husky", begin + 1001, 0)]
    writer.close()
    assert reader.counts() == [("husky", 4001, 0)]
    writer = Library(path)
    writer.write(row(f"{number:05}.jpg", "malamute") for number in range(4000))
    assert reader.counts() == [("malamute", 4000, 0), ("husky", 1, 0)]
    writer.close()
    assert reader.counts() == [("malamute", 4000, 0), ("husky", 1, 0)]
    assert len(reader.search(label="malamute")) == 4000
    reader.close()


@pytest.mark.parametrize("is_old", [False, True])
def test_a_writer_that_has_written_nothing_yet_is_seen(tmp_path: Path, is_old: bool) -> None:
    path = tmp_path / "l.sqlite"
    make(path, [row("first.jpg")]).close()
    if is_old:
        as_before(path)
    writer = Library(path)
    reader = Library(path, read_only=True)
    assert reader.counts() == [("husky", 1, 0)]
    writer.write(row(f"{number:05}.jpg") for number in range(3000))
    assert reader.counts() == [("husky", 3001, 0)]
    writer.close()
    reader.close()


def test_a_library_that_is_closed_is_one_file_which_readers_leave_alone(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    make(path, [row("first.jpg")]).close()
    assert head(path) == b"\1\1"
    before = state(tmp_path)
    assert list(before) == [str(path)]
    reader = Library(path, read_only=True)
    assert len(reader.search()) == 1
    assert state(tmp_path) == before
    reader.close()
    assert state(tmp_path) == before


def test_a_writer_closes_beside_a_reader(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    make(path, [row("first.jpg")]).close()
    writer, reader = Library(path), Library(path, read_only=True)
    writer.write([row("second.jpg")])
    assert len(reader.search()) == 2
    writer.close()
    assert len(reader.search()) == 2
    reader.close()
    other = Library(path, read_only=True)
    assert len(other.search()) == 2
    other.close()


def test_what_a_protected_folder_hides_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "l.sqlite"
    make(path, [row("first.jpg")]).close()
    writer = Library(path)
    writer.write([row("second.jpg")])
    protected = tmp_path / "protected" / "l.sqlite"
    protected.parent.mkdir()
    for ending in ("", "-wal"):
        shutil.copy(f"{path}{ending}", f"{protected}{ending}")
    # The index of the log can be neither opened nor made: tests may run as a user whom no permission stops.
    Path(f"{protected}-shm").symlink_to(tmp_path / "nowhere" / "shm")
    reader = Library(protected, read_only=True)
    assert [found.path for found in reader.search()] == ["first.jpg"]
    assert "had not brought into the file is not shown" in reader.notice
    reader.close()
    search_library(protected, "", 0.0, {}, 0, None, None, None, False)
    told = capsys.readouterr()
    assert "first.jpg" in told.out
    assert "had not brought into the file is not shown" in told.err
    writer.close()
    calm = Library(path, read_only=True)
    assert calm.notice == ""
    calm.close()


def damage(path: Path, begin: int) -> None:
    content = bytearray(path.read_bytes())
    content[begin:] = b"\xff" * (len(content) - begin)
    path.write_bytes(content)


@pytest.mark.parametrize("share", [0.0, 0.7])
def test_a_damaged_library_says_so_and_what_to_do(tmp_path: Path, share: float) -> None:
    path = tmp_path / "l.sqlite"
    make(path, [row(f"{number:05}.jpg") for number in range(3000)]).close()
    damage(path, max(4096, int(share * path.stat().st_size)))
    told = ""
    try:
        library = Library(path)
        try:
            library.search()
            library.table()
        finally:
            library.close()
    except EtudeError as error:
        told = str(error)
    assert "is damaged" in told
    assert "move it away" in told
    assert "Free some space" not in told


def test_a_head_that_is_lost_is_damage_where_corrections_lie_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    library = make(path, [row("first.jpg")])
    library.correct(library.search()[0].sha256, "malamute")
    library.close()
    damage(path, 0)
    with pytest.raises(MistakeError, match=r"is damaged.*l\.corrections\.csv"):
        Library(path)


def test_corrections_come_back_into_a_library_that_is_made_anew(tmp_path: Path) -> None:
    path, rows = tmp_path / "l.sqlite", [row(f"{number}.jpg") for number in range(3)]
    library = make(path, rows)
    first, second, third = library.search()
    library.correct(first.sha256, "malamute")
    library.set_none(second.sha256)
    library.correct(third.sha256, "malamute")
    library.take_back(third.sha256)
    library.close()
    rescued = tmp_path / "l.corrections.csv"
    with rescued.open(newline="", encoding="utf-8-sig") as file:
        written = list(csv.DictReader(file))
    assert {(entry["sha256"], entry["label"]) for entry in written} == {(first.sha256, "malamute"), (second.sha256, "")}
    assert all(entry["when"].startswith("2") for entry in written)
    path.unlink()
    library = make(path, rows)
    assert library.taken_in == 2
    assert [found.label for found in library.search(none=False, corrected=True)] == ["malamute"]
    assert [found.sha256 for found in library.search(none=True)] == [second.sha256]
    library.take_back(first.sha256)
    library.take_back(second.sha256)
    library.close()
    library = make(path, rows)
    assert library.taken_in == 0, "only what is made anew takes them in"
    library.close()
    path.unlink()
    library = make(path, rows)
    assert library.taken_in == 0, "what was taken back stays so"
    library.close()


def test_corrections_of_before_are_written_beside_too_and_readers_write_none(tmp_path: Path) -> None:
    path, rescued = tmp_path / "l.sqlite", tmp_path / "l.corrections.csv"
    library = make(path, [row("first.jpg")])
    library.close()
    assert not rescued.exists(), "without corrections there is nothing to keep"
    library = Library(path)
    library.correct(library.search()[0].sha256, "malamute")
    library.close()
    rescued.unlink()
    Library(path, read_only=True).close()
    assert not rescued.exists()
    Library(path).close()
    assert rescued.exists()


def test_corrections_of_this_session_outlive_a_library_that_breaks_under_it(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    library = make(path, [row(f"{number}.jpg") for number in range(3)])
    first, second, third = library.search()
    library.correct(first.sha256, "malamute")
    library.correct(second.sha256, "malamute")
    library.close()
    library = Library(path)
    library.take_back(first.sha256)
    library.correct(third.sha256, "malamute")
    with contextlib.closing(sqlite3.connect(path)) as other:
        other.execute("DROP TABLE corrections")
    library.close()
    with (tmp_path / "l.corrections.csv").open(newline="", encoding="utf-8-sig") as file:
        assert {entry["sha256"] for entry in csv.DictReader(file)} == {second.sha256, third.sha256}


@pytest.mark.parametrize("content", [b"\xff\xfe", b"sha256;label;when\n", b"sha256,label,when\nx,husky,2026\n"])
def test_a_table_of_corrections_that_is_none_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "l.corrections.csv").write_bytes(content)
    with pytest.raises(MistakeError, match=r"l\.corrections\.csv must be"):
        Library(tmp_path / "l.sqlite", create=True)
    (tmp_path / "l.corrections.csv").unlink()
    Library(tmp_path / "l.sqlite", create=True).close()


def test_a_correction_is_on_the_disk_before_it_is_told_as_kept(tmp_path: Path) -> None:
    library = make(tmp_path / "l.sqlite", [row("first.jpg")])
    asked: list[str] = []
    library._base.set_trace_callback(asked.append)
    library.correct(library.search()[0].sha256, "malamute")
    library._base.set_trace_callback(None)
    places = [next(at for at, words in enumerate(asked) if words.startswith(start))
              for start in ("PRAGMA synchronous=FULL", "INSERT OR REPLACE INTO corrections", "COMMIT",
                            "PRAGMA synchronous=NORMAL")]  # fmt: skip
    assert places == sorted(places)
    assert library._base.execute("PRAGMA synchronous").fetchone()[0] == 1
    library.close()


def test_a_library_that_is_a_link_is_read_with_the_log_beside_the_file(tmp_path: Path) -> None:
    path, link = tmp_path / "real" / "l.sqlite", tmp_path / "link.sqlite"
    writer = make(path, [row("first.jpg")])
    link.symlink_to(path)
    reader = Library(link, read_only=True)
    assert len(reader.search()) == 1
    reader.close()
    writer.close()


def test_a_library_whose_file_goes_while_it_is_read_is_told_or_read_on(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    make(path, [row("first.jpg")]).close()
    as_before(path)
    reader = Library(path, read_only=True)
    path.rename(tmp_path / "away.sqlite")
    assert len(reader.search()) == 1
    reader.close()


def test_a_full_disk_beside_the_library_is_told_and_the_library_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "l.sqlite"
    library = make(path, [row("first.jpg")])
    library.correct(library.search()[0].sha256, "malamute")

    def full(handle: int) -> None:
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patched, pytest.raises(StorageError, match=r"l\.corrections\.csv"):
        patched.setattr(os, "fsync", full)
        library.close()
    library = Library(path)
    assert library.search()[0].label == "malamute"
    library.close()
    assert (tmp_path / "l.corrections.csv").exists()


def test_a_library_whose_writer_was_cut_off_is_taken_back_to_what_it_was(tmp_path: Path) -> None:
    """A writer that opens or closes goes through a journal; one that is killed then leaves it beside the file."""
    path, cut = tmp_path / "l.sqlite", tmp_path / "cut"
    make(path, [row(f"{number:05}.jpg") for number in range(500)]).close()
    cut.mkdir()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as base:
        base.execute("PRAGMA cache_size=1")
        base.execute("BEGIN")
        base.execute("UPDATE pictures SET label = 'malamute', reason = hex(randomblob(200))")
        for file in (path, path.with_name("l.sqlite-journal")):
            shutil.copy(file, cut / file.name)
        base.execute("ROLLBACK")
    for number, ways in enumerate(({"read_only": True}, {}, {"create": True})):
        again = tmp_path / str(number)
        shutil.copytree(cut, again)
        library = Library(again / "l.sqlite", **ways)
        assert library.counts() == [("husky", 500, 0)]
        library.close()


def test_a_library_that_was_cut_off_where_nothing_can_be_written_says_what_to_do(tmp_path: Path, monkeypatch) -> None:
    path = tmp_path / "l.sqlite"
    make(path, [row("first.jpg")]).close()

    def refuse(base: sqlite3.Connection) -> bool:
        raise sqlite3.OperationalError("attempt to write a readonly database")

    monkeypatch.setattr("etude.runtime.library.opening.is_empty", refuse)
    monkeypatch.setattr("etude.runtime.library.opening.sqlite_code", lambda error: sqlite3.SQLITE_READONLY)
    with pytest.raises(MistakeError, match=r"l\.sqlite-journal beside it.*Copy both to a folder that can be written"):
        Library(path, read_only=True)


def test_corrections_of_a_session_that_was_cut_off_are_beside_the_library_once_it_is_opened(tmp_path: Path) -> None:
    library = make(tmp_path / "before" / "l.sqlite", [row("a.jpg"), row("b.jpg")])
    first, second = (found.sha256 for found in library.search())
    library.correct(first, "malamute")
    library.close()
    library = Library(tmp_path / "before" / "l.sqlite")
    library.correct(second, "malamute")
    shutil.copytree(tmp_path / "before", tmp_path / "after")  # as a process that is killed leaves it
    library.close()
    kept = tmp_path / "after" / "l.corrections.csv"
    assert second not in kept.read_text("utf-8-sig")
    Library(tmp_path / "after" / "l.sqlite").close()
    assert {line.split(",")[0] for line in kept.read_text("utf-8-sig").splitlines()[1:]} == {first, second}


def test_an_empty_line_of_the_corrections_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "l.sqlite"
    library = make(path, [row("a.jpg")])
    library.correct(library.search()[0].sha256, "malamute")
    library.close()
    kept = tmp_path / "l.corrections.csv"
    kept.write_text(kept.read_text("utf-8-sig") + "\n\n", "utf-8")
    path.unlink()
    library = Library(path, create=True)
    assert library.taken_in == 1
    library.close()


def test_no_table_takes_the_place_of_the_corrections_that_are_kept(tmp_path: Path) -> None:
    with pytest.raises(MistakeError, match="a table of another name"):
        index_pictures(
            tmp_path / "m.bundle", tmp_path, tmp_path / "l.corrections.csv", 0, 40.0,
            as_json=False, replace=False, quiet=True,
        )  # fmt: skip
