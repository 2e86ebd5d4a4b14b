"""What an operation passes on when it is left out: one of what it takes, where one can stand for its output.

Places are those of layers in the order in which a picture goes through; none is the picture itself.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from torch import Tensor

from etude.explain.records import Kind

SourcesOf = Callable[[int], Collection[int | None]]
"""Gives the places of the layers that gave what a layer takes."""
_PASSING: tuple[Kind, ...] = ("batch norm", "layer norm", "activation")


def find_skip(
    kind: Kind | None,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    output: Tensor,
    sources: Sequence[int | None],
    sources_of: SourcesOf,
) -> int | None:
    """Return the place, among an operation's arguments, of what it passes on when it is left out; none where it cannot.

    A normalisation or an activation passes on what it takes, a gate the one operand of its output's shape, a residual
    sum what comes round the block.

    Args:
        kind: what the operation is as a layer.
        args: its positional arguments.
        kwargs: its other arguments.
        output: what it gave.
        sources: of those of its tensors that come from the picture, the place of the layer that gave each.
        sources_of: what other layers took.
    """
    if kind in _PASSING:
        return 0 if _has_shape(args[0], output) else None
    if kind == "gate":
        fitting = [place for place, arg in enumerate(args[:2]) if _has_shape(arg, output)]
        return fitting[0] if len(fitting) == 1 else None
    if kind == "residual" and len(sources) == 2 and kwargs.get("alpha", 1) == 1:
        return _identity_of(sources, sources_of)
    return None


def _has_shape(arg: Any, output: Tensor) -> bool:  # noqa: ANN401 - what torch hands over
    return isinstance(arg, Tensor) and arg.shape == output.shape


def _identity_of(sources: Sequence[int | None], sources_of: SourcesOf) -> int | None:
    """Return which of two summands went round: the earlier one, where the other was made from it; else none.

    The two ways of a down-sampling block are both made from a third: neither goes round the other.
    """
    first, second = (-1 if source is None else source for source in sources)
    if first == second:
        return None
    skip = 0 if first < second else 1
    return skip if _descends(max(first, second), sources[skip], sources_of) else None


def _descends(place: int, of: int | None, sources_of: SourcesOf) -> bool:
    """Whether what one layer gave was made from what another, or the picture, gave."""
    waiting, seen = [place], {place}
    while waiting:
        for source in sources_of(waiting.pop()):
            if source == of:
                return True
            if source is not None and source not in seen and (of is None or source > of):
                seen.add(source)
                waiting.append(source)
    return False
