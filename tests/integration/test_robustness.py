"""A study that asks for robustness measures its best candidate and its baseline once, and the note says it."""

from __future__ import annotations

import re

import pytest

from etude import Study
from etude.core.robustness_record import RobustnessRecord
from etude.core.run_record import RunRecord
from etude.report.markdown import write_markdown
from etude.report.note import write_note

STUDY = """
study: sturdy
data: {source: shapes, split: {train_items: 200, validation: 0.1}}
prepare: {size_px: 16, normalize: half}
train: {epochs: 3, batch: 32, optimizer: {name: adamw, lr: 0.01}, precision: fp32}
baseline: linear
candidates:
  linear: {model: {name: mlp, widths: []}}
  cnn: {model: {name: cnn, widths: [8, 16]}, combine: {tta: flip}}
  majority: {model: majority}
protocol: {robustness: true}
"""


def test_it_is_measured_once_and_told(tmp_path, monkeypatch):
    Study.from_text(STUDY).run(tmp_path)
    folder = tmp_path / "sturdy"
    record = RobustnessRecord.load(folder / "robustness.json")
    assert {run.candidate for run in record.runs} <= {"linear", "cnn"}
    assert "linear" in {run.candidate for run in record.runs}
    for run in record.runs:
        trained = RunRecord.load(folder / "runs" / run.identity / "run.json")
        assert run.clean == trained.test["accuracy"]
        assert len(run.scores) == 20
        assert sum(entry.n for entry in run.classes) == sum(entry.n for entry in record.runs[0].classes)
        assert sum(e.n * e.clean for e in run.classes) / sum(e.n for e in run.classes) == pytest.approx(run.clean)
        mean = sum(entry.score for entry in run.scores) / 20
        assert sum(e.n * e.corrupted for e in run.classes) / sum(e.n for e in run.classes) == pytest.approx(mean)
        assert run.classes[0].corrupted == min(entry.corrupted for entry in run.classes)
    for language, told in (("en", "no class does worse"), ("fr", "aucune classe ne fait pire")):
        page = write_note(folder, language, to=tmp_path / f"{language}.html").read_text("utf-8")
        section = re.search(r'<section id="robustness".*?</section>', page, re.DOTALL)
        assert section is not None
        assert told in section[0]
        page, *_ = write_markdown(folder, language, to=tmp_path / "kept")
        part = page.read_text("utf-8").partition({"en": "## Robustness", "fr": "## Robustesse"}[language])[2]
        part = part.partition("\n## ")[0]
        assert told in part
        assert part.count("\n| linear |") == 4  # a row a corruption

    def no_more(*_args):
        raise AssertionError("it was measured again")

    monkeypatch.setattr("etude.study.robustness._measure", no_more)
    Study.from_text(STUDY).run(tmp_path)
    assert RobustnessRecord.load(folder / "robustness.json") == record
