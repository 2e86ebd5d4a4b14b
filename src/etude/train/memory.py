"""Peak memory of a training: of the process on a CPU, of the device on a GPU.

What a process holds grows with what it did before: its peak says little of one run. So what it held when the peak was
started anew is kept, and taken off. It is kept for the process, as the peak is. The first run of a process carries what
libraries load at first use, some 150 MiB.
"""

from __future__ import annotations

import torch

from etude.core.allocator import release_freed_memory
from etude.evaluate.cost import peak_memory_mb, reset_peak_memory

_held_mb: dict[str, float] = {}
"""By kind of device, what was held when the peak was started anew; nothing where that cannot be done."""


def reset_device_memory(device: torch.device) -> None:
    """Start a new peak."""
    _held_mb.pop(device.type, None)
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        _held_mb[device.type] = device_memory_mb(device)
    else:
        release_freed_memory()  # what an earlier run left in the heap is not this run's
        if reset_peak_memory():
            _held_mb[device.type] = device_memory_mb(device)


def device_memory_mb(device: torch.device) -> float:
    """Return the peak in MiB since `reset_device_memory`."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    return peak_memory_mb()


def own_memory_mb(device: torch.device) -> float | None:
    """Return by how many MiB the peak is above what was held at `reset_device_memory`; none where that is not known."""
    held_mb = _held_mb.get(device.type)
    return None if held_mb is None else device_memory_mb(device) - held_mb


def forget_held_memory(device: torch.device) -> None:
    """Take what was held for unknown, where the peak since is not that of a training."""
    _held_mb.pop(device.type, None)


def larger_mb(before: float | None, now: float | None) -> float | None:
    """Return the larger of two peaks, such as those before and after an interruption; none where neither is known."""
    known = [value for value in (before, now) if value is not None]
    return max(known, default=None)
