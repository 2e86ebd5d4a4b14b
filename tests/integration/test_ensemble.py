"""Several networks that answer as one candidate: the mean of their probabilities, at the cost of all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from etude import Study
from etude.core.errors import StudyFileError
from etude.core.run_record import RunRecord
from etude.core.words import Part
from etude.evaluate.predictions import Predictions
from etude.train import loop

TEXT = """
study: together
data: {source: shapes, split: {train_items: 120}}
prepare: {size_px: 32, normalize: half}
train: {epochs: 2, batch: 32, precision: fp32, optimizer: {name: adamw, lr: 0.003}}
baseline: plain
candidates:
  trio: {extends: plain, combine: {members: 3}}
  trio-tta: {extends: plain, combine: {members: 3, tta: flip}}
  plain: {model: {name: cnn, widths: [8]}}
protocol: {seeds: 2}
"""


def test_it_answers_with_the_mean_of_networks_that_no_other_run_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    seeds: list[int] = []
    real = loop.fit

    def fit(job, folder, watch):
        seeds.append(job.seed)
        return real(job, folder, watch)

    monkeypatch.setattr("etude.train.finish.fit", fit)
    record = Study.from_text(TEXT).run(tmp_path).record
    assert sorted(seeds) == [0, 1, 10_000, 10_001, 20_000, 20_001]  # nothing is trained twice

    folder = tmp_path / "together" / "runs"
    runs = {(run.candidate, run.seed): run for run in (RunRecord.load(path) for path in folder.glob("*/run.json"))}
    refs = {(ref.candidate, ref.seed): ref.identity for ref in record.runs}
    for seed in (0, 1):
        parts = [
            run for (name, own), run in runs.items() if own % 10_000 == seed and "tta" not in name and name != "trio"
        ]
        assert len(parts) == 3
        answers = [Predictions.read(folder / run.identity / "predictions.parquet", Part.TEST) for run in parts]
        together = Predictions.read(folder / refs["trio", seed] / "predictions.parquet", Part.TEST)
        mean_NK = np.mean([entry.probabilities for entry in answers], axis=0)
        np.testing.assert_allclose(together.probabilities, mean_NK, atol=2e-6)
        trio = RunRecord.load(folder / refs["trio", seed] / "run.json")
        assert trio.cost.seconds == pytest.approx(sum(run.cost.seconds for run in parts))
        assert trio.cost.params == 3 * parts[0].cost.params
        assert trio.cost.macs == 3 * parts[0].cost.macs
    asked_once, views = (
        Predictions.read(folder / refs[name, 0] / "predictions.parquet", Part.TEST).probabilities
        for name in ("trio", "trio-tta")
    )
    assert np.abs(views - asked_once).max() > 1e-5
    verdicts = {verdict.candidate: verdict.n_pairs for verdict in record.verdicts}
    assert verdicts == {"trio": 2, "trio-tta": 2}


def test_masks_have_none(tmp_path: Path):
    with pytest.raises(StudyFileError, match=r"trio: combine.members must be left out"):
        Study.from_text(
            "task: segmentation\ndata: {source: streets}\ncandidates:\n"
            "  trio: {model: unet-mini, combine: {members: 3}}\n"
        )
