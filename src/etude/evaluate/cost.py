"""What a run costs (memory, time), on what machine, with what libraries."""

from __future__ import annotations

import contextlib
import importlib.metadata
import math
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from etude.core.counting import how_many
from etude.core.machine import processor_name, usable_threads

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_ENOUGH_S = 0.25
_LIBRARIES = (
    "etude",
    "numpy",
    "pillow",
    "scipy",
    "torch",
    "torchvision",
    "timm",
    "safetensors",
    "pyarrow",
    "onnxruntime",
)


def reset_peak_memory() -> bool:
    """Start measuring this process's peak memory anew.

    Returns:
        Whether the machine allows it (Linux); otherwise the peak counts from the start of the process.
    """
    try:
        _CLEAR.write_text("5")
    except OSError:
        return False
    return True


def peak_memory_mb() -> float:
    """Return the largest resident memory of this process in MiB, since the last reset.

    NaN where the operating system does not tell.
    """
    with contextlib.suppress(OSError, ValueError, StopIteration):
        line = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    return _peak_since_start_mb()


def _peak_since_start_mb() -> float:
    try:
        import resource
    except ImportError:  # Windows
        return math.nan
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024**2 if sys.platform == "darwin" else peak / 1024  # bytes on macOS, KiB elsewhere


@dataclass(frozen=True)
class Latency:
    """How long a call takes, and by how much that varies."""

    median_ms: float
    """Half of the calls take less."""
    q1_ms: float
    """A quarter of them takes less."""
    q3_ms: float
    """Three quarters of them take less."""


def measure_latency(call: Callable[[], object], warmup: int = 3, repeats: int = 20) -> Latency:
    """Return the median time of one call in milliseconds, with its quartiles.

    Args:
        call: what is timed. Work that goes on in the background (a GPU) has to be waited for inside it.
        warmup: calls before the clock starts.
        repeats: calls that are timed, at least 2; half as many where they have taken a quarter of a second by then.
    """
    for _ in range(warmup):
        call()
    seconds: list[float] = []
    while len(seconds) < repeats and (len(seconds) < max(2, repeats // 2) or sum(seconds) < _ENOUGH_S):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    q1, median, q3 = statistics.quantiles(seconds, n=4, method="inclusive")
    return Latency(1000 * median, 1000 * q1, 1000 * q3)


def machine_words() -> str:
    """Describe the machine in a few words: processor, threads, memory, system.

    Such as 'AMD EPYC, 2 threads, 8 GiB, Linux'.
    """
    threads, memory_gib = usable_threads(), _memory_gib()
    words = [processor_name(), f"{how_many(threads, 'thread')}"]
    if memory_gib:
        words.append(f"{memory_gib:.0f} GiB")
    return ", ".join([*words, platform.system()])


def _memory_gib() -> float | None:
    """Memory that this process may use: the machine's, or its container's where that is less."""
    limits = []
    with contextlib.suppress(OSError, ValueError, AttributeError):
        limits.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with contextlib.suppress(OSError, ValueError):
        limits.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return min(limits) / 1024**3 if limits else None


def versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that compute, of those installed, without importing them."""
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found
