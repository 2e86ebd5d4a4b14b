"""A study of two classes has a part of its own in the note: curves, areas, the threshold, calibration."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_score, recall_score

from etude import Study
from etude.core.words import Part
from etude.evaluate.predictions import Predictions
from etude.figures.detectors import DetectorPanel, Line, draw_detectors
from etude.figures.theme import NARROW_IN, WIDE_IN, Look
from etude.metrics.calibration import reliability_of_positive
from etude.report.captions import caption_detectors
from etude.report.detectors import gather_detectors
from etude.report.drawings import Artist
from etude.report.markdown import write_markdown
from etude.report.note import write_note
from etude.report.reading import read_study
from etude.report.words import MetricWords, Words

STUDY = """
study: detector
data: {source: shapes, positive: disc, split: {train_items: 96, validation: 0.2}}
prepare: {size_px: 16, normalize: half}
train: {epochs: 1, batch: 32, precision: fp32}
candidates: {mlp: {model: {name: mlp, widths: [16]}}, linear: {model: {name: mlp, widths: []}}}
protocol: {seeds: 2, also: [balanced_accuracy], threshold: {recall: 0.9}, calibrate: true}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    results = tmp_path_factory.mktemp("results")
    Study.from_text(STUDY).run(results)
    return results / "detector"


@pytest.mark.parametrize(
    ("language", "heading", "chosen"),
    [
        ("en", "Precision and recall", "The threshold was chosen on validation"),
        ("fr", "Courbe ROC", "Le seuil a été choisi"),
    ],
)
def test_the_note_has_its_part(folder, tmp_path, language, heading, chosen):
    page = write_note(folder, language, to=tmp_path / "note.html").read_text("utf-8")
    section = re.search(r'<section id="detectors".*?</section>', page, re.DOTALL)
    assert section is not None
    assert heading in section[0]
    assert chosen in section[0]
    assert "<b>" not in section[0] or "disc" in section[0]
    assert 'href="#detectors"' in page


@pytest.mark.parametrize(
    ("language", "heading", "chosen"),
    [
        ("en", "## Detector\n", "The threshold was chosen on validation"),
        ("fr", "## Détecteur\n", "Le seuil a été choisi"),
    ],
)
def test_the_page_of_a_repository_has_it_too(folder, tmp_path, language, heading, chosen):
    page, *figures = write_markdown(folder, language, to=tmp_path)
    part = page.read_text("utf-8").partition(heading)[2].partition("\n## ")[0]
    assert chosen in part
    assert f"(detectors.{language}.svg)" in part
    assert tmp_path / f"detectors.{language}.svg" in figures
    assert all(f"\n| {name} |" in part for name in ("mlp", "linear"))


def test_the_card_calls_the_animal_by_its_name(folder, tmp_path):
    page = write_note(folder, "fr", to=tmp_path / "note.html").read_text("utf-8")
    assert "si l’une montre disque. De ce qui n’est ni disque ni" in page


def test_the_table_agrees_with_scikit_learn(folder):
    study, words = read_study(folder), Words("en")
    found = gather_detectors(study, words, Artist(study, words, MetricWords(words, "accuracy", [])))
    assert found.is_chosen
    assert found.positive == "disc"
    for row in found.table.rows:
        runs = study.runs_of(row[0].text)
        answers = [Predictions.read(folder / "runs" / run.identity / "predictions.parquet", Part.TEST) for run in runs]
        truth = np.concatenate([entry.truth for entry in answers])
        labels = np.concatenate([entry.labels for entry in answers])
        of_runs = [average_precision_score(entry.truth, entry.probabilities[:, 1]) for entry in answers]
        assert row[1].sort == pytest.approx(np.mean(of_runs), abs=1e-6)  # as the leaderboard averages it
        assert row[4].sort == pytest.approx(recall_score(truth, labels))
        assert row[5].sort == pytest.approx(precision_score(truth, labels))
        assert row[6].sort == pytest.approx(np.mean([run.threshold for run in runs]))
        assert row[7].sort == pytest.approx(np.mean([run.temperature for run in runs]))


def test_of_many_candidates_the_baseline_and_those_of_the_file_are_drawn(folder):
    study, words = read_study(folder), Words("en")
    (row, *others), refs = study.record.leaderboard, [ref for ref in study.record.runs if ref.candidate == "mlp"]
    names = [f"mlp{n}" for n in range(8)]
    record = study.record.model_copy(
        update={
            "leaderboard": (*(row.model_copy(update={"candidate": name}) for name in names), row, *others),
            "runs": (*study.record.runs, *(r.model_copy(update={"candidate": name}) for name in names for r in refs)),
            "baseline": "linear",
        }
    )
    study = replace(study, record=record)
    found = gather_detectors(study, words, Artist(study, words, MetricWords(words, "accuracy", [])))
    shown = [text.get_text() for text in found.drawing.draw(WIDE_IN).legends[0].get_texts()]
    assert (len(shown), found.n_left) == (6, 4)
    assert "linear" in shown
    assert caption_detectors(found, words)["drawing"].endswith("4 more candidates are not drawn.")


def test_what_nobody_chose_has_no_column(folder):
    study, words = read_study(folder), Words("en")
    runs = {name: run.model_copy(update={"temperature": None}) for name, run in study.runs.items()}
    study = replace(study, runs=runs)
    table = gather_detectors(study, words, Artist(study, words, MetricWords(words, "accuracy", []))).table
    headings = [column.heading for column in table.columns]
    assert "threshold" in headings
    assert "temperature" not in headings
    assert all(len(cells) == len(headings) for cells in table.rows)


def test_reliability_counts_every_picture_once():
    rng = np.random.default_rng(0)
    score = rng.random(500)
    positive = rng.random(500) < score
    counts, mean, share = reliability_of_positive(positive, score)
    assert counts.sum() == 500
    assert np.nansum(counts * share) == pytest.approx(positive.sum())
    assert np.nanmax(np.abs(mean - share)) < 0.25
    assert reliability_of_positive(np.array([True]), np.array([1.0]))[0][-1] == 1


@pytest.mark.parametrize("width_in", [WIDE_IN, NARROW_IN])
def test_a_long_curve_is_thinned_and_keeps_its_ends(width_in):
    x = np.linspace(0, 1, 5000)
    panels = [DetectorPanel("heading", "across", "up", {"one": Line(x, x**2, (0.5, 0.25))}, has_diagonal=True)] * 3
    figure = draw_detectors(panels, looks={"one": Look(0, "#0072b2", ())}, number=str, width_in=width_in)
    assert len(figure.axes) == 3
    curve = max(figure.axes[0].lines, key=lambda line: len(line.get_xdata()))
    assert len(curve.get_xdata()) <= 400
    assert (curve.get_xdata()[0], curve.get_xdata()[-1]) == (0, 1)
    assert any(list(line.get_xdata()) == [0.5] for line in figure.axes[0].lines)
