"""The photo indexer against a bare loop of decoding and answering at its best batch and number of threads.

Large: generated 12-megapixel JPEG files. Small: many little ones, where the overhead of a file shows. Both are indexed
by `etude index` in a process of its own, so that nothing else is in its memory. That is told over the first and over
the last twentieth of its time: of 20,000 files the first and the last thousand.

    python benchmarks/indexing.py [--large 2000] [--small 20000]
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from deployed import MOBILENET, draw_jpeg, make_graphs, make_network, write_bundle
from etude.core.machine import usable_threads
from etude.evaluate.cost import machine_words
from etude.runtime.predictor import Predictor, load

EVERY_S = 0.02
"""Seconds between two looks at the memory of the process."""


def draw_disk(folder: Path, count: int, size: tuple[int, int]) -> list[Path]:
    """Draw so many different files; a few pictures, each with an end of its own after the JPEG data."""
    folder.mkdir()
    drawn = [draw_jpeg(size, seed) for seed in range(min(count, 16))]
    paths = []
    for number in range(count):
        path = folder / f"{number:06}.jpg"
        path.write_bytes(drawn[number % len(drawn)] + number.to_bytes(8, "big"))
        paths.append(path)
    return paths


def bare(model: Predictor, paths: list[Path], threads: int, batch: int) -> float:
    """Return the pictures a second of reading, decoding and answering in threads, with nothing kept."""
    parts = [paths[at::threads] for at in range(threads)]

    def work(part: list[Path]) -> None:
        for begin in range(0, len(part), batch):
            read = [model.read(path.read_bytes()) for path in part[begin : begin + batch]]
            model.answer(np.stack([pixels for pixels, _ in read]), [seen for _, seen in read])

    started = time.perf_counter()
    running = [threading.Thread(target=work, args=(part,)) for part in parts]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return len(paths) / (time.perf_counter() - started)


def resident_mb(process: int) -> float | None:
    """Return the resident memory of a process in MiB; none once it has ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return None
    found = [line.split()[1] for line in lines if line.startswith("VmRSS")]
    return int(found[0]) / 1024 if found else None


def index(bundle: Path, folder: Path) -> tuple[dict[str, float], list[float]]:
    """Index a disk in a process of its own.

    Returns:
        What it says of its work, and its resident memory in MiB while it worked, at even times.
    """
    command = [
        sys.executable, "-m", "etude", "index", str(bundle), str(folder / "disk"),
        "--to", str(folder / "library.sqlite"), "--json",
    ]  # fmt: skip
    looks: list[tuple[float, float]] = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while process.poll() is None:
            if (memory := resident_mb(process.pid)) is not None:
                looks.append((time.monotonic(), memory))
            time.sleep(EVERY_S)
        ended = time.monotonic()
        told = process.communicate()[0]
    if process.returncode:
        raise SystemExit(f"etude index ended with {process.returncode}")
    summary = json.loads(told)
    return summary, [memory for at, memory in looks if at >= ended - summary["seconds"]]


def compare(bundle: Path, folder: Path, count: int, size: tuple[int, int]) -> dict[str, object]:
    """Index a disk, and run the bare loop over the same files before and after."""
    model = load(bundle, threads=1)
    paths = draw_disk(folder / "disk", count, size)
    probe = paths[: max(16, count // 5)]
    for path in paths:  # both sides read from the system's cache
        path.read_bytes()
    ways = {
        (threads, batch): bare(model, probe, threads, batch) for threads in {1, usable_threads()} for batch in (1, 4, 8)
    }
    best = max(ways, key=lambda way: ways[way])
    before = bare(model, paths, *best)
    summary, memory = index(bundle, folder)
    after = bare(model, paths, *best)
    bare_rate, rate = (before + after) / 2, count / summary["seconds"]
    part = max(1, len(memory) // 20)
    return {
        "files": count,
        "best_bare": {"threads": best[0], "batch": best[1], "per_s": round(bare_rate, 1)},
        "indexed_per_s": round(rate, 1),
        "of_bare": round(rate / bare_rate, 3),
        "overhead_ms_a_file": round(1000 * (1 / rate - 1 / bare_rate), 3),
        "resident_mb_first_last": [round(statistics.median(memory[at]), 1) for at in (slice(part), slice(-part, None))],
        "broken": summary["broken"],
    }


def main() -> None:
    """Measure and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", type=int, default=2000)
    parser.add_argument("--small", type=int, default=20_000)
    given = parser.parse_args()
    told: dict[str, object] = {"benchmark": "indexing", "machine": machine_words()}
    graph = make_graphs(make_network(MOBILENET), MOBILENET[2])["fp32"]
    for name, count, size in (("large", given.large, (4000, 3000)), ("small", given.small, (128, 96))):
        with tempfile.TemporaryDirectory() as folder:
            bundle = write_bundle(Path(folder) / "mobilenet.bundle", MOBILENET, graph)
            if count:
                told[name] = compare(bundle, Path(folder), count, size)
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
