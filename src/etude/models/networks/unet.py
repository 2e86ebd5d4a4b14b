"""U-Net (Ronneberger et al. 2015, figure 1), padded, with batch normalisation; maps are enlarged bilinearly.

Shapes: B pictures, C channels, H and W pixels, K classes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.models.families.unet import UnetParams
from etude.models.networks.layers import draw_he


class Unet(nn.Module):
    """Levels downwards, each a pair of convolutions, and upwards again with the maps of the way down beside.

    It takes pictures of any size: what is enlarged takes the size of the map that it is laid beside.
    """

    def __init__(self, params: UnetParams, n_outputs: int) -> None:
        super().__init__()
        widths = params.widths
        self.stem = _conv(3, widths[0], params.stem_stride)
        self.down = nn.ModuleList(
            nn.Sequential(_conv(before, width), _conv(width, width))
            for before, width in zip((widths[0], *widths), widths, strict=False)
        )
        self.dropout = nn.Dropout2d(params.dropout)
        self.up = nn.ModuleList(
            nn.Sequential(_conv(below + width, width), _conv(width, width))
            for below, width in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.head = nn.Conv2d(widths[0], n_outputs, 1)
        draw_he(self)
        nn.init.normal_(self.head.weight, std=0.01)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Return logits (B, K, H, W)."""
        maps = self.stem(images_BCHW)
        beside: list[Tensor] = []
        for number, level in enumerate(self.down):
            maps = level(maps if number == 0 else F.max_pool2d(maps, 2, ceil_mode=True))
            beside.append(maps)
        maps = self.dropout(beside.pop())
        for level in self.up:
            skip = beside.pop()
            maps = level(torch.cat((resize(maps, skip), skip), 1))
        return resize(self.head(maps), images_BCHW)


def resize(maps_BCHW: Tensor, like_BCHW: Tensor) -> Tensor:
    """Bring maps to the height and width of others, bilinearly."""
    if maps_BCHW.shape[2:] == like_BCHW.shape[2:]:
        return maps_BCHW
    return F.interpolate(maps_BCHW, size=like_BCHW.shape[2:], mode="bilinear", align_corners=False)


def _conv(before: int, after: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(before, after, 3, stride, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU(inplace=True)
    )
