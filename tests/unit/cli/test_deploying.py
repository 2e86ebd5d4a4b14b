"""What `etude export` prints: whose agreement is told, where the bundle has another graph than was compared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from etude.cli.deploying import _print_record
from etude.core.bundle_record import BundleRecord, DataSummary, Gate, Origin, Quantisation, Speed
from etude.core.interval import Interval

RECORD = BundleRecord(
    name="breeds", etude="", created_at="", task="segmentation", classes=("a", "b"), output="ids", prepare={},
    gate=Gate(pictures=10, agreement=0.9995, score_moved=0.001), files={},
    origin=Origin(study="", candidate="", run="", network="", trained_at=""), data=DataSummary(source="", fingerprint=""),
)  # fmt: skip
LOST = Quantisation(
    metric="miou", score_fp32=0.7, score_int8=0.69, loss=1.0, interval=Interval(low=0.5, high=1.5),
    calibration_pictures=8, pictures=10, agreement=0.981, further=None,
)  # fmt: skip


def lines(record: BundleRecord, capsys: pytest.CaptureFixture[str]) -> list[str]:
    _print_record(record, Path("b.bundle"))
    return capsys.readouterr().out.splitlines()


def test_with_8_bits_the_agreement_with_pytorch_is_told_to_be_that_of_32(capsys: pytest.CaptureFixture[str]) -> None:
    told = lines(replace(RECORD, kind="int8", quantisation=LOST), capsys)
    assert "with 32 bits: agreement with PyTorch: 99.950% of the decisions on 10 validation pictures" in told
    assert "with 32 bits: mIoU moved by +0.0010" in told
    assert "8 bits: 98.100% of the decisions are those with 32" in told
    assert any(line.startswith("8 bits: miou 0.7000 to 0.6900") for line in told)


def test_with_32_bits_it_is_that_of_the_bundle(capsys: pytest.CaptureFixture[str]) -> None:
    told = lines(RECORD, capsys)
    assert "agreement with PyTorch: 99.950% of the decisions on 10 validation pictures" in told
    assert not any("32 bits" in line for line in told)


@pytest.mark.parametrize("memory_mb", [300.0, None])
def test_the_memory_of_pytorch_is_told_to_have_pytorch_in_it(
    capsys: pytest.CaptureFixture[str], memory_mb: float | None
) -> None:
    speed = Speed(name="pytorch", p50_ms=1, p95_ms=1, p99_ms=1, images_per_s=1, size_mb=1, memory_mb=memory_mb)
    told = "\n".join(lines(replace(RECORD, speeds=(speed,)), capsys))
    assert ("PyTorch itself in it" in told) == (memory_mb is not None)


def test_an_earlier_record_of_8_bits_is_read_and_told(capsys: pytest.CaptureFixture[str]) -> None:
    plain = LOST.plain()
    for name in ("agreement", "further"):
        del plain[name]
    told = lines(replace(RECORD, kind="int8", quantisation=Quantisation.read(plain)), capsys)
    assert not any("of the decisions are those with 32" in line for line in told)
