"""How long a report takes: all formats of a study of 60 runs in one language, and a t-SNE of 5,000 pictures' features.

    python benchmarks/report.py --results /tmp/bench
    python benchmarks/report.py --only tsne

The study is a real one, of tiny networks on tiny pictures, that is trained first where it is not there (some minutes);
the best run is explained beforehand, as the promise says. Times are of the wall and of the processor, so that a busy
machine shows.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

STUDY = """
study: sixty
question: How long does the report of sixty runs take?
data: {source: shapes, split: {train_items: 300, validation: 0.2}}
prepare: {size_px: 16, normalize: half}
train: {epochs: 8, batch: 32, optimizer: {name: adamw, lr: 0.01}, precision: fp32}
baseline: cnn-8
candidates:
  majority: {model: majority}
  mlp: {model: {name: mlp, widths: [32]}}
  cnn-8: {model: {name: cnn, widths: [8, 16]}}
  cnn-16: {model: {name: cnn, widths: [16, 32]}}
  cnn-8-flip: {extends: cnn-8, augment: [flip]}
  cnn-8-shift: {extends: cnn-8, augment: [shift]}
protocol: {seeds: 10, metric: accuracy, also: [f1_macro]}
"""


def main() -> None:
    """Time what was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path("results"), help="folder of the study")
    parser.add_argument("--only", choices=["report", "tsne"], help="time one of the two")
    asked = parser.parse_args()
    if asked.only != "tsne":
        time_report(asked.results)
    if asked.only != "report":
        time_tsne()


def time_report(results: Path) -> None:
    """Time each format, then say the sum."""
    from etude import Study
    from etude.core.watch import Silent
    from etude.report.writing import FORMATS, write_reports
    from etude.study.explaining import explain_run
    from etude.study.folder import StudyFolder
    from etude.study.opened import Wishes

    folder = Study.from_text(STUDY).run(results).folder
    explain_run(StudyFolder.of(folder), None, Path.cwd(), Silent(), wishes=Wishes(most_seconds=5))
    for name in FORMATS:
        wall, cpu = time.perf_counter(), _processor_s()
        write_reports(folder, [name], ["en"])
        wall, cpu = time.perf_counter() - wall, _processor_s() - cpu
        print(f"{name:10} {wall:6.1f} s  (processor time {cpu:5.1f} s)", flush=True)
    wall, cpu = time.perf_counter(), _processor_s()
    write_reports(folder, ["all"], ["en"])
    print(f"all at once {time.perf_counter() - wall:5.1f} s  (processor time {_processor_s() - cpu:5.1f} s)")


def _processor_s() -> float:
    """Return the processor time of this process and of the kernels that it has run."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def time_tsne(n: int = 5000, features: int = 128) -> None:
    """Time the map of as many features, and the placing of 100 new ones."""
    import numpy as np

    from etude.core.machine import usable_threads
    from etude.explain.maps import draw_tsne, place_on_tsne, reduce_space

    rng = np.random.default_rng(0)
    values = (rng.normal(size=(n, features)) + 3 * rng.normal(size=(10, features))[np.arange(n) % 10]).astype(
        np.float32
    )
    started = time.perf_counter()
    space = reduce_space(values)
    reduced = space.apply(values)
    drawn = draw_tsne(reduced, threads=usable_threads())
    print(f"t-SNE of {n} × {features}: {time.perf_counter() - started:.1f} s")
    started = time.perf_counter()
    place_on_tsne(drawn, reduced, space.apply(values[:100] + 0.1), threads=usable_threads())
    print(f"placing 100 new ones: {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main()
