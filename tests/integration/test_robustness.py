"""A study that asks for robustness measures its best candidate and its baseline once, and the note says it."""

from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image

from etude import Study
from etude.core.robustness_record import RobustnessRecord
from etude.core.run_record import RunRecord
from etude.evaluate.corruptions import corrupt
from etude.report.markdown import write_markdown
from etude.report.note import write_note
from etude.report.words import Words

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
    made = []

    def noted(pictures, name, severity):
        made.append((name, severity))
        return corrupt(pictures, name, severity)

    monkeypatch.setattr("etude.study.robustness.corrupt", noted)
    Study.from_text(STUDY).run(tmp_path)
    folder = tmp_path / "sturdy"
    record = RobustnessRecord.load(folder / "robustness.json")
    assert {run.candidate for run in record.runs} <= {"linear", "cnn"}
    assert len(made) == len(set(made)) == 20  # once for all networks
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
    for language, told in (("en", "does worst: "), ("fr", "s’en tire le moins bien")):
        page = write_note(folder, language, to=tmp_path / f"{language}.html").read_text("utf-8")
        section = re.search(r'<section id="robustness".*?</section>', page, re.DOTALL)
        assert section is not None
        assert told in section[0]
        page, *_ = write_markdown(folder, language, to=tmp_path / "kept")
        part = page.read_text("utf-8").partition({"en": "## Robustness", "fr": "## Robustesse"}[language])[2]
        part = part.partition("\n## ")[0]
        assert told in part
        assert part.count("\n| linear |") == 4  # a row a corruption
        together = "'Under corruption' is the mean over all corruptions and severities."  # all runs were measured
        assert Words(language).say(together) in part
        assert Words(language).say("Score by corruption and severity, mean over the runs that were measured.") in part

    def no_more(*_args):
        raise AssertionError("it was measured again")

    monkeypatch.setattr("etude.study.robustness._open", no_more)
    Study.from_text(STUDY).run(tmp_path)
    assert RobustnessRecord.load(folder / "robustness.json") == record


COLORS = {"clear": ((200, 90, 60), (60, 90, 200)), "faint": ((132, 90, 128), (128, 90, 132))}
ROOMS = (
    ("garden", "train", "clear", 40), ("cellar", "train", "faint", 40), ("porch", "validation", "clear", 12),
    ("hall", "test", "clear", 20), ("attic", "test", "faint", 20), ("shed", "test", "faint", 4),
)  # fmt: skip
GROUPED = """
study: rooms
data: {source: rooms.csv, split: {kind: official}}
prepare: {size_px: 16, normalize: half}
train: {epochs: 20, batch: 16, optimizer: {name: adamw, lr: 0.01}, precision: fp32}
candidates: {linear: {model: {name: mlp, widths: []}}}
protocol: {robustness: true, seeds: 2}
"""


def spaced(text):
    """Return a text with ordinary spaces."""
    return re.sub(r"\s", " ", text)


@pytest.fixture
def rooms(tmp_path):
    """A table of pictures of two colours, taken in rooms; in some the colours hardly differ."""
    rng, rows = np.random.default_rng(0), ["path,label,part,group"]
    for room, part, light, count in ROOMS:
        for number in range(count):
            label = ("red", "blue")[number % 2]
            pixels = rng.normal(COLORS[light][number % 2], 50, (32, 32, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / f"{room}{number}.png")
            rows.append(f"{room}{number}.png,{label},{part},{room}")
    (tmp_path / "rooms.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def test_the_worst_group_is_named(rooms):
    Study.from_text(GROUPED, base=rooms).run(rooms / "results")
    folder = rooms / "results" / "rooms"
    record = RobustnessRecord.load(folder / "robustness.json")
    assert len(record.runs) == 2
    for run in record.runs:
        assert [(entry.name, entry.n) for entry in run.groups] == [("attic", 20), ("hall", 20)]  # the shed has but four
        assert run.groups[0].corrupted < run.groups[1].corrupted
        n_of_others = 44 - sum(entry.n for entry in run.groups)
        right = sum(entry.n * entry.clean for entry in run.groups)
        assert 0 <= run.clean * 44 - right <= n_of_others
    worst, clean = (np.mean([getattr(run.groups[0], field) for run in record.runs]) for field in ("corrupted", "clean"))
    for language, told in (
        ("en", "linear: of the groups of at least five pictures attic does worst under corruption: {} of its pictures "
               "are recognised, and {} as they are."),
        ("fr", "linear : parmi les groupes d’au moins cinq images, attic résiste le moins aux dégradations : {} de ses "
               "images sont reconnues une fois dégradées, et {} telles quelles."),
    ):  # fmt: skip
        words = Words(language)
        page = write_note(folder, language, to=rooms / f"{language}.html").read_text("utf-8")
        section = re.search(r'<section id="robustness".*?</section>', page, re.DOTALL)
        assert section is not None
        expected = told.format(words.percent(worst), words.percent(clean))
        assert spaced(expected) in spaced(section[0])
        assert "attic" in section[0]
        assert "hall" not in section[0]
