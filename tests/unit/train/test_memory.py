"""Memory of a run: what it took beside what the process held before."""

from __future__ import annotations

import mmap

import pytest
import torch

from etude.train import memory

CPU = torch.device("cpu")
MIB = 2**20


def touch(size_mb):
    """Take memory from the system, past the C library, and hold it."""
    held = mmap.mmap(-1, size_mb * MIB)
    for at in range(0, size_mb * MIB, 4096):
        held[at] = 1
    return held


def test_what_an_earlier_run_still_holds_is_not_counted():
    held = touch(128)
    memory.reset_device_memory(CPU)
    touch(64).close()
    own, peak = memory.own_memory_mb(CPU), memory.device_memory_mb(CPU)
    held.close()
    assert own == pytest.approx(64, abs=12)
    assert peak > own + 128


def test_where_the_peak_cannot_be_started_anew_it_is_not_known(monkeypatch):
    monkeypatch.setattr(memory, "reset_peak_memory", lambda: False)
    memory.reset_device_memory(CPU)
    assert memory.own_memory_mb(CPU) is None


def test_the_larger_of_what_is_known():
    assert memory.larger_mb(None, None) is None
    assert memory.larger_mb(3.0, None) == memory.larger_mb(None, 3.0) == memory.larger_mb(1.0, 3.0) == 3.0
