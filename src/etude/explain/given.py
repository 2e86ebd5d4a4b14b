"""What is sent through a network that is looked at: pictures, or latent vectors and the classes that are asked for."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Given:
    """Examples, and how the network is called with them."""

    tensors: tuple[Tensor, ...]
    """What it takes, each of N examples on its device: pictures (N, 3, H, W), latent vectors (N, Z), class ids (N,)."""
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    """What else it is called with, by name."""

    def __len__(self) -> int:
        return len(self.tensors[0])

    @property
    def device(self) -> torch.device:
        """Where the examples are."""
        return self.tensors[0].device

    def first(self, count: int) -> Given:
        """Return the first examples."""
        return Given(tuple(tensor[:count] for tensor in self.tensors), self.options)

    def split(self, at_once: int) -> Iterator[Given]:
        """Give so many examples at a time."""
        for tensors in zip(*(torch.split(tensor, at_once) for tensor in self.tensors), strict=True):
            yield Given(tensors, self.options)
