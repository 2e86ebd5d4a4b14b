"""One optimiser step, from a batch: what the loop makes, and what the time of a training is measured with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, starmap
from typing import Final

import torch
from torch import Tensor, nn

from etude.core.errors import ModelError, sentence
from etude.data.batches import Batch
from etude.models.execution import Execution
from etude.tasks.task import Step, Task
from etude.train.config import TrainConfig
from etude.train.job import Job

_ONE_VALUE: Final = "more than 1 value per channel"
"""What PyTorch says of a normalisation in training that has nothing to average over."""


@dataclass(frozen=True)
class Stepper:
    """Makes optimiser steps on batches."""

    model: nn.Module
    task: Task
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    config: TrainConfig
    execution: Execution

    @classmethod
    def of(cls, job: Job, model: nn.Module, task: Task, optimizer: torch.optim.Optimizer) -> Stepper:
        """Return the stepper of a job's training of a model."""
        scaler = torch.amp.GradScaler(job.execution.device.type, enabled=job.execution.precision == "fp16")
        return cls(model, task, optimizer, scaler, job.train, job.execution)

    def step(self, batch: Batch) -> list[tuple[Step, float | Tensor]]:
        """Make one step on a batch, and return what each of its parts gave, with the pictures that it counts for."""
        results: list[tuple[Step, float | Tensor]] = []
        self.optimizer.zero_grad(set_to_none=True)
        parts = list(cut_batch(batch, self.config.accumulate))
        for part, share in zip(parts, self._shares(parts), strict=True):
            result = self._learn(part)
            self.scaler.scale(result.loss * share).backward()  # type: ignore[no-untyped-call]
            results.append((result, share * len(batch)))
        if self.config.clip_norm is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return results

    def _learn(self, part: Batch) -> Step:
        """Send a part forward.

        Raises:
            ModelError: if it is one picture, and the network normalises over a single value of each.
        """
        try:
            with self.execution.autocast():
                return self.task.step(self.model, part)
        except ValueError as error:
            if len(part) > 1 or _ONE_VALUE not in str(error):
                raise
            rule = "2 or more pictures at once, as the network normalises over one value of each"
            remedy = "Give a larger train.batch, or a smaller train.accumulate."
            told = sentence("train", "batch", rule, f"{self.config.batch} in {self.config.accumulate} parts", remedy)
            raise ModelError(told) from error

    def _shares(self, parts: Sequence[Batch]) -> Sequence[float | Tensor]:
        """Return what each part of a batch counts: of masks with void or weights, parts of as many pictures differ."""
        if len(parts) == 1:
            return [1.0]
        weights_P = torch.stack([self.task.weight(part).float() for part in parts])
        return list(weights_P / weights_P.sum().clamp(min=1e-6))


def cut_batch(batch: Batch, count: int) -> Iterator[Batch]:
    """Cut a batch into so many parts, whose gradients are summed before the step."""
    if count == 1:
        yield batch
        return
    count = min(count, len(batch))
    ends = [len(batch) * number // count for number in range(count + 1)]  # evenly: none is smaller than it must be
    for place in starmap(slice, pairwise(ends)):
        others, mix = batch.other_targets, batch.mix_B
        yield replace(
            batch,
            images_BCHW=batch.images_BCHW[place],
            targets_B=batch.targets_B[place],
            other_targets=None if others is None else others[place],
            mix_B=None if mix is None else mix[place],
        )
