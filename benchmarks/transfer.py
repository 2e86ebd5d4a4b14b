"""Transfer learning: what a second head costs, and the staged way against the head alone and against all at once.

The first part trains two heads, with another dropout and learning rate, on one backbone: the first computes the
features, the second finds them. A run is timed whole: the network is built, trained, asked about every picture, and its
records are written. The second part trains the candidates by the same code as a study, each run in a folder of its own,
so that each way pays for its own features, and the ways in turns. Seconds of the processor are given beside those of
the clock, as a busy machine moves the clock only.

    ETUDE_WEIGHTS=/path/to/weights python benchmarks/transfer.py --data /path/to/data/dogs [--size 192] [--epochs 4] \
        [--seeds 3] [--model mobilenetv2_100] [--heads-only]

What it must reach: a second head on 2,400 pictures in under 2 s; the staged way at least as accurate as the head alone
and as all at once, in less time than the latter.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etude import Study
from etude.core.run_record import RunRecord
from etude.core.watch import Silent
from etude.evaluate.cost import machine_words
from etude.metrics.statistics import paired_t
from etude.study.engine import Outcome, Perform
from etude.study.plan import Order
from etude.study.run import run_study

SECOND_HEAD_S = 2.0
WAYS: dict[str, dict[str, Any]] = {
    "head": {"finetune": "head", "train": {"epochs": 30}},
    "all": {"finetune": "all", "train": {"optimizer": {"name": "adamw", "lr": 3e-4}}},
    "gradual": {"finetune": "gradual"},
}


@dataclass(frozen=True)
class Timed:
    """A run, and what it took from its order to its record."""

    record: RunRecord
    wall_s: float
    cpu_s: float


class Clock:
    """Does runs in this process, one after the other, and times each whole."""

    def __init__(self) -> None:
        self.runs: list[Timed] = []

    def do(self, orders: Iterable[Order], perform: Perform) -> Iterator[Outcome]:
        """Perform the orders in turn."""
        for order in orders:
            cpu, wall = time.process_time(), time.perf_counter()
            record = perform(order)
            self.runs.append(Timed(record, time.perf_counter() - wall, time.process_time() - cpu))
            yield Outcome(order, record)


def run_all(
    given: argparse.Namespace, folder: Path, name: str, seeds: list[int], candidates: dict[str, Any]
) -> list[Timed]:  # fmt: skip
    """Run a study of these candidates in a folder of its own, and return its runs in their order."""
    study = Study.from_dict(
        {
            "study": name,
            "data": {"source": given.data, "split": {"kind": "random", "seed": 0}, "on_leak": "drop"},
            "prepare": {"size_px": given.size, "normalize": given.normalize},
            "model": {"name": given.model, "weights": "imagenet"},
            "train": {"epochs": given.epochs, "batch": 32, "optimizer": {"name": "adamw", "lr": 1e-3}},
            "candidates": candidates,
            "protocol": {"seeds": seeds},
        }
    )
    clock = Clock()
    run_study(study.config, study.text, study.base, folder, Silent(), engine=clock)
    return clock.runs


def measure_second_head(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Train two heads on the features of one backbone; return the seconds of each."""
    head = {"finetune": "head", "train": {"epochs": 30, "batch": 128}}
    other = {"epochs": 30, "batch": 128, "optimizer": {"name": "adamw", "lr": 3e-3}}
    second = {"finetune": "head", "model": {"dropout": 0.3}, "train": other}
    runs = run_all(given, folder, "heads", [0], {"first": head, "second": second})
    found: dict[str, Any] = {"trained_on": runs[1].record.n_train}
    for which, run in zip(("first", "second"), runs, strict=True):
        found[which] = {
            "whole_s": round(run.wall_s, 2), "whole_cpu_s": round(run.cpu_s, 2),
            "training_s": round(run.record.cost.seconds, 2), "accuracy": round(run.record.test["accuracy"], 4),
        }  # fmt: skip
    return found | {"bound_s": SECOND_HEAD_S, "holds": runs[1].wall_s < SECOND_HEAD_S}


def compare_ways(given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Train each way from each seed, in turns; return accuracy and seconds, and the staged way's gains."""
    runs: dict[str, list[Timed]] = {way: [] for way in WAYS}
    for seed in range(given.seeds):
        for way, fields in WAYS.items():
            runs[way] += run_all(given, folder, f"{way}-{seed}", [seed], {way: fields})
    accuracies = {way: [run.record.test["accuracy"] for run in own] for way, own in runs.items()}
    found: dict[str, Any] = {
        way: {
            "accuracy": round(statistics.fmean(accuracies[way]), 4),
            "accuracies": [round(accuracy, 4) for accuracy in accuracies[way]],
            "whole_s": round(statistics.fmean(run.wall_s for run in own), 1),
            "whole_cpu_s": round(statistics.fmean(run.cpu_s for run in own), 1),
            "training_s": round(statistics.fmean(run.record.cost.seconds for run in own), 1),
        }
        for way, own in runs.items()
    }
    for other in ("head", "all"):
        test = paired_t(accuracies["gradual"], accuracies[other])
        ends = [None if end is None else round(end, 4) for end in (test.low, test.high)]
        found[f"gradual over {other}"] = {"gain": round(test.gain, 4), "interval": ends}
    found["time of gradual over all"] = round(found["gradual"]["whole_cpu_s"] / found["all"]["whole_cpu_s"], 3)
    found["holds"] = found["time of gradual over all"] < 1 and all(
        found["gradual"]["accuracy"] >= found[other]["accuracy"] for other in ("head", "all")
    )
    return found


def main() -> None:
    """Measure both and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--model", default="mobilenetv2_100")
    parser.add_argument("--normalize", default="half", help="that of the weights")
    parser.add_argument("--size", type=int, default=192)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--heads-only", action="store_true", help="leave the comparison of the ways out")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report: dict[str, Any] = {
            "benchmark": "transfer",
            "machine": machine_words(),
            "asked": {name: value for name, value in vars(given).items() if name != "data"},
            "heads": measure_second_head(given, Path(folder)),
        }
        if not given.heads_only:
            report["ways"] = compare_ways(given, Path(folder))
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
