"""Peak memory of a training: of the process on a CPU, of the device on a GPU."""

from __future__ import annotations

import torch

from etude.core.allocator import release_freed_memory
from etude.evaluate.cost import peak_memory_mb, reset_peak_memory


def reset_device_memory(device: torch.device) -> None:
    """Start a new peak."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    else:
        release_freed_memory()  # what an earlier run left in the heap is not this run's
        reset_peak_memory()


def device_memory_mb(device: torch.device) -> float:
    """Return the peak in MiB since `reset_device_memory`."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return peak_memory_mb()
