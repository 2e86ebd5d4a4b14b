"""Transfer learning: what a second head costs, and the staged way against the head alone and against all at once.

The first part trains two heads, with another dropout and learning rate, on one backbone: the first computes the
features, the second finds them. The second part trains the candidates by the same code as a study, seed by seed.
Seconds of the processor are given beside those of the clock, as a busy machine moves the clock only.

    ETUDE_WEIGHTS=/path/to/weights python benchmarks/transfer.py --data /path/to/data/dogs [--size 192] [--epochs 6] \
        [--seeds 3] [--pictures 2400] [--model mobilenetv2_100]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from etude import Study
from etude.core.run_record import RunRecord
from etude.core.watch import Silent
from etude.evaluate.cost import machine_words


class Clock(Silent):
    """Takes the processor's seconds from the start of each run to its end."""

    def __init__(self) -> None:
        self.cpu_s: list[float] = []
        self.wall_s: list[float] = []
        self._started = (0.0, 0.0)

    def run_started(self, *_: object) -> None:
        """Start the clock; the features are computed after this."""
        self._started = (time.process_time(), time.perf_counter())

    def run_done(self, record: RunRecord) -> None:
        """Stop the clock: the model, its predictions and its record are written."""
        self.cpu_s.append(time.process_time() - self._started[0])
        self.wall_s.append(time.perf_counter() - self._started[1])


def study(given: argparse.Namespace, name: str, seeds: int, candidates: dict[str, Any]) -> Study:
    """Make a study of these candidates."""
    return Study.from_dict(
        {
            "study": name,
            "data": {"source": given.data, "split": {"kind": "random", "train_items": given.pictures}},
            "prepare": {"size_px": given.size, "normalize": given.normalize},
            "model": {"name": given.model, "weights": "imagenet"},
            "train": {"epochs": given.epochs, "batch": 32, "optimizer": {"name": "adamw", "lr": 1e-3}},
            "candidates": candidates,
            "protocol": {"seeds": seeds},
        }
    )


def measure_second_head(given: argparse.Namespace, folder: Path) -> dict[str, float]:
    """Train two heads on the features of one backbone; return the seconds of each."""
    head = {"finetune": "head", "train": {"epochs": 30, "batch": 128}}
    other = {"epochs": 30, "batch": 128, "optimizer": {"name": "adamw", "lr": 3e-3}}
    second = {"finetune": "head", "model": {"dropout": 0.3}, "train": other}
    clock = Clock()
    study(given, "heads", 1, {"first": head, "second": second}).run(folder, watch=clock)
    return {
        "first_s": round(clock.wall_s[0], 2), "first_cpu_s": round(clock.cpu_s[0], 2),
        "second_s": round(clock.wall_s[1], 2), "second_cpu_s": round(clock.cpu_s[1], 2),
    }  # fmt: skip


def compare_ways(given: argparse.Namespace, folder: Path) -> dict[str, dict[str, Any]]:
    """Train the head alone, everything from the start, and the staged way; return accuracy and seconds of each."""
    few = {"optimizer": {"name": "adamw", "lr": 3e-4}}
    ways = {
        "head": {"finetune": "head", "train": {"epochs": 30}},
        "all": {"finetune": "all", "train": few},
        "gradual": {"finetune": "gradual"},
    }
    clock = Clock()
    study(given, "ways", given.seeds, ways).run(folder, watch=clock)
    records = [RunRecord.load(path) for path in (folder / "ways" / "runs").glob("*/run.json")]
    found: dict[str, dict[str, Any]] = {}
    for number, way in enumerate(ways):
        own = sorted((record for record in records if record.candidate == way), key=lambda record: record.seed)
        accuracies = [round(record.test["accuracy"], 4) for record in own]
        found[way] = {
            "accuracy": round(statistics.fmean(accuracies), 4), "accuracies": accuracies,
            "training_s": round(statistics.fmean(record.cost.seconds for record in own), 1),
            "cpu_s": round(statistics.fmean(clock.cpu_s[number :: len(ways)]), 1),
        }  # fmt: skip
    return found


def main() -> None:
    """Measure both and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--model", default="mobilenetv2_100")
    parser.add_argument("--normalize", default="half", help="that of the weights")
    parser.add_argument("--size", type=int, default=192)
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--pictures", type=int, default=None, help="in the training part; by default all")
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
