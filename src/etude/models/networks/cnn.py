"""A plain convolutional network, shaped by its parameters.

Shapes: B pictures, C channels, H and W pixels, K logits.
"""

from __future__ import annotations

from torch import Tensor, nn

from etude.core.counting import how_many
from etude.core.errors import ModelError, sentence
from etude.models.families.cnn import CnnParams
from etude.models.networks.layers import activation, draw_he, draw_head


class Cnn(nn.Module):
    """Blocks of convolutions that each halve the picture, a pooling, perhaps a hidden layer, and the logits."""

    def __init__(self, params: CnnParams, n_outputs: int, size_px: tuple[int, int]) -> None:
        super().__init__()
        height_px, width_px = size_px
        blocks: list[nn.Module] = []
        channels = 3
        for width, convs in zip(params.widths, params.convs_of_blocks(), strict=True):
            _check_size(params, size_px, (height_px, width_px))
            blocks.append(_block(params, channels, width, convs))
            channels = width
            height_px, width_px = _halved(params, height_px), _halved(params, width_px)
        self.blocks = nn.Sequential(*blocks)
        if params.head_pool == "flatten":
            channels *= height_px * width_px
        self.pool = _head_pool(params)
        self.hidden, channels = _hidden(params, channels)
        self.head = nn.Linear(channels, n_outputs)
        draw_he(self.blocks)
        draw_he(self.hidden)
        draw_head(self.head)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Return the logits (B, K)."""
        pooled_BC = self.pool(self.blocks(images_BCHW)).flatten(1)
        logits_BK: Tensor = self.head(self.hidden(pooled_BC))
        return logits_BK


def _block(params: CnnParams, channels: int, width: int, convs: int) -> nn.Sequential:
    """Return convolution, normalisation and activation, `convs` times, and what halves the picture."""
    layers: list[nn.Module] = []
    for index in range(convs):
        stride = 2 if params.pool == "stride" and index == convs - 1 else 1
        padding = params.kernel_px // 2
        layers.append(nn.Conv2d(channels, width, params.kernel_px, stride, padding, bias=not params.batch_norm))
        if params.batch_norm:
            layers.append(nn.BatchNorm2d(width))
        layers.append(activation(params.activation))
        channels = width
    if params.pool != "stride":
        layers.append(nn.MaxPool2d(2) if params.pool == "max" else nn.AvgPool2d(2))
    if params.block_dropout > 0:
        layers.append(nn.Dropout2d(params.block_dropout))
    return nn.Sequential(*layers)


def _head_pool(params: CnnParams) -> nn.Module:
    if params.head_pool == "flatten":
        return nn.Identity()
    return nn.AdaptiveAvgPool2d(1) if params.head_pool == "avg" else nn.AdaptiveMaxPool2d(1)


def _hidden(params: CnnParams, channels: int) -> tuple[nn.Sequential, int]:
    """Return what stands between the pooled map and the logits, and the number of units that it gives."""
    layers: list[nn.Module] = []
    if params.head_width > 0:
        layers += [nn.Linear(channels, params.head_width), activation(params.activation)]
        channels = params.head_width
    if params.dropout > 0:
        layers.append(nn.Dropout(params.dropout))
    return nn.Sequential(*layers), channels


def _halved(params: CnnParams, side_px: int) -> int:
    """Return the side of a map after one block: a stride rounds up, a pooling rounds down."""
    return (side_px + 1) // 2 if params.pool == "stride" else side_px // 2


def _check_size(params: CnnParams, size_px: tuple[int, int], map_px: tuple[int, int]) -> None:
    if params.pool != "stride" and min(map_px) < 2:
        blocks, side_px = len(params.widths), min(size_px)
        most = side_px.bit_length() - 1
        remedy = f"Give larger pictures (prepare.size_px), at most {most} blocks, or pool: stride."
        raise ModelError(
            sentence("model cnn", "size_px", f"at least {2**blocks} for {how_many(blocks, 'block')}", side_px, remedy)
        )
