"""Registry, seeds, whole-file writing, records."""

from __future__ import annotations

import errno
import pickle
from pathlib import Path
from typing import Any, ClassVar

import pytest

from etude.core.errors import DataError, MistakeError, StorageError
from etude.core.files import sweep, write_json, writing
from etude.core.records import Record, fingerprint
from etude.core.registry import Registry
from etude.core.seeds import derive


def test_a_duplicate_name_raises() -> None:
    things: Registry[int] = Registry("thing")
    things.register("a")(1)
    with pytest.raises(ValueError, match="'a' is registered twice"):
        things.register("a")(2)


def test_streams_are_apart() -> None:
    seeds = {derive(seed, word, number) for seed in range(20) for word in ("order", "augment") for number in range(20)}
    assert len(seeds) == 800
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_a_failed_write_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    write_json(path, {"kept": True})
    with pytest.raises(RuntimeError, match="midway"), writing(path) as beside:
        beside.write_text("half")
        raise RuntimeError("midway")
    assert "kept" in path.read_text()
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    told = r"a.json: cannot be written \(No space left on device\). Free some space"
    with pytest.raises(StorageError, match=told), writing(tmp_path / "a.json"):
        raise OSError(errno.ENOSPC, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_sweep_removes_leftovers_only(tmp_path: Path) -> None:
    (tmp_path / ".a.json.x1y2.json").write_text("half")
    (tmp_path / ".lock").write_text("")
    (tmp_path / "a.json").write_text("{}")
    sweep(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", "a.json"]


class Thing(Record):
    FORMAT: ClassVar[int] = 2
    name: str

    @classmethod
    def upgrade(cls, content: dict[str, Any]) -> dict[str, Any]:
        return {"name": content.pop("title"), **content} if content["format"] == 1 else content


def test_earlier_formats_are_read_and_later_ones_refused(tmp_path: Path) -> None:
    path = tmp_path / "thing.json"
    path.write_text('{"format": 1, "title": "old"}')
    assert Thing.load(path).name == "old"
    path.write_text('{"format": 3, "name": "new"}')
    with pytest.raises(MistakeError, match="later version of Étude"):
        Thing.load(path)
    path.write_text("{")
    with pytest.raises(MistakeError, match="cannot be read as a record"):
        Thing.load(path)
    path.write_text('{"format": 2}')
    with pytest.raises(MistakeError, match="is not a Thing"):
        Thing.load(path)


def test_the_order_of_keys_does_not_change_a_fingerprint() -> None:
    assert fingerprint({"a": 1, "b": [1, 2]}) == fingerprint({"b": [1, 2], "a": 1})
    assert fingerprint({"a": 1}) != fingerprint({"a": 2})


def test_what_is_wrong_with_data_can_be_told_in_another_language() -> None:
    plain, told = DataError("a.png: broken"), DataError("b.png: large", cause="pixels", facts={"most": 9})
    assert (str(plain), plain.args, plain.cause, plain.facts) == ("a.png: broken", ("a.png: broken",), "", {})
    again = pickle.loads(pickle.dumps(told.at("data", "source")))
    assert (str(again), again.cause, again.facts) == ("b.png: large", "pixels", {"most": 9})
    assert again.field == ("data", "source")
