"""What several networks share: activations and the draw of initial weights."""

from __future__ import annotations

from typing import Final

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}


_LEVELS: Final = 1 << 16
"""A unit is dropped by comparing 16 random bits with its rate: exact to 1/65,536."""


def dropout(features: Tensor, rate: float, training: bool) -> Tensor:
    """Drop units, as `torch.nn.functional.dropout` does, though not the same ones; on a CPU five times as fast.

    PyTorch draws a number for each unit there; here one draw of 64 bits, of PyTorch's generator too, serves four. A
    third of the training of a head on cached features went into it (`benchmarks/transfer.py`).

    Args:
        features: any shape.
        rate: share that is dropped, 0..1, rounded to 1/65,536 on a CPU.
        training: whether anything is.

    Returns:
        The features, the kept ones over the share that is kept.
    """
    threshold = round(rate * _LEVELS)
    if not training or features.device.type != "cpu" or not 0 < threshold < _LEVELS:
        return F.dropout(features, rate, training)
    draws = torch.empty(-(-features.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
    bits = draws.view(torch.int16)[: features.numel()].view(features.shape)
    kept = (bits >= threshold - _LEVELS // 2).to(features.dtype)
    return features * kept.mul_(_LEVELS / (_LEVELS - threshold))


def activation(name: str) -> nn.Module:
    """Return the activation of that name, with PyTorch's default parameters."""
    return ACTIVATIONS[name]()


def draw_he(network: nn.Module) -> None:
    """Draw the weights of every convolution and linear layer after He et al. 2015 (arXiv 1502.01852, eq. 10).

    Normal, with the variance 2 / fan-in that keeps the scale of a rectified signal; biases are zero. A last linear
    layer that is followed by no activation is left to its own class.
    """
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def draw_head(head: nn.Linear | nn.Conv2d) -> None:
    """Draw the layer that gives the logits: small, so that training starts from nearly equal probabilities."""
    nn.init.normal_(head.weight, std=0.01)
    if head.bias is not None:
        nn.init.zeros_(head.bias)
