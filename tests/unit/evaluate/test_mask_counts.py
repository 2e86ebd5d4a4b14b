"""Segmentation answers: a confusion matrix a picture."""

import numpy as np
import pytest

from etude.core.errors import DataError, MistakeError
from etude.core.words import Part
from etude.evaluate.mask_counts import MaskCounts, write_mask_counts
from etude.metrics.statistics import resampling_weights


def drawn(n=30, k=4, part=Part.TEST, seed=0):
    confusions = np.random.default_rng(seed).integers(0, 50, (n, k, k)) + 100 * np.eye(k, dtype=int)
    return MaskCounts(np.array([f"{i}.png" for i in range(n)]), part, confusions)


def test_the_score_is_that_of_all_pixels():
    counts = drawn()
    whole = counts.confusions.sum(axis=0)
    iou = np.diag(whole) / (whole.sum(0) + whole.sum(1) - np.diag(whole))
    assert counts.score("miou") == pytest.approx(iou.mean())
    assert counts.score("pixel_accuracy") == pytest.approx(np.trace(whole) / whole.sum())


@pytest.mark.parametrize("metric", ["miou", "dice", "pixel_accuracy"])
def test_weights_are_repeated_pictures(metric):
    counts = drawn()
    (weights,) = resampling_weights(30, 20)
    for score, row in zip(counts.under_weights(metric, weights), weights.astype(int), strict=True):
        repeated = np.repeat(counts.confusions, row, axis=0)
        again = MaskCounts(np.arange(len(repeated)).astype(str), Part.TEST, repeated)
        assert score == pytest.approx(again.score(metric))


def test_a_file_gives_back_what_was_written(tmp_path):
    test, validation = drawn(), drawn(5, part=Part.VALIDATION, seed=1)
    write_mask_counts(tmp_path / "p.parquet", [test, validation])
    for part in (test, validation):
        again = MaskCounts.read(tmp_path / "p.parquet", part.part)
        assert (again.ids == part.ids).all()
        assert (again.confusions == part.confusions).all()
    with pytest.raises(MistakeError, match="test, validation"):
        MaskCounts.read(tmp_path / "p.parquet")
    drawn().write(tmp_path / "one.parquet")
    assert len(MaskCounts.read(tmp_path / "one.parquet")) == 30


def test_a_broken_file_is_named(tmp_path):
    (tmp_path / "p.parquet").write_bytes(b"no parquet")
    with pytest.raises(MistakeError, match=r"p\.parquet"):
        MaskCounts.read(tmp_path / "p.parquet")


@pytest.mark.parametrize(
    ("ids", "confusions"),
    [
        (["a"], np.ones((1, 2, 3))),
        (["a", "b"], np.ones((1, 2, 2))),
        (["a"], -np.ones((1, 2, 2))),
        (["a", "a"], np.ones((2, 2, 2))),
    ],
)
def test_what_does_not_fit_is_refused(ids, confusions):
    with pytest.raises(DataError):
        MaskCounts(np.array(ids), Part.TEST, confusions)


def test_segmentation_studies_have_rows_and_verdicts(one):
    from dataclasses import replace

    from etude.evaluate.leaderboard import leaderboard_rows
    from etude.evaluate.verdicts import compare

    plain, better = drawn(), drawn()
    better = replace(better, confusions=better.confusions + 60 * np.eye(4, dtype=int))
    shell = one(np.ones(400, dtype=bool))
    record = shell.record.model_copy(update={"test": {}})
    runs = {"plain": [replace(shell, record=record, test=plain)], "it": [replace(shell, record=record, test=better)]}
    rows = leaderboard_rows(runs, "miou", also=("pixel_accuracy",))
    assert [row.candidate for row in rows] == ["it", "plain"]
    assert rows[0].interval_pictures.low < rows[0].score < rows[0].interval_pictures.high
    (verdict,) = compare(runs, "plain", "miou")
    assert (verdict.method, verdict.verdict) == ("paired bootstrap", "better")
