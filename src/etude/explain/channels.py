"""Where the channels of what a layer gives lie, and tokens laid out as the maps that they are.

Shapes: B pictures, C channels, N tokens, h and w places of a map.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

_MOST_PREFIX = 8  # tokens before those of the patches: of the class, of a teacher, registers


def works_on_last(module: nn.Module) -> bool:
    """Whether a module has its channels along the last axis: a dense layer, or a normalisation of each place.

    timm's `LayerNorm2d` and its like turn the axes round themselves: they take and give channels first.
    """
    return isinstance(module, nn.Linear) or (
        (hasattr(module, "normalized_shape") or type(module).__name__ == "Affine")
        and "2d" not in type(module).__name__.lower()
    )


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
    return output[:, prefix:].transpose(1, 2).unflatten(2, (rows, columns))
