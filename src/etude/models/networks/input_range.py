"""How the pixels were normalised that a network was trained on, read off the statistics in its weights.

Shapes: B pictures, C channels, H and W pixels.
"""

from __future__ import annotations

from typing import get_args

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from etude.pictures.prepare import Range, normalisation
from etude.pictures.prepare_config import Prepare

_TIMES = 5.0
"""How many times better another range must fit before it is believed."""
_LEAST = 0.1
"""Nats below which a misfit is that of other pictures, not of another normalisation."""


class _SeenError(Exception):
    """Ends a forward pass at the first normalisation."""


def range_misfits(model: nn.Module, pictures_BHWC: npt.NDArray[np.uint8]) -> dict[Range, float]:
    """Return how badly each way to normalise pictures fits the first batch normalisation of a network.

    That is the Kullback-Leibler divergence, in nats, of what the normalisation is given, taken as normal in each
    channel, from the running statistics that it has kept from its own training: the median over its channels. Where
    pictures are normalised as they were then, it is near zero.

    Args:
        model: a network with trained weights, left as it was.
        pictures_BHWC: a few dozen photographs, as they are prepared.

    Returns:
        The misfits by range; empty where the network has no batch normalisation, or none that has kept anything.
    """
    layers = [module for module in model.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
    if not any(layer.running_mean is not None and bool(layer.running_mean.any()) for layer in layers):
        return {}
    device = next(model.parameters()).device
    pixels = torch.from_numpy(np.ascontiguousarray(pictures_BHWC)).to(device).float() / 255
    found: dict[Range, float] = {}
    was_training = model.training
    model.eval()
    try:
        for name in get_args(Range):
            mean, std = (torch.tensor(values, device=device) for values in normalisation(Prepare(normalize=name)))
            found[name] = _misfit(model, layers, ((pixels - mean) / std).permute(0, 3, 1, 2))
    finally:
        model.train(was_training)
    return found


def better_range(model: nn.Module, pictures_NHWC: npt.NDArray[np.uint8], given: Range, few: int = 32) -> Range | None:
    """Return the range that plainly fits a network better than the given one; none where no other does.

    Args:
        model: as for `range_misfits`.
        pictures_NHWC: photographs, of which a few are taken.
        given: how they are to be normalised.
        few: how many are taken, spread evenly.
    """
    if not len(pictures_NHWC):
        return None
    chosen = np.unique(np.linspace(0, len(pictures_NHWC) - 1, few).astype(np.int64))
    misfits = range_misfits(model, np.asarray(pictures_NHWC[chosen]))
    best = min(misfits, key=misfits.__getitem__, default=given)
    return best if misfits and misfits[given] >= max(_LEAST, _TIMES * misfits[best]) and best != given else None


def _misfit(model: nn.Module, layers: list[nn.modules.batchnorm._BatchNorm], images_BCHW: Tensor) -> float:
    seen: list[tuple[nn.modules.batchnorm._BatchNorm, Tensor]] = []

    def stop(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(layer, nn.modules.batchnorm._BatchNorm)
        seen.append((layer, inputs[0]))
        raise _SeenError

    hooks = [layer.register_forward_pre_hook(stop) for layer in layers]
    try:
        with torch.no_grad():
            model(images_BCHW)
    except _SeenError:
        pass
    finally:
        for hook in hooks:
            hook.remove()
    layer, given_BCHW = seen[0]
    assert layer.running_mean is not None
    assert layer.running_var is not None
    over = [axis for axis in range(given_BCHW.ndim) if axis != 1]
    # By moments, which the scale of normalised maps allows: with the variance of torch it takes twice as long.
    mean_C = given_BCHW.mean(over)
    var_C = (given_BCHW.square().mean(over) - mean_C.square()).clamp(min=0) + layer.eps
    kept_C = layer.running_var + layer.eps
    divergence_C = (var_C + (mean_C - layer.running_mean) ** 2) / kept_C - 1 - torch.log(var_C / kept_C)
    return float(divergence_C.median()) / 2
