"""Memory, time and the words for a machine."""

import json
import mmap
import sys
import time

import numpy as np
import pytest

from etude.core.machine import usable_threads
from etude.evaluate import cost


def touch_memory(size_mb):
    """Take memory from the system and give it back, past the C library, which may keep what is freed."""
    with mmap.mmap(-1, size_mb * 2**20) as block:
        for _ in range(size_mb):
            block.write(b"\1" * 2**20)


def test_peak_memory_sees_what_was_freed():
    cost.reset_peak_memory()
    before = cost.peak_memory_mb()
    touch_memory(64)
    assert cost.peak_memory_mb() - before == pytest.approx(64, abs=16)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux can reset the peak")
def test_peak_memory_starts_anew():
    touch_memory(64)
    high = cost.peak_memory_mb()
    assert cost.reset_peak_memory()
    assert cost.peak_memory_mb() < high - 32


def test_without_proc_the_peak_counts_from_the_start(monkeypatch, tmp_path):
    now = cost.peak_memory_mb()
    monkeypatch.setattr(cost, "_STATUS", tmp_path / "absent")
    monkeypatch.setattr(cost, "_CLEAR", tmp_path / "no" / "folder")
    assert not cost.reset_peak_memory()
    assert cost.peak_memory_mb() >= 0.9 * now


def test_latency_is_the_median_in_milliseconds():
    waits = iter([0.2, *[0.005] * 7, 0.3])
    found = cost.measure_latency(lambda: time.sleep(next(waits)), warmup=1, repeats=8)
    assert found.median_ms == pytest.approx(5, abs=3)


def test_the_spread_of_a_latency_is_that_of_its_calls(monkeypatch):
    calls = iter([1, 2, 3, 4, 5])
    clock = [0.0]
    monkeypatch.setattr(cost.time, "perf_counter", lambda: clock[0])

    def call():
        clock[0] += next(calls) / 1000

    found = cost.measure_latency(call, warmup=0, repeats=5)
    assert (found.q1_ms, found.median_ms, found.q3_ms) == pytest.approx((2, 3, 4))


def test_the_machine_is_described_in_one_line():
    words = cost.machine_words()
    assert f"{usable_threads()} thread" in words
    assert "\n" not in words
    assert len(words) < 120


def test_versions_import_nothing():
    found = cost.versions()
    assert found["numpy"] == np.__version__
    assert found["python"].startswith(f"{sys.version_info.major}.{sys.version_info.minor}.")
    json.dumps(found)
