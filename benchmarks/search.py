"""What a search costs beside the training that it orchestrates, and what a second process brings; prints JSON.

The first part searches a small network in one process and compares the time of the whole search (Optuna, records,
importances) and of its plots, as the note has them, with that of its trainings. The second does as many trials with
one process and with two, each with one thread, in turns; they are started before the clock starts, as a search of hours
does not feel it.

    python benchmarks/search.py [--seconds 10] [--trials 6] [--rounds 3]

What it must reach: under 5 % on trials of 10 s; two processes run at least 1.8 times as many trials as one, the median
of three rounds or more.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from etude import Study
from etude.core.watch import Silent
from etude.evaluate.cost import machine_words
from etude.report.drawings import Artist
from etude.report.note import write_note
from etude.report.reading import read_study
from etude.report.searches import gather_searches
from etude.report.sentences import Teller
from etude.report.words import MetricWords, Words
from etude.study.folder import StudyFolder
from etude.study.searching import Searching
from etude.study.workspace import Workspace

OVERHEAD, SPEEDUP = 0.05, 1.8
LEAST_ROUNDS = 3


def study(name: str, trials: int, steps: int, sampler: str = "tpe") -> Study:
    """Make a study whose search has trials of so many steps."""
    return Study.from_dict(
        {
            "study": name,
            "data": {"source": "shapes", "split": {"train_items": 1024}},
            "prepare": {"size_px": 32, "normalize": "half"},
            "train": {"steps": steps, "batch": 64, "precision": "fp32", "memory_format": "contiguous"},
            "candidates": {"plain": {"model": {"name": "cnn", "widths": [16, 32]}}},
            "search": {
                "of": "plain",
                "space": {
                    "train.optimizer.lr": {"log": [0.01, 0.3]},
                    "train.optimizer.weight_decay": {"log": [1e-5, 1e-2]},
                    "model.dropout": {"uniform": [0.0, 0.5]},
                },
                "sampler": sampler,
                "pruner": {"name": "median", "startup": 1000},  # asked at each epoch, and never says stop
                "trials": trials,
            },
        }
    )


def searching(made: Study, folder: Path) -> Searching:
    """Open the searches of a study."""
    workspace = Workspace(made.config, Path(), StudyFolder(folder, made.config.study), "cpu", Silent())
    return Searching(made.config, workspace, workspace.watch, time.monotonic())


def measure_steps(seconds: float, folder: Path) -> int:
    """Return how many steps take about so many seconds."""
    few = 64
    searching(study("warm", 1, few), folder).run()  # imports, pictures, machine profile
    record = searching(study("steps", 1, 4 * few), folder).run().records[0]
    return max(16, round(4 * few * seconds / record.seconds / 16) * 16)


def measure_plots(folder: Path) -> float:
    """Return the seconds in which the plots of a study's searches are drawn, at both widths, libraries loaded too."""
    started = time.perf_counter()
    study, words = read_study(folder, "en"), Words("en")
    metric = MetricWords(words, study.record.metric)
    for part in gather_searches(Artist(study, words, metric), Teller(words, metric)):
        for drawing, _ in part.drawings:
            assert drawing.wide
            assert drawing.narrow
    return time.perf_counter() - started


def measure_overhead(steps: int, trials: int, folder: Path) -> dict[str, Any]:
    """Return the share that a search and its plots take beyond its trainings."""
    made = study("overhead", trials, steps)
    opened = searching(made, folder)
    opened.workspace.parts(next(iter(made.config.candidates.values())).prepare or made.config.prepare, 0)("train")
    started = time.perf_counter()
    record = opened.run().records[0]
    wall_s = time.perf_counter() - started
    in_epochs = sum(
        json.loads(line)["seconds"]
        for trial in record.trials
        for line in (folder / "overhead" / "runs" / trial.identity / "history.jsonl").read_text().splitlines()
    )
    started = time.perf_counter()
    made.run(folder)
    runs_s = time.perf_counter() - started
    plots_s = measure_plots(folder / "overhead")
    started = time.perf_counter()
    write_note(folder / "overhead", "en")
    rest_s = runs_s + time.perf_counter() - started
    return {
        "trials": len(record.trials),
        "search_s": round(wall_s, 2),
        "training_s": round(record.seconds, 2),
        "epochs_s": round(in_epochs, 2),
        "plots_s": round(plots_s, 2),
        "overhead": round((wall_s + plots_s - record.seconds) / record.seconds, 4),
        "two_runs_and_note_s": round(rest_s, 2),
    }


def take_part(made: Study, folder: Path, ready: Any, go: Any) -> None:  # noqa: ANN401 - multiprocessing's
    """Do trials with one thread, from the moment that all are ready."""
    import torch

    torch.set_num_threads(1)
    searching(study(f"warm-{os.getpid()}", 1, 16), folder).run()
    opened = searching(made, folder)
    ready.release()
    go.wait()
    opened.run(is_helping=True)


def measure_processes(count: int, trials: int, steps: int, folder: Path, name: str) -> float:
    """Return trials a second of so many processes on one storage."""
    made = study(name, trials, steps, sampler="random")
    context = multiprocessing.get_context("spawn")
    ready, go = context.Semaphore(0), context.Event()
    processes = [context.Process(target=take_part, args=(made, folder, ready, go)) for _ in range(count)]
    for process in processes:
        process.start()
    for _ in processes:
        ready.acquire()
    started = time.perf_counter()
    go.set()
    for process in processes:
        process.join()
    return trials / (time.perf_counter() - started)


def main() -> None:
    """Measure both and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=10.0, help="of a trial")
    parser.add_argument("--trials", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=LEAST_ROUNDS, help="of one process and two in turns")
    given = parser.parse_args()
    if given.rounds < LEAST_ROUNDS:
        parser.error(f"--rounds must be at least {LEAST_ROUNDS}: one says nothing of the noise. Got {given.rounds}.")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        steps = measure_steps(given.seconds, folder)
        overhead = measure_overhead(steps, given.trials, folder)
        rates: dict[int, list[float]] = {1: [], 2: []}
        for number in range(given.rounds):
            for count in (1, 2):
                trials = given.trials + given.trials % 2  # as many for each of the two
                rates[count].append(measure_processes(count, trials, steps, folder, f"round-{number}-{count}"))
    speedups = [two / one for one, two in zip(rates[1], rates[2], strict=True)]
    report = {
        "benchmark": "search",
        "machine": machine_words(),
        "load_average": round(os.getloadavg()[0], 1),
        "asked": vars(given) | {"steps": steps},
        "overhead": overhead | {"target": OVERHEAD, "reached": overhead["overhead"] < OVERHEAD},
        "processes": {
            "trials_a_minute_of_one": [round(60 * rate, 2) for rate in rates[1]],
            "trials_a_minute_of_two": [round(60 * rate, 2) for rate in rates[2]],
            "speedups": [round(speedup, 2) for speedup in speedups],
            "speedup": round(statistics.median(speedups), 2),
            "target": SPEEDUP,
            "reached": statistics.median(speedups) >= SPEEDUP,
        },
    }
    print(json.dumps(report, indent=1))


if __name__ == "__main__":
    main()
