"""One forward pass without cost: on the meta device, where only shapes are computed."""

from __future__ import annotations

import torch
from torch import nn


def try_forward(model: nn.Module, shape: tuple[int, ...]) -> object:
    """Return what a model gives for a float batch of zeros, in evaluation mode and without gradients.

    The pass runs on the meta device. A model that cannot (it makes tensors on the CPU in its forward, or has lazy
    layers that this pass initialises) is run for real.

    Raises:
        Exception: whatever the model raises when it is run for real.
    """
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            try:
                return forward_on_meta(model, shape)
            except Exception:  # any failure may be the meta device's own: the real pass decides
                return model(torch.zeros(shape))
    finally:
        model.train(was_training)


def forward_on_meta(model: nn.Module, shape: tuple[int, ...]) -> object:
    """Run a model on the meta device, its own tensors untouched."""
    state = {name: tensor.to("meta") for name, tensor in [*model.named_parameters(), *model.named_buffers()]}
    return torch.func.functional_call(model, state, (torch.empty(shape, device="meta"),))
