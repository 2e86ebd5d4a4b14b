"""The search for near duplicates among the 60,000 pictures of CIFAR-10, in time and memory, reading included.

The bounds are three minutes and 2 GB.

    ETUDE_DATA=… python benchmarks/duplicates.py
"""

from __future__ import annotations

import json
import time

import numpy as np

from etude.check.kinship import find_near
from etude.check.survey import survey
from etude.core.machine import usable_threads
from etude.data.source import open_source
from etude.evaluate.cost import machine_words, peak_memory_mb, reset_peak_memory


def main() -> None:
    """Search and print the figures."""
    source = open_source("cifar10", task="classification")
    workers = usable_threads()
    reset_peak_memory()
    started = time.perf_counter()
    seen = survey(source, np.arange(len(source.items)), workers=workers)
    read = time.perf_counter()
    twins = find_near(seen, workers=workers)
    found = time.perf_counter()
    figures = {
        "benchmark": "duplicates",
        "machine": machine_words(),
        "pictures": len(source.items),
        "reading_s": round(read - started, 1),
        "search_s": round(found - read, 1),
        "all_s": round(found - started, 1),
        "all_bound_s": 180,
        "peak_memory_mb": round(peak_memory_mb()),
        "peak_memory_bound_mb": 2000,
        "pairs": len(twins),
    }
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
