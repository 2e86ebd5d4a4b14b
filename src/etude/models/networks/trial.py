"""One forward pass that leaves no trace."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def try_forward(model: nn.Module, shape: tuple[int, ...]) -> object:
    """Return what a model gives for a float batch of zeros, in evaluation mode and without gradients.

    The pass is a real one, on the model's device: the meta device would spare its few milliseconds, and cost some
    seconds of imports and every network that makes a tensor of its own in its forward.
    """
    first = next(model.parameters(), None)
    device = first.device if isinstance(first, Tensor) else torch.device("cpu")
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            return model(torch.zeros(shape, device=device))
    finally:
        model.train(was_training)
