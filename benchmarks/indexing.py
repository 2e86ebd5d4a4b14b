"""The photo indexer against a bare loop of decoding and answering at its best batch and number of threads.

Large: generated 12-megapixel JPEG files. Small: many little ones, where the overhead of a file shows. Memory: the
resident memory while the first and while the last thousand of the small ones are indexed.

    python benchmarks/indexing.py [--large 200] [--small 20000]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from deployed import MOBILENET, draw_jpeg, make_graphs, make_network, write_bundle
from etude.core.machine import usable_threads
from etude.evaluate.cost import machine_words
from etude.runtime.library.database import Library
from etude.runtime.library.indexing import index_folder
from etude.runtime.predictor import Predictor, load


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


def resident_mb() -> float:
    """Return the resident memory of this process in MiB."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def compare(model: Predictor, folder: Path, count: int, size: tuple[int, int]) -> dict[str, object]:
    """Index a disk, and run the bare loop over the same files before and after."""
    paths = draw_disk(folder / "disk", count, size)
    probe = paths[: max(16, count // 5)]
    for path in paths:  # both sides read from the system's cache
        path.read_bytes()
    ways = {
        (threads, batch): bare(model, probe, threads, batch) for threads in {1, usable_threads()} for batch in (1, 4, 8)
    }
    best = max(ways, key=lambda way: ways[way])
    before = bare(model, paths, *best)
    memory: list[float] = []
    library = Library(folder / "library.sqlite", create=True)

    def heard(done: int, total: int) -> None:
        if done // 100 >= len(memory):
            memory.append(resident_mb())

    summary = index_folder(model, folder / "disk", library, threads=usable_threads(), progress=heard)
    library.close()
    after = bare(model, paths, *best)
    bare_rate, rate = (before + after) / 2, count / summary.seconds
    first, last = memory[1:11], memory[-10:]
    return {
        "files": count,
        "best_bare": {"threads": best[0], "batch": best[1], "per_s": round(bare_rate, 1)},
        "indexed_per_s": round(rate, 1),
        "of_bare": round(rate / bare_rate, 3),
        "overhead_ms_a_file": round(1000 * (1 / rate - 1 / bare_rate), 3),
        "resident_mb_first_last": [round(float(np.mean(first)), 1), round(float(np.mean(last)), 1)] if first else [],
        "broken": summary.broken,
    }


def main() -> None:
    """Measure and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", type=int, default=200)
    parser.add_argument("--small", type=int, default=20_000)
    given = parser.parse_args()
    told: dict[str, object] = {"benchmark": "indexing", "machine": machine_words()}
    graph = make_graphs(make_network(MOBILENET), MOBILENET[2])["fp32"]
    for name, count, size in (("large", given.large, (4000, 3000)), ("small", given.small, (128, 96))):
        with tempfile.TemporaryDirectory() as folder:
            bundle = write_bundle(Path(folder) / "mobilenet.bundle", MOBILENET, graph)
            if count:
                told[name] = compare(load(bundle, threads=1), Path(folder), count, size)
    print(json.dumps(told, indent=1))


if __name__ == "__main__":
    main()
