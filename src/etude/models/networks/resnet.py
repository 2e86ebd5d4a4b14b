"""The residual network of He et al. 2015 for small pictures (arXiv 1512.03385, section 4.2).

Shapes: B pictures, C channels, H and W pixels, K logits.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from etude.models.families.resnet import ResnetParams
from etude.models.networks.layers import draw_he, draw_head


class Resnet(nn.Module):
    """A 3×3 convolution, three groups of residual blocks at full, half and quarter size, a mean, the logits."""

    def __init__(self, params: ResnetParams, n_outputs: int) -> None:
        super().__init__()
        widths = [max(1, round(channels * params.width)) for channels in (16, 32, 64)]
        blocks: list[nn.Module] = []
        channels = widths[0]
        for group, width in enumerate(widths):
            for index in range((params.depth - 2) // 6):
                stride = 2 if group > 0 and index == 0 else 1
                block = PreActivationBlock if params.pre_activation else Block
                blocks.append(block(channels, width, stride, params.shortcut))
                channels = width
        self.stem = nn.Conv2d(3, widths[0], 3, padding=1, bias=False)
        self.stem_norm = nn.Identity() if params.pre_activation else nn.BatchNorm2d(widths[0])
        self.blocks = nn.Sequential(*blocks)
        self.last_norm = nn.BatchNorm2d(channels) if params.pre_activation else nn.Identity()
        self.pre_activation = params.pre_activation
        self.dropout = nn.Dropout(params.dropout)
        self.head = nn.Linear(channels, n_outputs)
        draw_he(self)
        draw_head(self.head)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Return the logits (B, K)."""
        maps_BCHW = self.stem_norm(self.stem(images_BCHW))
        if not self.pre_activation:
            maps_BCHW = F.relu(maps_BCHW)
        maps_BCHW = self.blocks(maps_BCHW)
        if self.pre_activation:
            maps_BCHW = F.relu(self.last_norm(maps_BCHW))
        pooled_BC = self.dropout(maps_BCHW.mean(dim=(2, 3)))
        logits_BK: Tensor = self.head(pooled_BC)
        return logits_BK


class Block(nn.Module):
    """Two convolutions and a shortcut around them; the activation follows the sum (figure 2 of the paper)."""

    def __init__(self, channels: int, width: int, stride: int, shortcut: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.shortcut = _shortcut(channels, width, stride, shortcut, norm=True)

    def forward(self, maps_BCHW: Tensor) -> Tensor:
        """Return the maps of the block: (B, width, H / stride, W / stride)."""
        inner_BCHW = F.relu(self.norm1(self.conv1(maps_BCHW)))
        return F.relu(self.norm2(self.conv2(inner_BCHW)) + self.shortcut(maps_BCHW))


class PreActivationBlock(nn.Module):
    """The same with normalisation and activation before each convolution, so that the shortcut is the identity."""

    def __init__(self, channels: int, width: int, stride: int, shortcut: str) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(channels)
        self.conv1 = nn.Conv2d(channels, width, 3, stride, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.shortcut = _shortcut(channels, width, stride, shortcut, norm=False)

    def forward(self, maps_BCHW: Tensor) -> Tensor:
        """Return the maps of the block: (B, width, H / stride, W / stride)."""
        active_BCHW = F.relu(self.norm1(maps_BCHW))
        inner_BCHW = self.conv2(F.relu(self.norm2(self.conv1(active_BCHW))))
        sum_BCHW: Tensor = inner_BCHW + self.shortcut(maps_BCHW)
        return sum_BCHW


class PadShortcut(nn.Module):
    """Option A: every second pixel, and zeros for the channels that are new. It has no parameter."""

    def __init__(self, new_channels: int, stride: int) -> None:
        super().__init__()
        self.new_channels = new_channels
        self.stride = stride

    def forward(self, maps_BCHW: Tensor) -> Tensor:
        """Return the maps, strided and widened, or cut where the block is narrower."""
        thinned_BCHW = maps_BCHW[:, :, :: self.stride, :: self.stride]
        before = self.new_channels // 2
        return F.pad(thinned_BCHW, (0, 0, 0, 0, before, self.new_channels - before))


def _shortcut(channels: int, width: int, stride: int, kind: str, *, norm: bool) -> nn.Module:
    if channels == width and stride == 1:
        return nn.Identity()
    if kind == "pad":
        return PadShortcut(width - channels, stride)
    conv = nn.Conv2d(channels, width, 1, stride, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(width)) if norm else conv
