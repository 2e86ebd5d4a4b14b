"""Pictures brought into folders: one that cannot be read stops no other, and a class gives back what it has no more."""

from __future__ import annotations

import builtins
import errno
import io
import json
import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from PIL import Image
from tests.unit.runtime.drawing import plain
from tests.unit.runtime.library_disk import draw, kennel, make, row

from etude.cli.library import search_library
from etude.core.errors import MistakeError, StorageError
from etude.runtime.library.database import Library
from etude.runtime.library.writing import bring


def lying(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file() and path.name[0] != "."}


def correct(library: Library, name: str, label: str) -> None:
    library.correct(next(found.sha256 for found in library.search() if found.path == name), label)


def train(tmp_path: Path) -> None:
    search_library(tmp_path / "l.sqlite", "", 0.0, {"corrected": True}, 0, None, None, tmp_path / "train", True)


def test_a_picture_leaves_the_class_that_a_correction_takes_it_from(tmp_path: Path, capsys) -> None:
    library = kennel(tmp_path)
    correct(library, "a.png", "husky")
    correct(library, "b.png", "husky")
    train(tmp_path)
    assert lying(tmp_path / "train") == {"husky/a.png", "husky/b.png"}
    correct(library, "a.png", "malamute")
    capsys.readouterr()
    train(tmp_path)
    assert lying(tmp_path / "train") == {"malamute/a.png", "husky/b.png"}
    told = capsys.readouterr().err
    assert "1 file taken away" in told
    assert "husky/a.png" in told
    capsys.readouterr()
    train(tmp_path)
    library.close()


def test_a_picture_leaves_its_class_though_it_is_not_among_those_that_are_brought(tmp_path: Path) -> None:
    library = kennel(tmp_path, ("a", "b", "c"))
    for name in "abc":
        correct(library, f"{name}.png", "malamute")
    train(tmp_path)
    library.set_none(library.search()[0].sha256)
    library.take_back(library.search(none=False)[1].sha256)
    train(tmp_path)
    assert len(lying(tmp_path / "train")) == 1
    assert not (tmp_path / "train" / "husky").exists(), "a correction that was taken back is none to train on"
    library.close()


def test_nothing_is_taken_away_that_is_not_ours_or_was_changed_or_lies_nowhere_else(tmp_path: Path, capsys) -> None:
    library = kennel(tmp_path, ("a", "b", "c", "d"))
    theirs = tmp_path / "train" / "husky" / "d.png"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes((tmp_path / "disk" / "d.png").read_bytes())
    for name in "abcd":
        correct(library, f"{name}.png", "husky")
    train(tmp_path)
    draw(tmp_path / "train" / "husky" / "a.png", (1, 2, 3))
    (tmp_path / "disk" / "b.png").unlink()
    for name in "abcd":
        correct(library, f"{name}.png", "malamute")
    capsys.readouterr()
    train(tmp_path)
    assert lying(tmp_path / "train") == {
        "husky/a.png", "husky/b.png", "husky/d.png", "malamute/a.png", "malamute/c.png", "malamute/d.png"
    }  # fmt: skip
    told = capsys.readouterr().err
    assert "2 files stay" in told
    assert "husky/a.png" in told
    library.close()


@pytest.mark.parametrize("name", ["../l.sqlite", "husky/../../l.sqlite", "/etc/passwd", "husky"])
def test_a_list_that_names_what_lies_elsewhere_is_refused(tmp_path: Path, name: str) -> None:
    library = kennel(tmp_path)
    correct(library, "a.png", "husky")
    train(tmp_path)
    record = tmp_path / "train" / ".etude.json"
    kept = json.loads(record.read_text())
    assert list(kept["files"]) == ["husky/a.png"]
    kept["files"][name] = {"picture": "0" * 64, "content": "0" * 64}
    record.write_text(json.dumps(kept))
    with pytest.raises(MistakeError, match=r"\.etude\.json must be"):
        train(tmp_path)
    library.close()


@pytest.mark.parametrize("text", ["", "[]", '{"files": 3}', '{"format": 1, "files": {"a/b": "x"}}', "\udcff"])
def test_a_list_that_is_none_is_told_before_anything_is_brought(tmp_path: Path, text: str) -> None:
    library = kennel(tmp_path)
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / ".etude.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(MistakeError, match=r"\.etude\.json must be"):
        bring(library.search(), tmp_path / "train", "copy", by_class=True)
    assert lying(tmp_path / "train") == set()
    library.close()


def test_what_was_brought_is_on_the_list_though_the_work_was_stopped(tmp_path: Path, monkeypatch) -> None:
    library = kennel(tmp_path)
    replace, calls = Path.replace, []

    def stop(self: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return replace(self, target)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Path, "replace", stop)
        bring(library.search(), tmp_path / "train", "copy", by_class=True)
    (made,) = lying(tmp_path / "train")
    assert list(json.loads((tmp_path / "train" / ".etude.json").read_text())["files"]) == [made]
    library.close()


def test_a_picture_of_another_content_than_was_indexed_is_not_trained_on(tmp_path: Path) -> None:
    library = kennel(tmp_path)
    draw(tmp_path / "disk" / "a.png", (1, 2, 3))
    brought = bring(library.search(), tmp_path / "train", "copy", by_class=True)
    assert [found.path for found, _ in brought.unreadable] == ["a.png"]
    assert "Index its folder again" in brought.unreadable[0][1]
    assert lying(tmp_path / "train") == {"husky/b.png"}
    library.close()


def refuse(monkeypatch: pytest.MonkeyPatch, file: Path) -> None:
    """Let nobody open a file; the tests may run as a user whom no permission stops."""

    def guarded(opening: Callable[..., object]) -> Callable[..., object]:
        def guard(path: object, *given: object, **options: object) -> object:
            if isinstance(path, str | Path) and Path(path) == file:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
            return opening(path, *given, **options)

        return guard

    monkeypatch.setattr(io, "open", guarded(io.open))
    monkeypatch.setattr(builtins, "open", guarded(builtins.open))


@pytest.mark.parametrize("way", ["copy", "train"])
def test_a_picture_that_cannot_be_read_stops_no_other(tmp_path: Path, monkeypatch, capsys, way: str) -> None:
    kennel(tmp_path, ("a", "b", "c")).close()
    folders = {name: tmp_path / "out" if name == way else None for name in ("copy", "link", "train")}
    with monkeypatch.context() as patched:
        refuse(patched, tmp_path / "disk" / "b.png")
        search_library(tmp_path / "l.sqlite", "", 0.0, {}, 0, **folders, as_json=True)
    assert {Path(name).name for name in lying(tmp_path / "out")} == {"a.png", "c.png"}
    told = capsys.readouterr().err
    assert "2 files in" in told
    assert "1 of 3 pictures could not be brought" in told
    assert "b.png" in told
    assert "Permission denied" in told
    assert "Free some space" not in told


def test_a_folder_of_originals_that_cannot_be_entered_stops_no_other(tmp_path: Path, monkeypatch) -> None:
    library = kennel(tmp_path, ("a", "b"))
    stat = os.stat

    def shut(path: object, *given: object, **options: object) -> os.stat_result:
        if path == tmp_path / "disk" / "a.png":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return stat(path, *given, **options)

    found = library.search()
    with monkeypatch.context() as patched:
        patched.setattr(os, "stat", shut)
        brought = bring(found, tmp_path / "out", "copy")
    assert [picture.path for picture, _ in brought.unreadable] == ["a.png"]
    assert lying(tmp_path / "out") == {"b.png"}
    library.close()


def test_the_same_picture_elsewhere_is_brought_where_one_cannot_be_read(tmp_path: Path, monkeypatch) -> None:
    library = kennel(tmp_path, ("a",))
    other = tmp_path / "disk" / "z.png"
    other.write_bytes((tmp_path / "disk" / "a.png").read_bytes())
    library.write([row("z.png", digest=library.search()[0].sha256)])
    found = library.search()
    refuse(monkeypatch, tmp_path / "disk" / "a.png")
    brought = bring(found, tmp_path / "out", "copy")
    assert brought.unreadable == []
    assert lying(tmp_path / "out") == {"z.png"}


def test_where_none_can_be_read_that_is_a_mistake(tmp_path: Path, monkeypatch) -> None:
    kennel(tmp_path, ("a",)).close()
    refuse(monkeypatch, tmp_path / "disk" / "a.png")
    with pytest.raises(MistakeError, match=r"none of 1 picture could be brought.*Permission denied"):
        search_library(tmp_path / "l.sqlite", "", 0.0, {}, 0, tmp_path / "out", None, None, True)


def test_a_name_that_the_folder_does_not_take_stops_no_other(tmp_path: Path) -> None:
    library = kennel(tmp_path, ("a", "x" * 248))
    brought = bring(library.search(), tmp_path / "out", "copy")
    assert [len(found.path) for found, _ in brought.unreadable] == [252]
    assert lying(tmp_path / "out") == {"a.png"}
    library.close()


@pytest.mark.parametrize("number", [errno.EPERM, errno.ENOTSUP])
def test_a_folder_without_links_says_so(tmp_path: Path, monkeypatch, number: int) -> None:
    library = kennel(tmp_path, ("a",))

    def refuse_link(*given: object, **options: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "symlink", refuse_link)
    with pytest.raises(StorageError, match=r"has links.*--copy"):
        bring(library.search(), tmp_path / "out", "link")
    library.close()


def test_a_target_that_is_full_is_still_told_as_the_target(tmp_path: Path, monkeypatch) -> None:
    library = kennel(tmp_path, ("a",))

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="Free some space"):
        bring(library.search(), tmp_path / "out", "copy")


def test_the_limit_of_the_library_holds_for_what_is_brought(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif", reason="needs pillow-heif")
    packed = io.BytesIO()
    heif.from_pillow(Image.fromarray(plain((200, 0, 0), 64))).save(packed)
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "a.heic").write_bytes(packed.getvalue())
    picture = row("a.heic", digest=sha256(packed.getvalue()).hexdigest())
    library = make(tmp_path / "l.sqlite", [picture], tmp_path / "disk")
    library.set_meta(max_pixels="100")
    brought = bring(library.search(), tmp_path / "train", "copy", by_class=True, library=library)
    assert "at most 0.0001 megapixels" in brought.unreadable[0][1]
    library.set_meta(max_pixels="10000")
    assert bring(library.search(), tmp_path / "train", "copy", by_class=True, library=library).unreadable == []
    library.close()


def test_the_only_copy_of_a_picture_stays_though_it_lies_in_the_training_folder(tmp_path: Path, capsys) -> None:
    """A folder to train on may be indexed itself: what lies there is not there twice."""
    library = kennel(tmp_path)
    for name in ("a.png", "b.png"):
        correct(library, name, "husky")
    train(tmp_path)
    library.close()
    (tmp_path / "l.sqlite").unlink()
    (tmp_path / "l.corrections.csv").unlink()
    rows = [
        row(f"train/husky/{name}", digest=sha256((tmp_path / "train" / "husky" / name).read_bytes()).hexdigest())
        for name in ("a.png", "b.png")
    ]
    (tmp_path / "disk").rename(tmp_path / "gone")
    library = make(tmp_path / "l.sqlite", rows, tmp_path)
    correct(library, "train/husky/b.png", "malamute")
    library.set_none(next(found.sha256 for found in library.search() if found.path.endswith("a.png")))
    train(tmp_path)
    assert {"husky/a.png", "husky/b.png"} <= lying(tmp_path / "train")
    library.close()
