"""A batch: what every loader yields and every task's step takes.

Shape suffixes: B picture, H row, W column, C channel.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor


@dataclasses.dataclass(frozen=True)
class Batch:
    """Pictures with their targets.

    Where pictures were mixed, the loss is `mix_B * loss(targets) + (1 - mix_B) * loss(other_targets)`, picture by
    picture.
    """

    images_BCHW: Tensor
    """Normalised pictures, float32 or bfloat16."""

    targets_B: Tensor
    """Labels, int64 (B,); or masks, int64 (B, H, W), where 255 is void."""

    other_targets: Tensor | None = None
    """Targets of the pictures mixed in, of the same shape; None where nothing was mixed."""

    mix_B: Tensor | None = None
    """Weight of `targets_B`, float32 (B,) in [0, 1]; None where nothing was mixed."""

    def __len__(self) -> int:
        return len(self.images_BCHW)

    def to(self, device: torch.device | str) -> Batch:
        """Return the batch on `device`; itself where it is there already."""
        target = torch.device(device)
        if self.images_BCHW.device == target:
            return self
        return Batch(
            *(
                None if tensor is None else tensor.to(target, non_blocking=target.type == "cuda")
                for tensor in (self.images_BCHW, self.targets_B, self.other_targets, self.mix_B)
            )  # type: ignore[arg-type]
        )
