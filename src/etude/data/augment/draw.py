"""The draws of one batch: what every augmentation asks for its parameters.

Shape suffixes: B picture, H row, W column, C channel, N number.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from torch import Tensor


@dataclasses.dataclass(frozen=True)
class Draw:
    """Draws one number a picture, on the CPU, so that every device sees the same numbers."""

    count: int
    """Number of pictures in the batch."""

    height_px: int
    width_px: int
    strength: float
    generator: torch.Generator
    device: torch.device
    """Where the pictures are; draws are made on the CPU and moved there by whoever uses them."""
    parts: tuple[Draw, ...] = ()
    """The draws of the parts of the batch, where it is drawn part by part: their numbers follow one another."""

    def uniform(self, low: float, high: float) -> Tensor:
        """Return float32 (B,) in [low, high)."""
        if self.parts:
            return torch.cat([part.uniform(low, high) for part in self.parts])
        return torch.rand(self.count, generator=self.generator) * (high - low) + low

    def integers(self, low: int, high: int) -> Tensor:
        """Return int64 (B,) in [low, high], both ends included."""
        if self.parts:
            return torch.cat([part.integers(low, high) for part in self.parts])
        return torch.randint(low, high + 1, (self.count,), generator=self.generator)

    def chance(self, probability: float) -> Tensor:
        """Return bool (B,), true with that probability (capped at 1)."""
        return self.uniform(0.0, 1.0) < probability

    def beta(self, alpha: float) -> Tensor:
        """Return float32 (B,) in [0, 1] from Beta(alpha, alpha)."""
        rng = np.random.default_rng(self._seed())
        return torch.from_numpy(rng.beta(alpha, alpha, self.count).astype(np.float32))

    def cycle(self) -> Tensor:
        """Return int64 (B,): for each picture another of the batch, never itself where B > 1."""
        order = torch.randperm(self.count, generator=self.generator)
        partner = torch.empty_like(order)
        partner[order] = order.roll(-1)
        return partner

    def even(self, shape: tuple[int, ...]) -> Tensor:
        """Return float32 numbers (B, …) in [0, 1), several a picture, on the CPU."""
        if self.parts:
            return torch.cat([part.even((part.count, *shape[1:])) for part in self.parts])
        return torch.rand(shape, generator=self.generator)

    def normal(self, shape: tuple[int, ...]) -> Tensor:
        """Return float32 standard normal numbers on the pictures' device."""
        if self.device.type == "cpu":
            return torch.randn(shape, generator=self.generator)
        local = torch.Generator(self.device).manual_seed(self._seed())
        return torch.randn(shape, generator=local, device=self.device)

    def _seed(self) -> int:
        return int(torch.randint(0, 2**62, (), generator=self.generator))
