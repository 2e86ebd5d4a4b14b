"""How fast a graph is on this machine, measured in a process that does nothing else.

python -m etude.runtime.measuring GRAPH.onnx OUTPUT HEIGHT WIDTH
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from etude.core.bundle_record import Speed
from etude.core.machine import usable_threads
from etude.pictures.reading import Pixels
from etude.runtime.bundled import at_once
from etude.runtime.session import Session

BATCH = 32
_MOST_PIXELS = BATCH * 256 * 512
"""Pixels of a batch; of larger pictures fewer are asked about at a time, as their activations would fill the memory."""
_SECONDS = 2.0
_LEAST, _MOST = 20, 400


def percentiles_ms(call: Callable[[], object], seconds: float = _SECONDS) -> tuple[float, float, float]:
    """Return p50, p95 and p99 of the time of a call in milliseconds, over about so many seconds."""
    for _ in range(5):
        call()
    times: list[float] = []
    ends = time.perf_counter() + seconds
    while len(times) < _LEAST or (time.perf_counter() < ends and len(times) < _MOST):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    p50, p95, p99 = np.percentile(times, (50, 95, 99)) * 1000
    return float(p50), float(p95), float(p99)


def images_per_s(answer: Callable[[Pixels], object], size_px: tuple[int, int], seconds: float = _SECONDS) -> float:
    """Return pictures a second in batches of 32, or as many as `_MOST_PIXELS` allows."""
    batch = at_once(size_px, BATCH, _MOST_PIXELS)
    pictures = np.zeros((batch, *size_px, 3), np.uint8)
    answer(pictures)
    count, started = 0, time.perf_counter()
    while count < 2 or time.perf_counter() - started < seconds:
        answer(pictures)
        count += 1
    return batch * count / (time.perf_counter() - started)


def measure_answering(
    name: str, answer: Callable[[Pixels], object], size_px: tuple[int, int], n_bytes: int, seconds: float = _SECONDS
) -> Speed:
    """Measure one way to answer prepared pictures (B, H, W, 3); the memory is that of this process so far."""
    one = np.zeros((1, *size_px, 3), np.uint8)
    p50, p95, p99 = percentiles_ms(lambda: answer(one), seconds)
    memory_mb = peak_memory_mb()  # before the batches, which take several times as much
    rate = images_per_s(answer, size_px, seconds)
    return Speed(
        name=name, p50_ms=p50, p95_ms=p95, p99_ms=p99, images_per_s=rate, size_mb=n_bytes / 1e6, memory_mb=memory_mb
    )


def peak_memory_mb() -> float | None:
    """Return the largest resident memory of this process so far in MiB; none where the system does not tell."""
    with contextlib.suppress(OSError, ValueError, StopIteration):  # getrusage would tell that of the parent too
        lines = Path("/proc/self/status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) / 1024
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1024**2 if sys.platform == "darwin" else peak / 1024


def main(words: list[str]) -> None:
    """Measure the graph that the command line names and print the record as JSON."""
    path, output, height, width = words
    content = Path(path).read_bytes()
    session = Session(content, "pictures", output, threads=usable_threads(), name=path)
    speed = measure_answering("graph", session.run, (int(height), int(width)), len(content))
    sys.stdout.write(speed.text() + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
