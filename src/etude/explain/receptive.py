"""Receptive fields: how much of the picture one place of a map can depend on.

A field grows with each convolution and pooling: a window of k places, d apart, adds (k - 1) d times the distance, in
pixels, between two places of its input (Araujo, Norris and Sim 2019, doi:10.23915/distill.00021, eq. 2).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

Pair = tuple[float, float]


@dataclass(frozen=True)
class Field:
    """What one place of a tensor depends on."""

    size_px: Pair | None
    """Height and width in pixels of the picture; none where windows do not describe it."""
    stride_px: Pair
    """Pixels between two neighbouring places."""
    places: int
    """Places of the map on which it was last counted."""
    row: int | None
    """The layer that gave the tensor; none for the picture itself."""


def whole_picture(height_px: int, width_px: int) -> Field:
    """Return the field of the picture itself: a pixel sees itself.

    >>> whole_picture(32, 32).size_px
    (1.0, 1.0)
    """
    return Field((1.0, 1.0), (1.0, 1.0), height_px * width_px, None)


def grow(name: str, args: Sequence[Any], output: Any, fields: Sequence[Field]) -> Field:  # noqa: ANN401
    """Return the field of what an operation gives.

    Args:
        name: the operation's name without overload.
        args: its positional arguments.
        output: the tensor that it gave.
        fields: the fields of the tensors that it took, at least one.
    """
    merged = _merge(fields, is_gate=name == "mul")
    if "convolution" in name:
        return _convolve(args, output, merged)
    if name in ("max_pool2d_with_indices", "max_pool2d", "avg_pool2d"):
        kernel = _pair(args[1])
        stride = _pair(args[2]) if len(args) > 2 and args[2] else kernel
        dilation = _pair(args[4]) if name.startswith("max") and len(args) > 4 else (1.0, 1.0)
        return _window(merged, kernel, stride, dilation, output)
    if "adaptive" in name and "pool" in name:
        (height, width), (rows, columns) = args[0].shape[-2:], output.shape[-2:]
        if rows == columns == 1:
            return replace(merged, size_px=None)
        kernel = (float(math.ceil(height / rows)), float(math.ceil(width / columns)))
        return _window(merged, kernel, (height / rows, width / columns), (1.0, 1.0), output)
    if name.startswith("upsample"):
        return _upsample(name, args, output, merged)
    if name in ("mm", "addmm"):
        is_each_place = args[0 if name == "mm" else 1].shape[0] >= merged.places
        return merged if is_each_place else replace(merged, size_px=None)
    if name in ("bmm", "baddbmm") or name.startswith("_scaled_dot_product"):
        return replace(merged, size_px=None)
    is_reduced = name in ("mean", "sum", "amax", "amin", "max", "logsumexp")
    if is_reduced and args[0].ndim >= 3 and output.numel() * 2 <= args[0].numel():
        is_over_places = output.numel() < args[0].numel() / max(2, merged.places) * 2
        return replace(merged, size_px=None) if is_over_places else merged
    return merged


def _merge(fields: Sequence[Field], *, is_gate: bool) -> Field:
    """Return what depends on all of these: the largest window; a gate that sees everything adds no window."""
    sized = [field for field in fields if field.size_px is not None]
    if not sized or (len(sized) < len(fields) and not is_gate):
        return next(field for field in fields if field.size_px is None)
    widest = max(sized, key=lambda field: field.size_px or (0, 0))
    stride = (max(field.stride_px[0] for field in sized), max(field.stride_px[1] for field in sized))
    return replace(widest, stride_px=stride)


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
    places = math.prod(output.shape[2:]) if output.ndim == 4 else field.places
    grown = tuple((k - 1) * d * j for k, d, j in zip(kernel, dilation, field.stride_px, strict=True))
    jump = tuple(j * s for j, s in zip(field.stride_px, stride, strict=True))
    size = None if field.size_px is None else (field.size_px[0] + grown[0], field.size_px[1] + grown[1])
    return replace(field, size_px=size, stride_px=(jump[0], jump[1]), places=int(places))


def _spread(field: Field, taps: Pair, scale: Pair, output: Any) -> Field:  # noqa: ANN401
    grown = [(tap - 1) * j for tap, j in zip(taps, field.stride_px, strict=True)]
    size = None if field.size_px is None else (field.size_px[0] + grown[0], field.size_px[1] + grown[1])
    jump = (field.stride_px[0] / scale[0], field.stride_px[1] / scale[1])
    return replace(field, size_px=size, stride_px=jump, places=int(math.prod(output.shape[2:])))


def _pair(value: Any) -> Pair:  # noqa: ANN401
    """Return a number or a list of one or two as a pair."""
    values = [value] if isinstance(value, int | float) else list(value)
    return (float(values[0]), float(values[-1]))
