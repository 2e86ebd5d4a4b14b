"""Receptive fields: how much of the picture one place of a map can depend on.

A field grows with each convolution and pooling: a window of k places, d apart, adds (k - 1) d times the distance, in
pixels, between two places of its input (Araujo, Norris and Sim 2019, doi:10.23915/distill.00021, eq. 2).

Places can also move without a window: pixels shuffled into channels and back, every second row taken. What of that can
be told is told; where a tensor does not lie as its places should, none is known from there on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

Pair = tuple[float, float]
_MOST_PREFIX = 5  # tokens before those of the patches: of the class, of a teacher, four registers
_WINDOWS = ("max_pool2d_with_indices", "max_pool2d", "avg_pool2d")
_REDUCTIONS = ("mean", "sum", "amax", "amin", "max", "logsumexp")
_SCATTERING = (
    "roll", "flip", "im2col", "col2im", "unfold", "index", "index_select", "gather", "take", "select", "sort",
    "as_strided", "grid_sampler_2d", "cumsum", "bmm", "baddbmm",
)  # fmt: skip
"""Operations after which a place may depend on any other, or is no more where it was."""


@dataclass(frozen=True)
class Field:
    """What one place of a tensor depends on."""

    size_px: Pair | None
    """Height and width in pixels of the picture; none where windows do not describe it, or that is not known."""
    stride_px: Pair
    """Pixels between two neighbouring places."""
    grid: tuple[int, int]
    """Rows and columns of the map on which places were last counted."""
    batch: int
    """Pictures that go through together."""
    row: int | None
    """The layer that gave the tensor; none for the picture itself."""
    shift_px: Pair = (0.0, 0.0)
    """Pixels by which the first place lies further down and to the right, where some rows or columns were taken."""


def whole_picture(height_px: int, width_px: int, batch: int = 1) -> Field:
    """Return the field of the picture itself: a pixel sees itself.

    >>> whole_picture(32, 32).size_px
    (1.0, 1.0)
    """
    return Field((1.0, 1.0), (1.0, 1.0), (height_px, width_px), batch, None)


def no_picture(batch: int = 1) -> Field:
    """Return the field of what is no picture, such as a latent vector: it has no places."""
    return Field(None, (1.0, 1.0), (1, 1), batch, None)


def grow(name: str, args: Sequence[Any], output: Any, fields: Sequence[Field]) -> Field:  # noqa: ANN401
    """Return the field of what an operation gives.

    Args:
        name: the operation's name without overload.
        args: its positional arguments.
        output: the tensor that it gave.
        fields: the fields of the tensors that it took, at least one.
    """
    merged = _merge(fields, is_gate=name == "mul")
    if merged.size_px is None or name in _SCATTERING or name.startswith(("_scaled_dot_product", "_fft")):
        return _unknown(merged)
    if name in ("mm", "addmm"):
        return merged if _is_each_place(args[0 if name == "mm" else 1].shape, merged) else _unknown(merged)
    if name in _REDUCTIONS:
        return _unknown(merged) if _reduces_places(args, merged) else merged
    if name == "slice":
        return _slice(args, output, merged)
    if name.endswith(("_pad2d", "_pad_nd")):
        return _settle(replace(merged, grid=_padded(args[0].shape, output.shape, merged.grid)), output)
    if "convolution" in name or name in _WINDOWS or name.startswith(("upsample", "pixel_")) or "adaptive" in name:
        return _on_maps(name, args, output, merged)
    return _settle(merged, output)


def _on_maps(name: str, args: Sequence[Any], output: Any, field: Field) -> Field:  # noqa: ANN401
    """Return the field behind an operation on maps with channels first."""
    given = tuple(args[0].shape)
    if len(given) != 4:  # a convolution along tokens: of single ones it mixes channels, or the tokens themselves
        is_each = "convolution" in name and max(args[1].shape[2:]) == 1 and _axes(given, field.grid) == (2,)
        return field if is_each else _unknown(field)
    if given[2:] != field.grid:
        return _unknown(field)
    if "convolution" in name:
        return _convolve(args, output, field)
    if name == "pixel_shuffle":
        return _spread(field, (1.0, 1.0), (float(args[1]), float(args[1])), output)
    if name == "pixel_unshuffle":
        return _window(field, _pair(args[1]), _pair(args[1]), (1.0, 1.0), output)
    if name.startswith("upsample"):
        return _upsample(name, args, output, field)
    if "adaptive" in name:
        (height, width), (rows, columns) = args[0].shape[-2:], output.shape[-2:]
        if rows == columns == 1:
            return _unknown(field)
        kernel = (float(math.ceil(height / rows)), float(math.ceil(width / columns)))
        return _window(field, kernel, (height / rows, width / columns), (1.0, 1.0), output)
    kernel = _pair(args[1])
    stride = _pair(args[2]) if len(args) > 2 and args[2] else kernel
    dilation = _pair(args[4]) if name.startswith("max") and len(args) > 4 else (1.0, 1.0)
    return _window(field, kernel, stride, dilation, output)


def _unknown(field: Field) -> Field:
    return replace(field, size_px=None)


def _axes(shape: Sequence[int], grid: tuple[int, int]) -> tuple[int, ...] | None:
    """Return the axes along which the places of a tensor lie: rows and columns, or tokens; none where they do not."""
    if len(shape) == 4:
        return (2, 3) if tuple(shape[2:]) == grid else (1, 2) if tuple(shape[1:3]) == grid else None
    if len(shape) == 3:
        least = math.prod(grid)
        return next(((axis,) for axis in (1, 2) if least <= shape[axis] <= least + _MOST_PREFIX), None)
    return None


def _settle(field: Field, output: Any) -> Field:  # noqa: ANN401
    """Return the field of a tensor that was moved about, unknown where it does not lie as its places should."""
    return _unknown(field) if output.ndim in (3, 4) and _axes(output.shape, field.grid) is None else field


def _is_each_place(shape: Sequence[int], field: Field) -> bool:
    """Whether a product of matrices treats each place by itself: its rows are places, and it sums over channels.

    With as many channels as places both readings fit, and it is not known.
    """
    rows, inner, least = shape[0], shape[1], math.prod(field.grid)
    fits = rows % field.batch == 0 and least <= rows // field.batch <= least + _MOST_PREFIX
    return fits and not (least > 1 and least <= inner <= least + _MOST_PREFIX)


def _reduces_places(args: Sequence[Any], field: Field) -> bool:
    """Whether a mean, a sum or a maximum is taken over places."""
    axes = _axes(args[0].shape, field.grid)
    if axes is None or len(args) < 2 or isinstance(args[1], bool) or args[1] is None:
        return True
    given = [args[1]] if isinstance(args[1], int) else list(args[1])
    return not given or any(axis % args[0].ndim in axes for axis in given)


def _slice(args: Sequence[Any], output: Any, field: Field) -> Field:  # noqa: ANN401
    """Return the field where some rows, columns or channels are taken."""
    given, axis = args[0].shape, (args[1] if len(args) > 1 else 0) % args[0].ndim
    axes = _axes(given, field.grid)
    if axes is None:
        return _unknown(field) if len(given) in (3, 4) else field
    if axis not in axes or output.shape[axis] == given[axis]:
        return field
    if len(axes) == 1:  # of tokens: those before the patches, or some of these
        return _settle(field, output)
    side = axes.index(axis)
    start, step = int(args[2] or 0) if len(args) > 2 else 0, int(args[4]) if len(args) > 4 else 1
    start += given[axis] if start < 0 else 0
    jumps, shifts, grid = list(field.stride_px), list(field.shift_px), list(field.grid)
    shifts[side] += start * jumps[side]
    jumps[side] *= step
    grid[side] = int(output.shape[axis])
    return replace(
        field, stride_px=(jumps[0], jumps[1]), shift_px=(shifts[0], shifts[1]), grid=(grid[0], grid[1])
    )  # fmt: skip


def _padded(given: Sequence[int], to: Sequence[int], grid: tuple[int, int]) -> tuple[int, int]:
    axes = _axes(given, grid)
    return grid if axes is None or len(axes) == 1 else (int(to[axes[0]]), int(to[axes[1]]))


def _merge(fields: Sequence[Field], *, is_gate: bool) -> Field:
    """Return what depends on all of these: the largest window; a gate that sees everything adds no window.

    Where the first places lie apart, as of every second row and those between, the window reaches over both.
    """
    sized = [field for field in fields if field.size_px is not None]
    if not sized or (len(sized) < len(fields) and not is_gate):
        return next(field for field in fields if field.size_px is None)
    widest = max(sized, key=lambda field: field.size_px or (0, 0))
    stride, size, shift = [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]
    for side in (0, 1):
        shifts = [field.shift_px[side] for field in sized]
        stride[side] = max(field.stride_px[side] for field in sized)
        size[side] = max((field.size_px or (0, 0))[side] for field in sized) + max(shifts) - min(shifts)
        shift[side] = min(shifts)
    return replace(
        widest, stride_px=(stride[0], stride[1]), size_px=(size[0], size[1]), shift_px=(shift[0], shift[1])
    )  # fmt: skip


def _convolve(args: Sequence[Any], output: Any, field: Field) -> Field:  # noqa: ANN401
    weight, stride, dilation = args[1], _pair(args[3]), _pair(args[5])
    kernel = _pair(tuple(weight.shape[2:]))
    if not args[6]:
        return _window(field, kernel, stride, dilation, output)
    taps = (float(math.ceil(kernel[0] / stride[0])), float(math.ceil(kernel[1] / stride[1])))
    return _spread(field, taps, stride, output)


def _upsample(name: str, args: Sequence[Any], output: Any, field: Field) -> Field:  # noqa: ANN401
    scale = (output.shape[-2] / args[0].shape[-2], output.shape[-1] / args[0].shape[-1])
    taps = 4.0 if "bicubic" in name else 2.0 if "linear" in name else 1.0
    return _spread(field, (taps, taps), scale, output)


def _window(field: Field, kernel: Pair, stride: Pair, dilation: Pair, output: Any) -> Field:  # noqa: ANN401
    grown = tuple((k - 1) * d * j for k, d, j in zip(kernel, dilation, field.stride_px, strict=True))
    jump = tuple(j * s for j, s in zip(field.stride_px, stride, strict=True))
    return _enlarged(field, (grown[0], grown[1]), (jump[0], jump[1]), output)


def _spread(field: Field, taps: Pair, scale: Pair, output: Any) -> Field:  # noqa: ANN401
    grown = [(tap - 1) * j for tap, j in zip(taps, field.stride_px, strict=True)]
    jump = (field.stride_px[0] / scale[0], field.stride_px[1] / scale[1])
    return _enlarged(field, (grown[0], grown[1]), jump, output)


def _enlarged(field: Field, by_px: Pair, stride_px: Pair, output: Any) -> Field:  # noqa: ANN401
    assert field.size_px is not None
    size_px = (field.size_px[0] + by_px[0], field.size_px[1] + by_px[1])
    grid = (int(output.shape[2]), int(output.shape[3]))
    return replace(field, size_px=size_px, stride_px=stride_px, grid=grid)


def _pair(value: Any) -> Pair:  # noqa: ANN401
    """Return a number or a list of one or two as a pair."""
    values = [value] if isinstance(value, int | float) else list(value)
    return (float(values[0]), float(values[-1]))
