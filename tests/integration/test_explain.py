"""`etude explain` on a tiny study: records beside the run, a page in each language."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from etude import Study
from etude.cli.main import app
from etude.core.errors import MistakeError
from etude.core.study_record import StudyRecord
from etude.explain.records import DataMapRecord, ErrorsRecord, LayersRecord
from etude.report.note import write_note

STUDY = """
study: told
data: {source: shapes, split: {train_items: 200, validation: 0.2}}
prepare: {size_px: 16, normalize: half}
train: {epochs: 2, batch: 32, optimizer: {name: adamw, lr: 0.01}, precision: fp32}
baseline: linear
candidates:
  linear: {model: {name: mlp, widths: []}}
  cnn: {model: {name: cnn, widths: [8, 16]}, train: {epochs: 4}, combine: {tta: flip}}
"""


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    Study.from_text(STUDY).run(folder)
    return folder


def test_layers_of_a_run_are_written_and_told(results, monkeypatch):
    monkeypatch.chdir(results)
    record = StudyRecord.load(results / "told" / "study.json")
    identity = next(ref.identity for ref in record.runs if ref.candidate == "cnn")
    options = ["--results", str(results), "--seconds", "1", "--part", "layers", "--quiet"]
    done = CliRunner().invoke(app, ["explain", "told", "--run", identity[:6], *options], catch_exceptions=False)
    assert done.exit_code == 0
    folder = results / "told" / "runs" / identity / "explain"
    layers = LayersRecord.load(folder / "layers.json")
    row = next(row for row in record.leaderboard if row.candidate == "cnn")
    assert layers.params == row.params
    assert 64 <= layers.n_pictures <= 400
    assert any(entry.fall_shuffled for entry in layers.rows)
    for language, told in (("en", "multiply-adds for a picture"), ("fr", "pour une image de")):
        page = (folder / f"explain.{language}.html").read_text("utf-8")
        assert told in page
        assert "<svg" in (folder / f"network.{language}.svg").read_text("utf-8")
        assert not re.search(r'(?:src|href)="https?:', page)
    assert len(set(done.output.split())) == 2


@pytest.mark.slow
def test_everything_of_the_best_run_is_explained_and_stands_in_the_note(results, monkeypatch, tmp_path):
    monkeypatch.chdir(results)
    monkeypatch.setattr("etude.study.data_maps._MAPPED", 300)
    options = ["--results", str(results), "--seconds", "1", "--quiet", "--language", "fr"]
    done = CliRunner().invoke(app, ["explain", "told", *options], catch_exceptions=False)
    assert done.exit_code == 0
    folder = Path(done.output.strip()).parent
    record = DataMapRecord.load(folder / "map.json")
    assert record.n == pytest.approx(300, abs=60)
    assert set(record.separation) == {"pixels", "features"}
    assert sum(entry.n for entry in record.separation["features"]) < record.n  # of the test part alone
    with np.load(folder / "map.npz") as maps, np.load(folder / "space.npz") as space:
        assert maps["features.tsne"].shape == (record.n, 2)
        assert space["features.reduced"].shape[0] == record.n
    errors = ErrorsRecord.load(folder / "errors.json")
    study = StudyRecord.load(results / "told" / "study.json")
    right = sum(entry.n * entry.share for entry in errors.classes) / sum(entry.n for entry in errors.classes)
    assert right == pytest.approx(study.leaderboard[0].score, abs=1e-9)
    page = (folder / "explain.fr.html").read_text("utf-8")
    for heading in ("Cartes des données", "Les erreurs, regardées"):
        assert heading in page
    assert "data:image/png" in page
    assert not re.search(r'(?:src|href)="https?:', (folder / "map.fr.html").read_text("utf-8"))
    note = write_note(results / "told", "fr", to=tmp_path / "note.html").read_text("utf-8")
    assert 'id="explained-map"' in note


def test_a_run_that_is_not_there_is_said(results):
    with pytest.raises(MistakeError, match="no finished run 'zzz'"):
        CliRunner().invoke(app, ["explain", "told", "--run", "zzz", "--results", str(results)], catch_exceptions=False)
