"""What the activations of a network do on real examples: which channels never change, and how much is not above zero.

Shapes: N examples, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor, nn

from etude.explain.channels import channel_axis
from etude.explain.given import Given
from etude.explain.tracing import Traced, Tracer


@dataclass
class _Activity:
    """What an activation gave, over batches."""

    most_C: Tensor
    """The largest number of each channel."""
    least_C: Tensor
    """The smallest."""
    n_idle: int
    """Numbers that are zero or below."""
    n: int
    """Numbers."""

    @classmethod
    def of(cls, output: Tensor, axis: int) -> Self:
        """Look at what an activation gives; `axis` is that along which its channels lie."""
        flat_NC = output.movedim(axis, -1).reshape(-1, output.shape[axis])
        return cls(flat_NC.amax(0).float(), flat_NC.amin(0).float(), int((output <= 0).sum()), output.numel())

    def __add__(self, other: _Activity) -> _Activity:
        most_C, least_C = torch.maximum(self.most_C, other.most_C), torch.minimum(self.least_C, other.least_C)
        return _Activity(most_C, least_C, self.n_idle + other.n_idle, self.n + other.n)

    @property
    def shares(self) -> tuple[float, float]:
        """The share of channels that gave one number everywhere, and that of numbers that are zero or below."""
        return (self.most_C == self.least_C).float().mean().item(), self.n_idle / self.n


def watch_activity(model: nn.Module, given: Given, n_rows: int, at_once: int) -> dict[int, tuple[float, float]]:
    """Return, for each activation, the shares of dead channels and of numbers that are not above zero.

    Args:
        model: the network.
        given: what it takes.
        n_rows: layers that it has.
        at_once: examples that go through together.
    """
    found: dict[int, _Activity] = {}
    for batch in given.split(at_once):
        for place, activity in _watch_batch(model, batch, n_rows).items():
            found[place] = found[place] + activity if place in found else activity
    return {place: activity.shares for place, activity in found.items()}


def _watch_batch(model: nn.Module, batch: Given, n_rows: int) -> dict[int, _Activity]:
    found: dict[int, _Activity] = {}

    def watch(row: Traced, output: Tensor) -> None:
        is_activation = row.kind == "activation" or (row.kind is None and "activation" in row.kinds)
        if is_activation and output.is_floating_point() and output.ndim > 1:
            found[id(row)] = _Activity.of(output, channel_axis(tracer.rows, row, tuple(output.shape)))

    tracer = Tracer(model, watch=watch)
    tracer.run(*batch.tensors, **batch.options)
    if len(tracer.rows) != n_rows:
        return {}
    return {place: found[id(row)] for place, row in enumerate(tracer.rows) if id(row) in found}
