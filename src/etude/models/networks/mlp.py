"""Fully connected layers on the pixels.

Shapes: B pictures, C channels, H and W pixels, K logits.
"""

from __future__ import annotations

from torch import Tensor, nn

from etude.models.families.mlp import MlpParams
from etude.models.networks.layers import activation, draw_he, draw_head


class Mlp(nn.Module):
    """Linear, normalisation, activation and dropout, as often as there are widths; then the logits."""

    def __init__(self, params: MlpParams, n_outputs: int, size_px: tuple[int, int]) -> None:
        super().__init__()
        inputs = 3 * size_px[0] * size_px[1]
        layers: list[nn.Module] = []
        for width in params.widths:
            layers.append(nn.Linear(inputs, width, bias=not params.batch_norm))
            if params.batch_norm:
                layers.append(nn.BatchNorm1d(width))
            layers.append(activation(params.activation))
            if params.dropout > 0:
                layers.append(nn.Dropout(params.dropout))
            inputs = width
        self.hidden = nn.Sequential(*layers)
        self.head = nn.Linear(inputs, n_outputs)
        draw_he(self.hidden)
        draw_head(self.head)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Return the logits (B, K)."""
        logits_BK: Tensor = self.head(self.hidden(images_BCHW.flatten(1)))
        return logits_BK
