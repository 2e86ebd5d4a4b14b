"""Loading the state of a network from a safetensors file."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from etude.core.errors import ModelError


def load_checkpoint(model: nn.Module, path: Path, *, new_head: bool = False) -> None:
    """Fill a model with the state in a file, in place.

    Args:
        model: the network.
        path: a safetensors file whose names and shapes are those of the model's state.
        new_head: leave the model's last layer as it is where the file's has another shape.

    Raises:
        ModelError: if the file cannot be read or its tensors do not fit; the text lists the first few.
    """
    try:
        state = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"model: {path}: cannot be read as safetensors ({error}).") from error
    expected = model.state_dict()
    misfits = _misfits(expected, state)
    head = set(last_layer_names(model)) if new_head else set()
    faults = [text for name, text in misfits.items() if name not in head]
    if faults:
        listed = "; ".join(faults[:5]) + (f"; and {len(faults) - 5} more" if len(faults) > 5 else "")
        hint = ""
        if set(misfits) <= set(last_layer_names(model)):
            hint = " Only the last layer differs: give `new_head: true` to leave it as drawn."
        raise ModelError(f"model: {path}: does not fit the network: {listed}.{hint}")
    model.load_state_dict(
        {name: state.get(name, tensor) for name, tensor in expected.items() if name not in misfits}, strict=False
    )


def last_layer_names(model: nn.Module) -> tuple[str, ...]:
    """Return the names of the tensors of the last linear or convolutional layer: the head that gives the logits."""
    layers = [name for name, layer in model.named_modules() if isinstance(layer, nn.Linear | nn.Conv2d)]
    return tuple(name for name in model.state_dict() if layers and name.rpartition(".")[0] == layers[-1])


def _misfits(expected: dict[str, torch.Tensor], state: dict[str, torch.Tensor]) -> dict[str, str]:
    """Return, by name, what is wrong with each tensor that does not fit."""
    faults = {}
    for name in {**expected, **state}:
        if name not in state:
            faults[name] = f"{name} is missing"
        elif name not in expected:
            faults[name] = f"{name} is unknown to it"
        elif state[name].shape != expected[name].shape:
            faults[name] = f"{name} has shape {tuple(state[name].shape)}, not {tuple(expected[name].shape)}"
    return faults
