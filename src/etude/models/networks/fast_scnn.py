"""Fast-SCNN (Poudel et al. 2019, arXiv 1902.04502, table 1): its layers and their widths, with three deviations.

- Between a depthwise convolution and the pointwise one after it there is a ReLU; the paper omits it (section 3.2.1).
- The depthwise convolution of the fusion looks at neighbours; the paper's is dilated by the factor of 4 by which the
  scene was enlarged (table 3), so that the two look at equally much of it.
- The branches of the pyramid have no batch normalisation; the paper has one before every ReLU (section 4.1).

The paper trains with auxiliary losses at the end of the way down and of the scene (section 4.1); here there is one.
For 19 classes the convolutions have the paper's 1.11 million parameters; the normalisations between them 23 thousand.

Shapes: B pictures, C channels, H and W pixels, K classes.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.models.families.fast_scnn import FastScnnParams
from etude.models.networks.layers import draw_he
from etude.models.networks.unet import resize

_POOLED = (1, 2, 3, 6)
"""Sides of the pyramid's maps (Zhao et al. 2017, PSPNet)."""


class FastScnn(nn.Module):
    """Learning to downsample, global features, their fusion, and a classifier."""

    def __init__(self, params: FastScnnParams, n_outputs: int) -> None:
        super().__init__()
        c32, c48, c64, c96, c128 = (max(8, round(width * params.width)) for width in (32, 48, 64, 96, 128))
        self.down = nn.Sequential(_conv(3, c32, 3, 2), _separable(c32, c48, 2), _separable(c48, c64, 2))
        stages = ((c64, c64, 2), (c64, c96, 2), (c96, c128, 1))
        self.scene = nn.Sequential(
            *(
                Bottleneck(before if number == 0 else after, after, stride if number == 0 else 1)
                for before, after, stride in stages
                for number in range(3)
            )
        )
        self.pyramid = Pyramid(c128)
        self.fuse_scene = nn.Sequential(_depthwise(c128), _conv(c128, c128, 1, activate=False))
        self.fuse_detail = _conv(c64, c128, 1, activate=False)
        self.classify = nn.Sequential(_separable(c128, c128), _separable(c128, c128), nn.Dropout2d(params.dropout))
        self.head = nn.Conv2d(c128, n_outputs, 1)
        draw_he(self)
        nn.init.normal_(self.head.weight, std=0.01)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Return logits (B, K, H, W)."""
        detail = self.down(images_BCHW)
        scene = self.fuse_scene(resize(self.pyramid(self.scene(detail)), detail))
        fused = F.relu(scene + self.fuse_detail(detail))
        return resize(self.head(self.classify(fused)), images_BCHW)


class Bottleneck(nn.Module):
    """The inverted residual of MobileNetV2 (Sandler et al. 2018, table 1), with an expansion of 6."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            _conv(before, 6 * before, 1), _depthwise(6 * before, stride), _conv(6 * before, after, 1, activate=False)
        )
        self.is_residual = stride == 1 and before == after

    def forward(self, maps_BCHW: Tensor) -> Tensor:
        """Return maps, half as large where the stride is 2."""
        result: Tensor = self.layers(maps_BCHW)
        return result + maps_BCHW if self.is_residual else result


class Pyramid(nn.Module):
    """Means over ever smaller parts of the scene, laid beside the maps that they come from."""

    def __init__(self, width: int) -> None:
        super().__init__()
        # Without normalisation: a map of one pixel of one picture has no variance.
        self.branches = nn.ModuleList(nn.Conv2d(width, width // 4, 1) for _ in _POOLED)
        self.join = _conv(width + len(_POOLED) * (width // 4), width, 1)

    def forward(self, maps_BCHW: Tensor) -> Tensor:
        """Return maps of the same shape."""
        pooled = [
            resize(F.relu(branch(F.adaptive_avg_pool2d(maps_BCHW, side))), maps_BCHW)
            for side, branch in zip(_POOLED, self.branches, strict=True)
        ]
        joined: Tensor = self.join(torch.cat((maps_BCHW, *pooled), 1))
        return joined


def _conv(before: int, after: int, kernel_px: int, stride: int = 1, *, activate: bool = True) -> nn.Sequential:
    layers = [
        nn.Conv2d(before, after, kernel_px, stride, padding=kernel_px // 2, bias=False),
        nn.BatchNorm2d(after),
        *([nn.ReLU(inplace=True)] if activate else []),
    ]
    return nn.Sequential(*layers)


def _depthwise(width: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(width, width, 3, stride, padding=1, groups=width, bias=False),
        nn.BatchNorm2d(width),
        nn.ReLU(inplace=True),
    )


def _separable(before: int, after: int, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(_depthwise(before, stride), _conv(before, after, 1))
