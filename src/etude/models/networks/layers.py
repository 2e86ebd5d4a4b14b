"""What several networks share: activations and the draw of initial weights."""

from __future__ import annotations

from torch import nn

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
}


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
