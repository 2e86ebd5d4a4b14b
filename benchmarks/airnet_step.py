"""One training step of airnet on this CPU, in several arrangements, and the share of the machine's matrix rate.

A step is forward, loss with label smoothing, backward, and Nesterov SGD, on pictures of 32×32 px that are already
there. Each arrangement has a process of its own, since some of its settings are the process's; the processes take
turns, so that what disturbs the machine disturbs all of them. Ratios are medians of the ratios of each round.

    python benchmarks/airnet_step.py                  # the arrangements without compilation, about two minutes
    python benchmarks/airnet_step.py --only plain tuned compiled
    python benchmarks/airnet_step.py --threads 1 --clock cpu    # on a busy machine: one core's own time
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch.utils.flop_counter import FlopCounterMode

from etude.core.allocator import keep_freed_memory
from etude.evaluate.cost import machine_words
from etude.models import build_model

MATRIX_SIDES = (2048, 4096)
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
RATIO_BOUND = 2.3
SHARE_BOUND = 0.8


@dataclass(frozen=True)
class Arrangement:
    """How a step is executed."""

    bf16: bool = False
    channels_last: bool = False
    keeps_memory: bool = False
    frozen_bias: bool = False
    compiled: bool = False


ARRANGEMENTS = {
    "plain": Arrangement(),
    "channels_last": Arrangement(channels_last=True),
    "bf16": Arrangement(bf16=True),
    "bf16_channels_last": Arrangement(bf16=True, channels_last=True),
    "tuned": Arrangement(bf16=True, channels_last=True, keeps_memory=True),
    "tuned_frozen_bias": Arrangement(bf16=True, channels_last=True, keeps_memory=True, frozen_bias=True),
    "compiled": Arrangement(bf16=True, channels_last=True, keeps_memory=True, compiled=True),
}
UNCOMPILED = [name for name, arrangement in ARRANGEMENTS.items() if not arrangement.compiled]


def build(arrangement: Arrangement) -> torch.nn.Module:
    """Return the network; with `frozen_bias` no gradient reaches the whitening layer (the recipe's last epochs)."""
    model = build_model("airnet", n_outputs=10, size_px=(32, 32), seed=0)
    if arrangement.frozen_bias:
        model.whitening.bias.requires_grad_(False)
    return model.to(memory_format=torch.channels_last) if arrangement.channels_last else model


def training_macs(arrangement: Arrangement) -> int:
    """Return the multiply-adds of one picture, forward and backward, of the products that autograd asks for.

    Counted by torch's counter from the shapes: a convolution's whole window, at the border too, three times (output,
    gradient of the input, gradient of the weight), less the gradients that are not needed: of the pictures and of the
    frozen filters.
    """
    model = build(arrangement)
    with FlopCounterMode(display=False) as counter:
        model(torch.zeros(8, 3, 32, 32)).sum().backward()
    return counter.get_total_flops() // 2 // 8


def make_step(arrangement: Arrangement, batch: int) -> Callable[[], None]:
    """Return a function that makes one training step."""
    model = build(arrangement)
    images = torch.randn(batch, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    if arrangement.channels_last:
        images = images.to(memory_format=torch.channels_last)
    targets = torch.arange(batch) % 10
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=1e-3, momentum=0.85, nesterov=True)
    forward = torch.compile(model) if arrangement.compiled else model

    def step() -> None:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=arrangement.bf16):
            logits = forward(images)
        loss = F.cross_entropy(logits.float(), targets, label_smoothing=0.2)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return step


def matrix_rate(seconds: float, clock: Callable[[], float]) -> float:
    """Return the bfloat16 matrix rate in multiply-adds a second: the best of the sizes."""
    best = 0.0
    for side in MATRIX_SIDES:
        a, b = (torch.randn(side, side).bfloat16() for _ in range(2))
        a @ b
        count, started = 0, clock()
        while clock() - started < seconds:
            a @ b
            count += 1
        best = max(best, count * side**3 / (clock() - started))
    return best


def work(name: str, given: argparse.Namespace) -> None:
    """Be the process of one arrangement: at each line on the standard input, measure once and print the rate."""
    torch.set_num_threads(given.threads)
    measure = _matrix_measure(given) if name == "matrix" else _step_measure(ARRANGEMENTS[name], given)
    print(json.dumps("ready"), flush=True)
    for _ in sys.stdin:
        print(json.dumps(measure()), flush=True)


def _matrix_measure(given: argparse.Namespace) -> Callable[[], float]:
    return lambda: matrix_rate(0.7, CLOCKS[given.clock])


def _step_measure(arrangement: Arrangement, given: argparse.Namespace) -> Callable[[], float]:
    if arrangement.keeps_memory:
        keep_freed_memory()
    step, clock = make_step(arrangement, given.batch), CLOCKS[given.clock]
    for _ in range(2):
        step()

    def measure() -> float:
        started = clock()
        for _ in range(given.steps):
            step()
        return float(given.steps * given.batch / (clock() - started))

    return measure


def compare(names: list[str], given: argparse.Namespace) -> dict[str, object]:
    """Measure every arrangement and the matrix rate in turns, and relate them round by round."""
    workers = {name: _start(name, given) for name in [*names, "matrix"]}
    rows = [{name: _ask(worker) for name, worker in workers.items()} for _ in range(given.rounds)]
    for worker in workers.values():
        worker.stdin.close()
        worker.wait()
    figures: dict[str, object] = {"bf16_matrix_gmacs_per_s": round(_median(row["matrix"] for row in rows) / 1e9, 1)}
    for name in names:
        macs = training_macs(ARRANGEMENTS[name])
        figures[name] = {
            "images_per_s": round(_median(row[name] for row in rows), 1),
            "ratio_to_plain": round(_median(row[name] / row["plain"] for row in rows), 3),
            "macs_per_image": macs,
            "gmacs_per_s": round(_median(row[name] for row in rows) * macs / 1e9, 1),
            "share_of_matrix_rate": round(_median(row[name] * macs / row["matrix"] for row in rows), 3),
        }
    return figures


def _start(name: str, given: argparse.Namespace) -> subprocess.Popen[str]:
    """Start the process of an arrangement and wait until it is warm."""
    command = [sys.executable, __file__, "--worker", name, "--batch", str(given.batch), "--steps", str(given.steps)]
    command += ["--threads", str(given.threads), "--clock", given.clock]
    worker = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    worker.stdout.readline()
    return worker


def _ask(worker: subprocess.Popen[str]) -> float:
    worker.stdin.write("\n")
    worker.stdin.flush()
    return float(json.loads(worker.stdout.readline()))


def _median(values: Iterable[float]) -> float:
    return float(np.median(list(values)))


def main() -> None:
    """Compare and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(ARRANGEMENTS), default=UNCOMPILED)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--steps", type=int, default=2, help="steps in each turn")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--clock", choices=list(CLOCKS), default="wall", help="cpu is honest with one thread only")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        work(given.worker, given)
        return
    names = list(dict.fromkeys(["plain", *given.only]))
    figures: dict[str, object] = {"benchmark": "airnet_step", "machine": machine_words()}
    figures |= {"batch": given.batch, "threads": given.threads, "clock": given.clock}
    figures |= {"ratio_bound": RATIO_BOUND, "share_bound": SHARE_BOUND}
    figures |= compare(names, given)
    print(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
