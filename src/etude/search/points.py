"""Where to look: points of a space that follow from the seed and the number of the trial.

A point does not depend on how many processes search, nor on where an earlier call was interrupted.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np

from etude.core.seeds import derive
from etude.search.space import Parameter, Point, Space, settings_of, walk

_FIRST_STEP = 1 / 8
"""Distance of the first grid around the best, as a share of each range; every further grid has half of it."""
_MOST_GRIDS = 8


def random_point(space: Space, seed: int, number: int) -> Point:
    """Return the point of trial `number`: each active parameter drawn on its own."""
    rng = np.random.Generator(np.random.PCG64(derive(seed, "search", number)))
    point: Point = {}
    for parameter in space:
        share = float(rng.random())  # drawn in any case: a condition moves no other parameter's draw
        if parameter.is_active(settings_of(space, point)):
            point[parameter.name] = parameter.at(share)
    return point


def grid_points(space: Space) -> list[Point]:
    """Return the whole grid, the last parameter fastest."""
    return list(walk(space, {parameter.name: parameter.levels() for parameter in space}))


def grid_size(space: Space, limit: int) -> int:
    """Count the points of the grid, up to `limit`."""
    points = walk(space, {parameter.name: parameter.levels() for parameter in space})
    return sum(1 for _ in islice(points, limit))


def points_around(space: Space, best: Point, order: Sequence[str], count: int) -> list[Point]:
    """Return up to `count` points around the best one, the nearest grid first.

    The most important parameters are varied together, on both sides of the best value, as many of them as the full grid
    leaves room for; each of the others then by itself. If there is room left, the same follows at half the distance.

    Args:
        space: the parameters.
        best: the best point so far; it is not among those returned.
        order: names of parameters, the most important first.
        count: how many points there is room for.
    """
    seen = [best]
    for point in islice(_rings(space, best, order, count), 100 * count + 100):
        if point not in seen:
            seen.append(point)
        if len(seen) > count:
            break
    return seen[1 : count + 1]


def _rings(space: Space, best: Point, order: Sequence[str], count: int) -> Iterator[Point]:
    active = sorted((entry for entry in space if entry.name in best), key=lambda entry: _place(order, entry.name))
    for ring in range(_MOST_GRIDS):
        step = _FIRST_STEP / 2**ring
        together = _fitting(active, best, step, count)
        yield from walk(space, _levels(space, best, together, step))
        for parameter in active[len(together) :]:
            yield from walk(space, _levels(space, best, [parameter], step))


def _fitting(active: Sequence[Parameter], best: Point, step: float, count: int) -> list[Parameter]:
    """Return the first parameters whose full grid around the best fits into `count` points, one at least."""
    sizes = [len(parameter.around(best[parameter.name], step)) for parameter in active]
    n_varied = max((n for n in range(len(active) + 1) if math.prod(sizes[:n]) - 1 <= count), default=0)
    return list(active[: max(1, n_varied)])


def _levels(space: Space, best: Point, varied: Sequence[Parameter], step: float) -> dict[str, list[object]]:
    """Return the levels of every parameter: both sides of the best where it is varied, else the best or the middle."""
    levels: dict[str, list[object]] = {}
    for parameter in space:
        if parameter in varied:
            levels[parameter.name] = parameter.around(best[parameter.name], step)
        else:
            levels[parameter.name] = [best.get(parameter.name, parameter.at(0.5))]
    return levels


def _place(order: Sequence[str], name: str) -> int:
    return order.index(name) if name in order else len(order)
