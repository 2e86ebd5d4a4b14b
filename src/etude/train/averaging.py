"""An average of the weights along the training: EMA, or lookahead."""

from __future__ import annotations

import torch
from torch import nn

from etude.train.config import AverageConfig


class WeightAverage:
    """Keeps an average of a model's weights and buffers.

    ema: the average is what is validated and kept (Polyak and Juditsky 1992).
    lookahead: every `every` steps the weights go back to the average, whose memory grows with the cube of the
    progress, as in the airbench recipe (Jordan 2024, arXiv:2404.00498; Zhang et al. 2019, arXiv:1907.08610).
    """

    def __init__(self, model: nn.Module, config: AverageConfig) -> None:
        self.config = config
        self.tensors = {
            name: tensor.detach().clone() for name, tensor in model.state_dict().items() if tensor.is_floating_point()
        }

    @torch.no_grad()
    def update(self, model: nn.Module, step: int, steps: int) -> None:
        """Take the weights after step `step` (from 1) of `steps` into the average."""
        is_last = step == steps
        if self.config.name == "none" or (step % self.config.every and not is_last):
            return
        if self.config.name == "ema":
            # The first steps are averaged over what there is, so that the start does not weigh for long.
            self._blend(model, min(self.config.decay, step / (step + 10)))
            return
        self._blend(model, 1.0 if is_last else self.config.decay * (step / steps) ** 3)
        self.copy_to(model)

    def _blend(self, model: nn.Module, decay: float) -> None:
        current = model.state_dict()
        for name, average in self.tensors.items():
            average.lerp_(current[name].to(average.dtype), 1 - decay)

    @torch.no_grad()
    def copy_to(self, model: nn.Module) -> None:
        """Write the average into the model."""
        current = model.state_dict()
        for name, average in self.tensors.items():
            current[name].copy_(average)

    @torch.no_grad()
    def swap(self, model: nn.Module) -> None:
        """Exchange the average and the model's weights."""
        current = model.state_dict()
        for name, average in self.tensors.items():
            kept = current[name].clone()
            current[name].copy_(average)
            average.copy_(kept)
