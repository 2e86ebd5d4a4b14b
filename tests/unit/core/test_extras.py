"""What an extra brings is asked for before any work is done."""

from __future__ import annotations

import pytest

from etude.core.errors import MissingPartError
from etude.core.extras import require
from etude.report import writing


def test_every_missing_part_is_named_with_the_way_to_bring_it():
    with pytest.raises(
        MissingPartError, match=r"no_such, nor_this, which are not.*'\.\[report\]'.*uv sync.*etude\[report\]"
    ):
        require("report", "report", ["json", "no_such", "nor_this"])


def test_a_report_that_lacks_a_part_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(writing, "_NEEDS", {"slides": "no_such"})
    with pytest.raises(MissingPartError, match="no_such"):
        writing.write_reports(tmp_path, ["note", "slides"], ["en"])
    assert not list(tmp_path.iterdir())
