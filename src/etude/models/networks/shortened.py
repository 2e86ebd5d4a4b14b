"""A network of timm without its last blocks, and with a head of our own.

Shapes: B pictures, C channels, H and W pixels, T tokens, K logits.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from etude.core.errors import ModelError, sentence
from etude.models.families.timm import HeadParams, TimmParams
from etude.models.networks.layers import draw_head, dropout
from etude.models.networks.trial import try_forward

_POOLS = ("", "avg", "max", "avgmax", "token")


class Shortened(nn.Module):
    """The first blocks of a network, a pooling, and a new head."""

    def __init__(self, network: nn.Module, params: TimmParams, n_outputs: int, size_px: tuple[int, int]) -> None:
        super().__init__()
        _cut(network, params.drop_blocks)
        self.body = network
        self.drop_rate = params.dropout or params.head.dropout
        self.pool = _checked_pool(params.head.pool)
        features_BC = try_forward(_Pooled(self), (1, 3, *size_px))
        assert isinstance(features_BC, Tensor)
        width = features_BC.shape[1]
        if params.head.hidden:
            self.head: nn.Module = hidden_head(width, params.head, n_outputs)
        else:
            self.head = nn.Linear(width, n_outputs)
            draw_head(self.head)

    def pooled(self, images_BCHW: Tensor) -> Tensor:
        """Return the pooled features (B, C)."""
        maps: Tensor = self.body.forward_features(images_BCHW)  # type: ignore[operator]
        return pool_maps(maps, self.pool, self.body)

    def forward(self, images_BCHW: Tensor) -> Tensor:
        """Return the logits (B, K)."""
        dropped_BC = dropout(self.pooled(images_BCHW), self.drop_rate, self.training)
        logits_BK: Tensor = self.head(dropped_BC)
        return logits_BK

    def get_classifier(self) -> nn.Module:
        """Return the head, as timm's networks do."""
        return self.head


class _Pooled(nn.Module):
    """What a shortened network gives its head, as a network."""

    def __init__(self, network: Shortened) -> None:
        super().__init__()
        self.body = network.body
        self.pool = network.pool

    def forward(self, images_BCHW: Tensor) -> Tensor:
        return pool_maps(self.body.forward_features(images_BCHW), self.pool, self.body)  # type: ignore[operator]


def pool_maps(maps: Tensor, pool: str, body: nn.Module) -> Tensor:
    """Return one vector a picture (B, C) of maps (B, C, H, W), or (B, H, W, C), or tokens (B, T, C)."""
    if maps.ndim == 2:
        return maps
    if maps.ndim == 3:
        prefix = int(getattr(body, "num_prefix_tokens", 0))
        if pool == "token":
            return maps[:, 0]
        maps_BLC = maps[:, prefix:]
    elif "NHWC" in str(getattr(body, "output_fmt", "")):
        maps_BLC = maps.flatten(1, 2)
    else:
        maps_BLC = maps.flatten(2).transpose(1, 2)
    if pool == "max":
        return maps_BLC.amax(1)
    mean_BC = maps_BLC.mean(1)
    return (mean_BC + maps_BLC.amax(1)) / 2 if pool == "avgmax" else mean_BC


def hidden_head(width: int, head: HeadParams, n_outputs: int) -> nn.Sequential:
    """Return a linear layer, GELU, dropout and the layer of the logits."""
    last = nn.Linear(head.hidden, n_outputs)
    draw_head(last)
    return nn.Sequential(nn.Linear(width, head.hidden), nn.GELU(), nn.Dropout(head.dropout), last)


def _cut(network: nn.Module, count: int) -> None:
    """Leave out the last blocks of a network, and its classifier.

    Raises:
        ModelError: if it has no more blocks than that, or timm cannot cut it.
    """
    name = type(network).__name__
    levels = len(getattr(network, "feature_info", ()))
    if not hasattr(network, "prune_intermediate_layers") or not levels:
        raise ModelError(f"model: drop_blocks must be left out for {name}: timm cannot cut this network.")
    if count >= levels:
        raise ModelError(sentence("model", "drop_blocks", f"less than {levels}, the blocks of {name}", count))
    with torch.no_grad():
        network.prune_intermediate_layers([levels - 1 - count], prune_norm=False, prune_head=True)  # type: ignore[operator]


def _checked_pool(pool: str) -> str:
    if pool not in _POOLS:
        raise ModelError(sentence("model", "head.pool", f"one of {', '.join(_POOLS[1:])}", pool))
    return pool
