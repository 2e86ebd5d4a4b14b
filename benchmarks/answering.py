"""How many pictures a network should answer together on this processor: speed and memory by the size of the batch.

The networks are those of the studies, with random weights, in bfloat16 and channels last as training asks them at the
end of an epoch. Sizes take turns, so that what disturbs the machine disturbs all of them; the best of three rounds
counts. What `etude.core.machine.answered_at_once` gives is marked with a star, and compared with what was used before.

    python benchmarks/answering.py          # about two minutes
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import torch

from etude.core.allocator import release_freed_memory
from etude.core.machine import answered_at_once, usable_threads
from etude.evaluate.cost import machine_words, peak_memory_mb, reset_peak_memory
from etude.models import build_model

ROUNDS = 3
BATCHES = (2, 8, 32, 64, 128)


@dataclass(frozen=True)
class Case:
    """A network, the size of its pictures, and how many are answered."""

    name: str
    options: dict[str, Any]
    size_px: tuple[int, int]
    n_pictures: int
    before: int = 512
    """How many were answered at once before this was measured."""
    task: str = "classification"


CASES = (
    Case("mobilenetv2_100", {}, (192, 192), 512),
    Case("mobilenetv2_100", {}, (224, 224), 512),
    Case("cnn", {"widths": [32, 64, 128], "convs": 1}, (64, 64), 2048),
    Case("cnn", {"widths": [32, 64, 128], "convs": 1}, (32, 32), 8192),
    Case("airnet", {}, (32, 32), 2048),
    Case("unet-mini", {}, (360, 480), 24, before=6, task="segmentation"),
    Case("smp-segformer", {"encoder": "mobilenetv2_100"}, (360, 480), 12, before=6, task="segmentation"),
)


def answer(model: torch.nn.Module, case: Case, batch: int) -> tuple[float, float]:
    """Return the seconds for the pictures of a case, and the peak of memory above what was held before, in MiB."""
    release_freed_memory()
    reset_peak_memory()
    held_mb = peak_memory_mb()
    images_BCHW = torch.zeros(batch, 3, *case.size_px).to(memory_format=torch.channels_last)
    started = time.perf_counter()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        for start in range(0, case.n_pictures, batch):
            model(images_BCHW[: case.n_pictures - start])
    return time.perf_counter() - started, peak_memory_mb() - held_mb


def measure(case: Case) -> None:
    """Measure a network at each size of the batch, and print a line for each."""
    model = build_model({"name": case.name, **case.options}, n_outputs=10, size_px=case.size_px, seed=0, task=case.task)
    model = model.eval().to(memory_format=torch.channels_last)
    chosen = answered_at_once(*case.size_px)
    batches = sorted({*(batch for batch in BATCHES if batch <= case.n_pictures), case.before, chosen})
    for batch in batches:  # first passes are slower
        answer(model, case, batch)
    rounds = [{batch: answer(model, case, batch) for batch in batches} for _ in range(ROUNDS)]
    seconds = {batch: min(found[batch][0] for found in rounds) for batch in batches}
    title = f"{case.name:16} {case.size_px[0]:4} × {case.size_px[1]} px"
    for batch in batches:
        memory_mb = max(found[batch][1] for found in rounds)
        star = "*" if batch == chosen else " "
        print(f"{title} {batch:4}{star} {case.n_pictures / seconds[batch]:9,.1f} pictures/s {memory_mb:7,.0f} MiB")
    ratio = seconds[case.before] / seconds[chosen]
    print(f"{title}: {ratio:.2f} times as fast as {case.before} at once", flush=True)


def main() -> None:
    """Measure all cases."""
    torch.set_num_threads(usable_threads())
    print(machine_words())
    for case in CASES:
        measure(case)


if __name__ == "__main__":
    main()
