"""How long the evidence takes: two models on 10,000 pictures, 10,000 replicates; prints its figures as JSON.

    python benchmarks/evidence.py

What it must reach: the paired bootstrap, on right or wrong as on any value of pictures, in under 1 s.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

# A script's folder comes first on the path, where this file would stand for the standard library's `statistics`.
sys.path = [entry for entry in sys.path if Path(entry or ".").resolve() != Path(__file__).resolve().parent]

import numpy as np  # noqa: E402

from etude.core.words import Part  # noqa: E402
from etude.evaluate.cost import machine_words, versions  # noqa: E402
from etude.evaluate.pictures import interval_over_pictures  # noqa: E402
from etude.evaluate.predictions import Predictions  # noqa: E402
from etude.evaluate.run_result import RunResult  # noqa: E402
from etude.metrics.statistics import AutoSeeds, bootstrap_interval, mcnemar_exact, paired_bootstrap  # noqa: E402

N_PICTURES = 10_000
REPLICATES = 10_000
TARGET_S = 1.0


def seconds(call: Callable[[], object], repeats: int = 3) -> float:
    """Return the least time of a few calls, in seconds: what the call itself takes."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return round(min(times), 4)


def main() -> None:
    """Measure and print."""
    rng = np.random.default_rng(0)
    right_a, right_b = rng.random(N_PICTURES) < 0.90, rng.random(N_PICTURES) < 0.89
    loss_a, loss_b = rng.gamma(0.5, 1.0, N_PICTURES), rng.gamma(0.5, 1.0, N_PICTURES)
    ids = np.arange(N_PICTURES).astype(str)
    answers = Predictions(ids, Part.TEST, rng.integers(0, 10, N_PICTURES), rng.dirichlet(np.ones(10), N_PICTURES))
    run = RunResult(record=None, test=answers)  # type: ignore[arg-type]
    differences = rng.normal(0.01, 0.01, 10)
    figures = {
        "paired_bootstrap_right_s": seconds(lambda: paired_bootstrap(right_a, right_b, replicates=REPLICATES)),
        "paired_bootstrap_loss_s": seconds(lambda: paired_bootstrap(loss_a, loss_b, replicates=REPLICATES)),
        "interval_of_accuracy_s": seconds(lambda: bootstrap_interval(right_a)),
        "interval_of_f1_macro_s": seconds(lambda: interval_over_pictures([run], "f1_macro"), repeats=1),
        "exact_mcnemar_s": seconds(lambda: mcnemar_exact(right_a, right_b)),
        "first_look_of_auto_seeds_s": seconds(lambda: AutoSeeds().look({"it": (differences, differences * 0)}), 1),
    }
    reached = max(figures["paired_bootstrap_right_s"], figures["paired_bootstrap_loss_s"]) < TARGET_S
    asked = {"pictures": N_PICTURES, "replicates": REPLICATES, "target_s": TARGET_S, "reached": reached}
    installed = {name: version for name, version in versions().items() if name in ("python", "numpy", "scipy")}
    print(json.dumps({"statistics": figures | asked, "machine": machine_words(), "versions": installed}, indent=1))


if __name__ == "__main__":
    main()
