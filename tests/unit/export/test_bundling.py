"""Where a bundle is written: what is there is not replaced unless it is a bundle, and what breaks off leaves it whole."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

pytest.importorskip("onnx", reason="needs onnx to draw graphs: install etude[train]")

from tests.unit.runtime.drawing import make_contents, write_zip

from etude import load
from etude.core.bundle_record import BundleRecord
from etude.core.errors import EtudeError, MistakeError
from etude.export.bundling import check_place, write_bundle


@pytest.fixture(scope="module")
def contents() -> dict[str, bytes]:
    return make_contents()


def write(path: Path, contents: dict[str, bytes], **options: object) -> None:
    """Write a bundle of these files, as an export does."""
    record = BundleRecord.read(json.loads(contents["bundle.json"]))
    files = {name: content for name, content in contents.items() if name != "bundle.json"}
    write_bundle(path, record, files, **options)


@pytest.mark.parametrize("content", [b"the notes of a month", b"", b"PK\x05\x06" + bytes(18)])
def test_a_file_that_is_no_bundle_is_not_replaced(contents, tmp_path: Path, content: bytes) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_bytes(content)
    for attempt in (lambda: check_place(notes, as_folder=False), lambda: write(notes, contents)):
        with pytest.raises(
            MistakeError, match=r"--to must be a new file, or one that holds a bundle\. Got .*notes\.txt"
        ):
            attempt()
    assert notes.read_bytes() == content
    assert list(tmp_path.iterdir()) == [notes]


def test_a_zip_file_of_something_else_is_not_replaced(contents, tmp_path: Path) -> None:
    other = write_zip(tmp_path / "photos.zip", {"a.txt": b"a"})
    forged = write_zip(tmp_path / "forged.zip", {"bundle.json": b"[1]"})
    for path in (other, forged):
        with pytest.raises(MistakeError, match="one that holds a bundle"):
            check_place(path, as_folder=False)


def test_a_bundle_is_replaced_by_another_of_its_kind(contents, tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.bundle", contents)
    check_place(path, as_folder=False)
    write(path, make_contents(name="other"))
    assert load(path).name == "other"
    with pytest.raises(MistakeError, match="a new folder, or one that holds a bundle"):
        check_place(path, as_folder=True)
    (tmp_path / "folder").mkdir()
    with pytest.raises(MistakeError, match="a file, or given with --folder"):
        check_place(tmp_path / "folder", as_folder=False)


@pytest.mark.parametrize("as_folder", [False, True])
def test_a_place_that_cannot_be_written_to_is_told_before_anything_is_computed(tmp_path: Path, as_folder: bool) -> None:
    (tmp_path / "file").write_text("a")
    for path in (tmp_path / "file/in/a.bundle", tmp_path / ("x" * 300), Path()):
        with pytest.raises(EtudeError, match="export: --to must be"):
            check_place(path, as_folder=as_folder)
    check_place(tmp_path / "new/folder/a.bundle", as_folder=as_folder)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="needs a person who may not write everywhere"
)
def test_a_protected_folder_is_told_before_anything_is_computed(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(EtudeError, match="cannot be written"):
            check_place(tmp_path / "a.bundle", as_folder=False)
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.parametrize("start", ["check", "write"])
def test_the_folder_that_a_killed_export_was_replacing_is_put_back(contents, tmp_path: Path, start: str) -> None:
    path, before = tmp_path / "breeds", tmp_path / ".breeds.before"
    write(path, contents, as_folder=True)
    path.rename(before)  # killed between the two renames
    if start == "check":
        check_place(path, as_folder=True)
        assert load(path).name == "colours"
    else:
        with pytest.raises(RuntimeError):
            write(path, make_contents(name="other"), as_folder=True, check=broken)
        assert load(path).name == "colours"
    assert [entry.name for entry in tmp_path.iterdir()] == ["breeds"]


def broken(path: Path) -> None:
    raise RuntimeError("the self-test failed")


def test_what_was_replaced_goes_where_the_new_one_is_there(contents, tmp_path: Path) -> None:
    path, before = tmp_path / "breeds", tmp_path / ".breeds.before"
    write(before, contents, as_folder=True)
    write(path, make_contents(name="other"), as_folder=True)
    check_place(path, as_folder=True)
    assert [entry.name for entry in tmp_path.iterdir()] == ["breeds"]
    assert load(path).name == "other"


@pytest.mark.parametrize("fails", ["write", "check", "rename"])
def test_a_folder_that_breaks_off_leaves_nothing_and_the_one_before(
    contents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    path = tmp_path / "breeds"
    write(path, contents, as_folder=True)
    if fails == "write":
        monkeypatch.setattr("etude.export.bundling.os.fsync", lambda handle: broken(path))
    if fails == "rename":
        honest = Path.rename

        def rename(self: Path, target: Path) -> Path:
            return broken(self) if self.name == ".breeds.part" else honest(self, target)

        monkeypatch.setattr(Path, "rename", rename)
    with pytest.raises(RuntimeError):
        write(
            path, make_contents(name="other"), as_folder=True, check=broken if fails == "check" else lambda path: None
        )
    monkeypatch.undo()
    assert [entry.name for entry in tmp_path.iterdir()] == ["breeds"]
    assert load(path).name == "colours"


def test_a_link_to_a_folder_is_no_place_for_a_folder(tmp_path: Path) -> None:
    """It would be renamed itself, and stand in the way of every export to come."""
    (tmp_path / "v1").mkdir()
    (tmp_path / "current").symlink_to("v1")
    (tmp_path / "nowhere").symlink_to("v0")
    for name in ("current", "nowhere"):
        with pytest.raises(MistakeError, match=r"a link.*Give the folder that it leads to"):
            check_place(tmp_path / name, as_folder=True)
