"""Kept memory spares the page faults of the next step, and can be given back. Settings are a process's: each has one."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from etude.core import allocator

SCRIPT = """
import json, resource, sys
from pathlib import Path
import numpy as np
from etude.core.allocator import keep_freed_memory, release_freed_memory

def faults_of_a_step():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(4):
        block = np.empty(64 << 20, np.uint8)
        block[::4096] = 1
        del block
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def resident_mb():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() >> 20

kept = keep_freed_memory() if sys.argv[1] == "keep" else None
faults_of_a_step()
faults, before = faults_of_a_step(), resident_mb()
release_freed_memory()
print(json.dumps([kept, faults, before - resident_mb()]))
"""


def run(mode):
    done = subprocess.run([sys.executable, "-c", SCRIPT, mode], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.skipif(allocator._c_library() is None, reason="needs the GNU C library")
def test_kept_memory_spares_faults_and_is_given_back():
    _, plain_faults, _ = run("plain")
    kept, faults, released_mb = run("keep")
    assert kept is True
    assert faults < plain_faults / 10
    assert released_mb >= 60


def test_another_system_is_left_as_it_is(monkeypatch):
    monkeypatch.setattr(allocator.sys, "platform", "darwin")
    assert allocator.keep_freed_memory() is False
    assert allocator.release_freed_memory() is False
