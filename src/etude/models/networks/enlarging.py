"""What generators enlarge maps with: PyTorch's layers, computed in training as suits a CPU.

Each is the layer that it derives from, with its weights and its answers up to rounding: in evaluation, and in what is
exported, it is that layer itself. How much they gain is measured by `benchmarks/generation.py`.

Shapes: B pictures, Z latent numbers, I and O channels before and after, C channels, H and W pixels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FromPoint(nn.ConvTranspose2d):
    """A map from a latent vector, (B, Z, 1, 1) to (B, O, side, side): one product of matrices.

    The weights are read as they lie in memory. A transposed convolution reorders them, and their gradient, each time.
    """

    def __init__(self, before: int, after: int, side: int) -> None:
        super().__init__(before, after, side, bias=False)

    def forward(self, maps_BZ11: Tensor, output_size: list[int] | None = None) -> Tensor:
        """Return the map."""
        if not self.training or maps_BZ11.shape[2:] != (1, 1):
            return super().forward(maps_BZ11, output_size)
        latents_BZ, (side, _) = maps_BZ11.flatten(1), self.kernel_size
        if self.weight.is_contiguous(memory_format=torch.channels_last):
            drawn = latents_BZ @ self.weight.permute(0, 2, 3, 1).flatten(1)
            return drawn.view(len(drawn), side, side, -1).permute(0, 3, 1, 2)
        return (latents_BZ @ self.weight.flatten(1)).view(len(latents_BZ), -1, side, side)


class Gate(nn.GLU):
    """A gated linear unit over channels whose gradient keeps the memory format.

    PyTorch's hands a contiguous gradient to channels-last maps, with which batch normalisation takes ten times as long
    on a CPU.
    """

    def __init__(self) -> None:
        super().__init__(dim=1)

    def forward(self, maps_BCHW: Tensor) -> Tensor:
        """Return half as many maps."""
        if not self.training:
            return super().forward(maps_BCHW)
        kept, gate = maps_BCHW.chunk(2, dim=1)
        return kept * torch.sigmoid(gate.clone())  # on a slice of channels-last maps it takes five times as long


class Doubled(nn.Sequential):
    """Twice the side: nearest pixels, a convolution of 3×3, batch normalisation, and a gate."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__(
            nn.Upsample(scale_factor=2, mode="nearest"),
            nn.Conv2d(before, 2 * after, 3, padding=1, bias=False),
            nn.BatchNorm2d(2 * after),
            Gate(),
        )

    def forward(self, maps_BCHW: Tensor) -> Tensor:
        """Return (B, after, 2H, 2W)."""
        places, channels = 4 * maps_BCHW.shape[2] * maps_BCHW.shape[3], maps_BCHW.shape[1]
        if not self.training or places < channels:
            plain: Tensor = super().forward(maps_BCHW)  # type: ignore[no-untyped-call]
            return plain
        _, convolution, norm, gate = self
        assert isinstance(convolution, nn.Conv2d)
        folded: Tensor = gate(norm(convolve_doubled(maps_BCHW, convolution.weight)))
        return folded


_OF_DOUBLED = ((0.0, 0.0, 1.0), (0.0, 1.0, 1.0), (1.0, 1.0, 0.0), (1.0, 0.0, 0.0))
"""Along one axis, which of three weights fall on the same pixel once each pixel stands twice: (4, 3)."""


def convolve_doubled(maps_BIHW: Tensor, weights_OI33: Tensor) -> Tensor:
    """Return what a convolution of 3×3 makes of maps whose pixels are doubled, without doubling them.

    Of its nine weights some fall on copies of one pixel and can be added before: a transposed convolution of 4×4 and
    stride 2 does the same with 4 products in place of 9. It pays where maps have more places than channels.

    Args:
        maps_BIHW: maps before they are doubled.
        weights_OI33: weights of the convolution, which pads with one zero at each edge.

    Returns:
        (B, O, 2H, 2W).
    """
    sums = torch.tensor(_OF_DOUBLED, dtype=weights_OI33.dtype, device=weights_OI33.device)
    with torch.autocast(weights_OI33.device.type, enabled=False):
        weights_IO44 = torch.einsum("ak,oikl,bl->ioab", sums, weights_OI33, sums)
    return F.conv_transpose2d(maps_BIHW, weights_IO44, stride=2, padding=1)
