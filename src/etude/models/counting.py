"""What a model costs: parameters, and multiply-adds of one picture."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn


def count_parameters(model: nn.Module) -> int:
    """Return the number of parameters, trained or frozen; buffers are not counted."""
    return sum(parameter.numel() for parameter in model.parameters())


def count_macs(model: nn.Module, size_px: tuple[int, int]) -> int:
    """Return the multiply-adds of one forward pass of one picture of (height, width) pixels.

    Counts matrix products and convolutions, as torch.utils.flop_counter does (two operations a multiply-add);
    normalisation, activation and pooling are left out, as in the literature.
    """
    from torch.utils.flop_counter import FlopCounterMode

    from etude.models.networks.trial import try_forward

    with FlopCounterMode(display=False) as counter:
        try_forward(model, (1, 3, *size_px))
    return int(counter.get_total_flops()) // 2
