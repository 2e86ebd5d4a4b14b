"""Where the channels of what a layer gives lie, and tokens laid out as the maps that they are.

Shapes: B pictures, C channels, N tokens, h and w places of a map.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn

from etude.explain.tracing import Traced

_MOST_PREFIX = 5  # tokens before those of the patches: of the class, of a teacher, four registers


def works_on_last(module: nn.Module) -> bool:
    """Whether a module has its channels along the last axis: a dense layer, or a normalisation of each place.

    timm's `LayerNorm2d` and its like turn the axes round themselves: they take and give channels first.
    """
    return isinstance(module, nn.Linear) or (
        (hasattr(module, "normalized_shape") or type(module).__name__ == "Affine")
        and "2d" not in type(module).__name__.lower()
    )


def channel_axis(rows: Sequence[Traced], row: Traced, shape: tuple[int, ...]) -> int:
    """Return the axis of a tensor along which its channels lie, told from the layer that made them.

    A convolution makes them the second axis, a dense layer the last. Where that axis does not hold as many numbers as
    the layer makes, the tensor was turned round since: the one axis that does holds them.

    Args:
        rows: the layers before it.
        row: the layer that gives the tensor.
        shape: of the tensor, batch first.
    """
    is_last, count = _made_by(rows, row) or (len(shape) == 3, None)
    usual = len(shape) - 1 if is_last else 1
    if count is None or shape[usual] == count:
        return usual
    fitting = [axis for axis in range(1, len(shape)) if shape[axis] == count]
    return fitting[0] if len(fitting) == 1 else usual


def _made_by(rows: Sequence[Traced], row: Traced) -> tuple[bool, int | None] | None:
    """Return whether the layer that made a tensor's channels made them the last axis, and how many, where it says."""
    while row.source is not None and row.source < row.place:
        row = rows[row.source]
        if (made := _makes(row)) is not None:
            return made
    return None


def _makes(row: Traced) -> tuple[bool, int | None] | None:
    """Return the same of one layer; none for one that leaves channels where they are."""
    module = row.module
    if row.is_function:
        is_last = {"dense": True, "convolution": False, "batch norm": False}.get(row.kind or "")
        return None if is_last is None else (is_last, None)
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
        return False, module.out_channels
    if isinstance(module, nn.Linear):
        return True, module.out_features
    normalised = getattr(module, "normalized_shape", None)
    if isinstance(normalised, tuple) and works_on_last(module):
        return True, int(normalised[-1])
    return (False, None) if row.kind == "batch norm" else None


def token_grid(n_tokens: int, size_px: tuple[int, int]) -> tuple[int, int, int] | None:
    """Return how tokens lie on a picture: those before the patches, rows and columns; none where they fill no grid.

    >>> token_grid(197, (224, 224)), token_grid(512, (256, 512)), token_grid(24, (32, 32))
    ((1, 14, 14), (0, 16, 32), None)
    """
    for prefix in range(min(_MOST_PREFIX, n_tokens - 1) + 1):
        patches = n_tokens - prefix
        rows = round(math.sqrt(patches * size_px[0] / size_px[1]))
        if rows > 1 and patches % rows == 0 and rows * size_px[1] == patches // rows * size_px[0]:
            return prefix, rows, patches // rows
    return None


def as_maps(module: nn.Module, output: Tensor, size_px: tuple[int, int]) -> Tensor | None:
    """Return what a layer gives as maps (B, C, h, w); none where it does not say where in the picture.

    Args:
        module: the layer.
        output: what it gives: maps, channels first or last, or tokens (B, N, C), of which those before the patches
            are left out.
        size_px: height and width of the pictures.
    """
    if output.ndim == 4:
        maps = output.permute(0, 3, 1, 2) if works_on_last(module) else output
        return maps if maps.shape[2] > 1 else None
    grid = token_grid(output.shape[1], size_px) if output.ndim == 3 else None
    if grid is None:
        return None
    prefix, rows, columns = grid
    places_BCN = output[:, prefix:].transpose(1, 2)
    return places_BCN.reshape(*places_BCN.shape[:2], rows, columns)
