"""The optimisers, and which parameters get which learning rate and decay."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import nn

from etude.train.config import OptimizerConfig

_ADAMW_SHARE = 0.05  # with muon, what is no matrix is trained by AdamW at this share of muon's learning rate


def build_optimizer(
    model: nn.Module, config: OptimizerConfig, lr_scales: Mapping[str, float] | None = None
) -> torch.optim.Optimizer:
    """Return the optimiser over the trainable parameters; each group's `peak_lr` is what the schedule scales.

    Args:
        model: the network.
        config: the optimiser and its rates.
        lr_scales: factor on the learning rate of each parameter, by name; 1 for those that are not in it.
    """
    groups = parameter_groups(model, config, lr_scales)
    if config.name == "muon":
        return Muon(groups, momentum=config.momentum, nesterov=config.nesterov)
    fused = all(p.is_floating_point() and p.device.type in ("cpu", "cuda") for p in model.parameters())
    if config.name == "adamw":
        return torch.optim.AdamW(groups, lr=config.peak_lr, betas=(config.momentum, 0.999), fused=fused)
    nesterov = config.nesterov and config.momentum > 0
    return torch.optim.SGD(groups, lr=config.peak_lr, momentum=config.momentum, nesterov=nesterov, fused=fused)


def parameter_groups(
    model: nn.Module, config: OptimizerConfig, lr_scales: Mapping[str, float] | None = None
) -> list[dict[str, Any]]:
    """Sort the trainable parameters into groups of one learning rate and one decay each.

    Matrices and filters decay; biases and the parameters of norms do not. The biases of norms and the
    last layer have learning rates of their own where the configuration scales them.
    """
    head = last_layer(model)
    groups: dict[tuple[float, bool, bool], dict[str, Any]] = {}
    for module_name, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            if not parameter.requires_grad:
                continue
            scale = config.head_lr_scale if module_name == head else 1.0
            scale *= (lr_scales or {}).get(f"{module_name}.{name}" if module_name else name, 1.0)
            if name == "bias" and _is_norm(module):
                scale *= config.bias_lr_scale
            is_matrix = parameter.ndim >= 2
            use_muon = config.name == "muon" and is_matrix and module_name != head
            group = groups.setdefault(
                (scale, is_matrix, use_muon),
                {"params": [], "weight_decay": config.weight_decay if is_matrix else 0.0, "use_muon": use_muon},
            )
            group["params"].append(parameter)
            share = 1.0 if use_muon or config.name != "muon" else _ADAMW_SHARE
            group["lr"] = group["peak_lr"] = config.peak_lr * scale * share
    return list(groups.values())


def last_layer(model: nn.Module) -> str:
    """Return the name of the last layer that has a weight: the head of a classifier."""
    names = [name for name, module in model.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    return names[-1] if names else ""


def _is_norm(module: nn.Module) -> bool:
    return isinstance(module, nn.modules.batchnorm._BatchNorm | nn.GroupNorm | nn.LayerNorm)


class Muon(torch.optim.Optimizer):
    """Momentum whose update is made orthogonal, for matrices and filters; AdamW for the other groups.

    A filter bank (out, in, h, w) is taken as the matrix (out, in·h·w). Source: Jordan et al. 2024,
    'Muon: an optimizer for hidden layers in neural networks'.
    """

    def __init__(self, groups: Iterable[dict[str, Any]], momentum: float, nesterov: bool) -> None:
        super().__init__(groups, {"momentum": momentum, "nesterov": nesterov, "betas": (0.9, 0.999), "eps": 1e-8})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> None:  # type: ignore[override]
        """Make one step from the gradients at hand."""
        for group in self.param_groups:
            update = self._orthogonal if group["use_muon"] else self._adam
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.mul_(1 - group["lr"] * group["weight_decay"])
                    parameter.add_(update(parameter, group), alpha=-group["lr"])

    def _orthogonal(self, parameter: torch.Tensor, group: dict[str, Any]) -> torch.Tensor:
        gradient = parameter.grad
        assert gradient is not None
        state = self.state[parameter]
        buffer = state.setdefault("momentum_buffer", torch.zeros_like(parameter))
        buffer.lerp_(gradient, 1 - group["momentum"])
        direction = gradient.lerp(buffer, group["momentum"]) if group["nesterov"] else buffer
        matrix = direction.reshape(len(direction), -1)
        scale = max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
        update: torch.Tensor = scale * orthogonalize(matrix).reshape(parameter.shape)
        return update

    def _adam(self, parameter: torch.Tensor, group: dict[str, Any]) -> torch.Tensor:
        gradient = parameter.grad
        assert gradient is not None
        state = self.state[parameter]
        if not state:
            state.update(
                step=torch.zeros(()), exp_avg=torch.zeros_like(parameter), exp_avg_sq=torch.zeros_like(parameter)
            )
        beta1, beta2 = group["betas"]
        state["step"] += 1
        state["exp_avg"].lerp_(gradient, 1 - beta1)
        state["exp_avg_sq"].lerp_(gradient.square(), 1 - beta2)
        count = state["step"].item()
        denominator = (state["exp_avg_sq"] / (1 - beta2**count)).sqrt_().add_(group["eps"])
        return torch.as_tensor(state["exp_avg"] / (1 - beta1**count) / denominator)


def orthogonalize(matrix: torch.Tensor, steps: int = 5) -> torch.Tensor:
    """Return a matrix (M, N) with the same singular vectors and singular values near 1.

    Newton–Schulz with the quintic of Jordan et al. 2024 (coefficients 3.4445, -4.7750, 2.0315): after
    five steps the singular values lie between about 0.7 and 1.2. In bfloat16 where the device is a GPU.
    """
    x = matrix.bfloat16() if matrix.is_cuda else matrix.float()
    flat = x.shape[0] > x.shape[1]
    x = x.T if flat else x
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = 3.4445 * x + (-4.7750 * gram + 2.0315 * gram @ gram) @ x
    return torch.as_tensor(x.T if flat else x, dtype=matrix.dtype)
