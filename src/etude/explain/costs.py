"""Multiply-adds of an operation of torch, from the shapes that it takes and gives.

Written from the operations' definitions, apart from torch's own counter, with which tests compare it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any


def count_op_macs(name: str, args: Sequence[Any], output: Any) -> int:  # noqa: ANN401 - what torch hands over
    """Return the multiply-adds of one operation on a batch; 0 for one that multiplies no matrices.

    Args:
        name: the operation's name without overload, such as `convolution` or `addmm`.
        args: its positional arguments.
        output: what it gave.
    """
    if "convolution" in name and "backward" not in name:
        maps, weight = args[0], args[1]
        is_transposed = bool(args[6]) if len(args) > 6 and isinstance(args[6], bool) else False
        places = maps.shape[2:] if is_transposed else output.shape[2:]
        return int(maps.shape[0] * math.prod(places) * weight.numel())
    if name == "mm":
        return _product(args[0].shape, args[1].shape)
    if name == "addmm":
        return _product(args[1].shape, args[2].shape)
    if name == "bmm":
        return int(args[0].shape[0] * _product(args[0].shape[1:], args[1].shape[1:]))
    if name == "baddbmm":
        return int(args[1].shape[0] * _product(args[1].shape[1:], args[2].shape[1:]))
    if name.startswith("_scaled_dot_product"):
        query, key, value = args[:3]
        pairs = math.prod(query.shape[:-1]) * key.shape[-2]
        return int(pairs * (query.shape[-1] + value.shape[-1]))
    return 0


def _product(left: Sequence[int], right: Sequence[int]) -> int:
    return int(left[0] * left[1] * right[1])
