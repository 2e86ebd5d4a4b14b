"""How many pictures a network should answer together on this processor: speed and memory by the size of the batch.

The networks are those of the studies, with random weights, in bfloat16 and channels last as training asks them at the
end of an epoch. Sizes take turns, so that what disturbs the machine disturbs all of them; the best of three rounds
counts. What `etude.core.machine.answered_at_once` gives is marked with a star, and compared with 512.

    python benchmarks/answering.py          # about two minutes
"""

from __future__ import annotations

import time

import torch

from etude.core.allocator import release_freed_memory
from etude.core.machine import answered_at_once, usable_threads
from etude.evaluate.cost import machine_words, peak_memory_mb, reset_peak_memory
from etude.models import build_model

ROUNDS = 3
CASES = (
    ("mobilenetv2_100", {}, 192, 512),
    ("mobilenetv2_100", {}, 224, 512),
    ("cnn", {"widths": [32, 64, 128], "convs": 1}, 64, 2048),
    ("cnn", {"widths": [32, 64, 128], "convs": 1}, 32, 8192),
    ("airnet", {}, 32, 2048),
)
BATCHES = (8, 32, 64, 128, 512)


def answer(model: torch.nn.Module, size_px: int, batch: int, n_pictures: int) -> tuple[float, float]:
    """Return the seconds for so many pictures, and the peak of memory above what was held before, in MiB."""
    release_freed_memory()
    reset_peak_memory()
    held_mb = peak_memory_mb()
    images_BCHW = torch.zeros(batch, 3, size_px, size_px).to(memory_format=torch.channels_last)
    started = time.perf_counter()
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        for start in range(0, n_pictures, batch):
            model(images_BCHW[: n_pictures - start])
    return time.perf_counter() - started, peak_memory_mb() - held_mb


def main() -> None:
    """Measure each network at each size, and print a line for each."""
    torch.set_num_threads(usable_threads())
    print(machine_words())
    for name, options, size_px, n_pictures in CASES:
        model = build_model({"name": name, **options}, n_outputs=10, size_px=(size_px, size_px), seed=0)
        model = model.eval().to(memory_format=torch.channels_last)
        chosen = answered_at_once(size_px, size_px)
        batches = sorted({*BATCHES, chosen})
        found = {batch: [answer(model, size_px, batch, n_pictures)] for batch in batches}
        for _ in range(ROUNDS):  # what came before is not counted: first passes are slower
            for batch in batches:
                found[batch].append(answer(model, size_px, batch, n_pictures))
        for batch in batches:
            seconds, memory_mb = min(s for s, _ in found[batch][1:]), max(m for _, m in found[batch])
            star = "*" if batch == chosen else " "
            rate = f"{n_pictures / seconds:9,.0f} pictures/s"
            print(f"{name:16} {size_px:4} px {batch:4}{star} {rate} {memory_mb:7,.0f} MiB", flush=True)
        best_s = {batch: min(s for s, _ in found[batch][1:]) for batch in batches}
        print(f"{name:16} {size_px:4} px: {best_s[512] / best_s[chosen]:.2f} times as fast as 512 at once")


if __name__ == "__main__":
    main()
