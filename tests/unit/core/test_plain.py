"""Records that are read without pydantic: what holds is taken, all else is refused with the name of the field."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from pydantic import BaseModel, ValidationError

from etude.core.interval import Interval
from etude.core.plain import Plain


@dataclass(frozen=True, kw_only=True)
class Inner(Plain):
    share: float


@dataclass(frozen=True, kw_only=True)
class Outer(Plain):
    name: str
    kind: Literal["a", "b"] = "a"
    size: int | tuple[int, int] = 3
    inner: Inner | None = None
    colours: tuple[tuple[int, int, int], ...] = ()
    counts: dict[str, dict[str, int]] = field(default_factory=dict)
    beside: dict[str, Any] = field(default_factory=dict)


WHOLE = {
    "name": "n", "kind": "b", "size": [2, 3], "inner": {"share": 1}, "colours": [[1, 2, 3]],
    "counts": {"train": {"cat": 4}}, "beside": {"x": [None, True]},
}  # fmt: skip


def test_what_was_written_is_read_again():
    record = Outer.read(WHOLE)
    assert record.size == (2, 3)
    assert record.inner == Inner(share=1.0)
    assert record.colours == ((1, 2, 3),)
    assert Outer.read(json.loads(record.text())) == record
    assert Outer.read({"name": "n"}) == Outer(name="n")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"name": None}, "Outer.name must be str. Got None."),
        ({"kind": "c"}, "Outer.kind must be"),
        ({"size": True}, "Outer.size must be"),
        ({"size": [1, 2, 3]}, "Outer.size must be"),
        ({"inner": {"share": "1"}}, "Outer.inner must be"),
        ({"inner": {}}, "Outer.inner must be"),
        ({"colours": [[1, 2]]}, r"Outer.colours\[0\] must be"),
        ({"counts": {"train": {"cat": 1.5}}}, "Outer.counts.train.cat must be int. Got 1.5."),
        ({"counts": {"train": {1: 1}}}, "Outer.counts.train must be"),
        ({"inner": Inner(share=1).plain() | {"share": float("nan")}}, "Outer.inner must be"),
        ({"more": 1}, "Outer must have known fields. Got 'more'."),
    ],
)  # fmt: skip
def test_what_does_not_hold_is_refused_by_the_name_of_its_field(change, told):
    with pytest.raises(ValueError, match=told):
        Outer.read({**WHOLE, **change})


@pytest.mark.parametrize("share", [float("nan"), float("inf"), -float("inf"), 10**400])
def test_a_number_without_a_size_is_neither_read_nor_written(share):
    with pytest.raises(ValueError, match=r"Inner.share must be a finite number"):
        Inner.read({"share": share})
    if isinstance(share, float):
        with pytest.raises(ValueError, match="not JSON compliant"):
            Inner(share=share).text()


@pytest.mark.parametrize("content", [None, [], "text", {}, {"kind": "a"}])
def test_what_is_no_record_is_refused(content):
    with pytest.raises(ValueError, match="Outer must"):
        Outer.read(content)


def test_a_pydantic_record_may_hold_one():
    class Holder(BaseModel):
        interval: Interval | None = None

    held = Holder.model_validate({"interval": {"low": 1, "high": 2.5}})
    assert held.interval == Interval(low=1.0, high=2.5)
    assert held.model_dump(mode="json") == {"interval": {"low": 1.0, "high": 2.5}}
    assert Holder.model_json_schema()["$defs"]["Interval"]["properties"]["high"]["description"] == "Upper end."
    with pytest.raises(ValidationError):
        Holder.model_validate({"interval": {"low": 1, "high": 2, "middle": 1.5}})
