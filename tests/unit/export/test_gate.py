"""The gate of 8 bits: what is lost in right answers, and in the metric that the study was made for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs PyTorch: install etude[train]")

from etude.core.bundle_record import DataSummary, Origin, Quantisation  # noqa: E402
from etude.core.errors import GateError, MistakeError  # noqa: E402
from etude.core.words import Part  # noqa: E402
from etude.export.asking import Asked  # noqa: E402
from etude.export.exporting import export_bundle  # noqa: E402
from etude.export.gate import check_loss  # noqa: E402
from etude.export.request import Request, Wishes  # noqa: E402
from etude.metrics.calibration import with_temperature  # noqa: E402
from etude.pictures.prepare_config import Prepare  # noqa: E402

PICTURES, POSITIVES = 1_000, 10
TRUTH_N = np.arange(PICTURES) < POSITIVES


def request(metric: str) -> Request:
    """Return a detector's request whose validation part has one positive picture in a hundred."""
    items = SimpleNamespace(ids=np.arange(PICTURES).astype(str), labels=TRUTH_N.astype(np.int64))
    return Request(
        model=torch.nn.Identity(), task="classification", name="rare", classes=("no", "yes"), prepare=Prepare(),
        source=SimpleNamespace(items=items), parts_N=np.full(PICTURES, Part.VALIDATION, np.int8), metric=metric,
        scores=(), origin=Origin(study="", candidate="", run="", network="", trained_at=""),
        data=DataSummary(source="", fingerprint=""), weights=Path("-"), threshold=0.5,
    )  # fmt: skip


def answered(found: int) -> Asked:
    """Return the answers of a detector that finds the first so many positive pictures, and calls no other so."""
    likely_N = np.where(np.arange(PICTURES) < found, 0.9, np.where(TRUTH_N, 0.3, 0.1)).astype(np.float32)
    return Asked(np.stack([1 - likely_N, likely_N], axis=1))


def measure(metric: str, found: int, max_loss: float = 1.0) -> Quantisation:
    indices = np.arange(PICTURES)
    return check_loss(
        request(metric), indices, answered(POSITIVES), answered(found), calibrated_on=8, max_loss=max_loss
    )


def test_a_detector_of_a_rare_class_may_not_lose_it_within_a_point_of_accuracy() -> None:
    assert measure("accuracy", found=4).loss == pytest.approx(0.6)
    told = r"the accuracy and the balanced_accuracy on 1,?000 validation pictures must lose at most 1 points each\. "
    told += r"The accuracy loses 0\.60 points \[.*\], the balanced_accuracy loses 30\.00 points \["
    with pytest.raises(GateError, match=told):
        measure("balanced_accuracy", found=4)


def test_both_losses_are_told_each_with_its_interval() -> None:
    lost = measure("balanced_accuracy", found=4, max_loss=40)
    assert [entry.metric for entry in lost.losses] == ["accuracy", "balanced_accuracy"]
    assert lost.own is not None
    assert (lost.own.score_fp32, lost.own.score_int8) == pytest.approx((1.0, 0.7))
    for entry in lost.losses:
        assert entry.interval.low < entry.loss < entry.interval.high
    assert measure("accuracy", found=4).own is None
    assert Quantisation.read(lost.plain()) == lost


def test_the_share_of_equal_decisions_is_told_beside_the_loss() -> None:
    assert measure("accuracy", found=4).agreement == pytest.approx(1 - 6 / PICTURES)
    assert measure("accuracy", found=POSITIVES).agreement == 1.0
    earlier = measure("accuracy", found=4).plain()
    del earlier["agreement"], earlier["further"]
    assert Quantisation.read(earlier).agreement is None


def test_each_variant_is_scored_at_its_own_temperature_and_threshold() -> None:
    """The same answers at twice the temperature: no decision and no order differs, the probabilities do."""
    asked = replace(request("log_loss"), threshold=0.2)
    exact = answered(4)  # the other positive pictures lie at 0.3, above this threshold
    small = Asked(with_temperature(exact.answers, 2.0).astype(np.float32))
    indices = np.arange(PICTURES)
    lost = check_loss(asked, indices, exact, small, calibrated_on=8, max_loss=100, further=2.0)
    assert (lost.agreement, lost.loss, lost.further) == (1.0, 0.0, 2.0)
    assert lost.score_fp32 == 1.0
    assert lost.own is not None
    assert lost.own.score_int8 > lost.own.score_fp32
    without = check_loss(asked, indices, exact, small, calibrated_on=8, max_loss=100)
    assert without.agreement == pytest.approx(POSITIVES / PICTURES), "at the threshold of 32 bits all would be found"


@pytest.mark.parametrize("metric", ["log_loss", "brier"])
def test_where_less_is_better_a_rise_is_a_loss(metric: str) -> None:
    lost = measure(metric, found=0, max_loss=100).own
    assert lost is not None
    assert lost.score_int8 > lost.score_fp32
    assert lost.loss == pytest.approx(100 * (lost.score_int8 - lost.score_fp32))
    assert 0 < lost.interval.low < lost.loss < lost.interval.high


@pytest.mark.parametrize("wish", ["int8", "logits"])
def test_a_generator_refuses_what_it_cannot_give(wish: str, tmp_path: Path) -> None:
    asked = replace(request("kid"), task="generation")
    with pytest.raises(MistakeError, match=f"--{wish} must be left out for a generator"):
        export_bundle(asked, Wishes(to=tmp_path / "g.bundle", **{wish: True}), lambda text: None)
    assert list(tmp_path.iterdir()) == []
