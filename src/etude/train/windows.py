"""Large pictures answered window by window.

Shapes: B pictures, C channels, K classes, H and W pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn


class Windows(nn.Module):
    """A network that answers window by window: what is scored, timed and counted of it is all its windows.

    Args:
        model: the network.
        size_px: height and width of the windows.
    """

    def __init__(self, model: nn.Module, size_px: tuple[int, int]) -> None:
        super().__init__()
        self.model = model
        self.size_px = size_px

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Return logits (B, K, H, W)."""
        return answer_in_windows(self.model, images_BCHW, size_px=self.size_px)


def answer_in_windows(
    ask: Callable[[Tensor], Tensor], images_BCHW: Tensor, *, size_px: tuple[int, int]
) -> Tensor:  # fmt: skip
    """Return logits (B, K, H, W): logarithms of the mean probabilities of all windows that a pixel lies in.

    Windows overlap by half or more and lie evenly. Far from its border a window sees more: each counts with a weight
    that falls linearly from its middle to its border.

    Args:
        ask: gives the logits of pictures of the windows' size.
        images_BCHW: pictures at least as large as a window.
        size_px: height and width of the windows.
    """
    height_px, width_px = images_BCHW.shape[2:]
    window_h, window_w = min(size_px[0], height_px), min(size_px[1], width_px)
    weight_HW = torch.outer(_tent(window_h), _tent(window_w)).to(images_BCHW.device)
    total_BKHW: Tensor | None = None
    weights_HW = torch.zeros(height_px, width_px, device=images_BCHW.device)
    for top in starts(height_px, window_h):
        for left in starts(width_px, window_w):
            place = (..., slice(top, top + window_h), slice(left, left + window_w))
            probabilities = ask(images_BCHW[place]).float().softmax(1)
            if total_BKHW is None:
                total_BKHW = probabilities.new_zeros((*probabilities.shape[:2], height_px, width_px))
            total_BKHW[place] += probabilities * weight_HW
            weights_HW[place] += weight_HW
    assert total_BKHW is not None
    return (total_BKHW / weights_HW).clamp_(min=1e-12).log_()


def starts(side_px: int, window_px: int) -> list[int]:
    """Return where windows begin along a side: evenly, each overlapping the next by half or more.

    >>> starts(480, 352), starts(100, 100), starts(1024, 512)
    ([0, 128], [0], [0, 256, 512])
    """
    room = side_px - window_px
    if room <= 0:
        return [0]
    steps = math.ceil(room / (window_px / 2))
    return [round(room * step / steps) for step in range(steps + 1)]


def _tent(size: int) -> Tensor:
    """Return weights that fall from the middle to the border, never to nothing."""
    return 1.0 - (torch.arange(size) - (size - 1) / 2).abs() / (size / 2 + 0.5)
