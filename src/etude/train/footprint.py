"""How much memory a training will take, from one picture sent forward: told before it is begun."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from etude.data.prepared import available_bytes
from etude.train.job import Job

if TYPE_CHECKING:
    from etude.tasks.task import Task

_MIB = 2**20
_STATES = {"sgd": 1, "muon": 1, "adamw": 2}
"""Numbers that each optimiser keeps for a parameter."""
_LOGITS_COPIES = 4
"""Copies of the logits, float32, that a loss makes on its way and back."""


def estimate_memory_mb(job: Job, model: nn.Module, task: Task) -> float:
    """Return the memory in MiB that training will take beside what the process has now, its pictures: an estimate.

    What a picture keeps for its way back is measured on two of them, and counted for as many as are sent at once;
    weights, gradients, the optimiser's numbers and an average are added.
    """
    height_px, width_px = job.train.crop_px or (job.prepare.height_px, job.prepare.width_px)
    at_once = -(-job.train.batch // job.train.accumulate)
    kept = _kept_bytes(job, model, (height_px, width_px))
    if job.task == "segmentation":
        kept += _LOGITS_COPIES * 4 * len(task.classes) * height_px * width_px
    weights = sum(parameter.numel() * 4 for parameter in model.parameters())
    copies = 2 + _STATES[job.train.optimizer.name] + (job.train.average.name != "none")
    return (kept * at_once + weights * copies) / _MIB


def tell_memory(job: Job, memory_mb: float) -> str:
    """Write the estimate in a sentence, with what to do where it is more than there is."""
    free_mb = available_bytes() / _MIB
    told = f"{job.label}: training will take about {memory_mb:,.0f} MiB"
    if memory_mb <= free_mb or job.execution.device.type != "cpu":
        return f"{told}."
    return f"{told}, and {free_mb:,.0f} MiB are free: set train.accumulate, a smaller train.crop_px or train.batch."


def _kept_bytes(job: Job, model: nn.Module, size_px: tuple[int, int]) -> float:
    """Return the bytes that one picture's way forward keeps for the way back, each memory counted once."""
    seen: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        kept = tensor.detach()  # an output that its own operation keeps would hold itself, and the whole way, for good
        storage = kept.untyped_storage()
        seen[storage.data_ptr()] = storage.nbytes()
        held.append(kept)  # as long as it is held, no other memory has its address
        return kept

    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    held: list[torch.Tensor] = []
    count = 2  # a normalisation over one value of one picture is refused
    images_BCHW = torch.zeros(count, 3, *size_px, device=job.execution.device)
    if job.execution.channels_last:
        images_BCHW = images_BCHW.to(memory_format=torch.channels_last)
    state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    was_training, rng = model.training, torch.get_rng_state()
    model.train()
    try:
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), job.execution.autocast():
            model(images_BCHW)
    finally:
        model.load_state_dict(state)  # running statistics have moved
        model.train(was_training)
        torch.set_rng_state(rng)
    return sum(size for address, size in seen.items() if address not in own) / count
