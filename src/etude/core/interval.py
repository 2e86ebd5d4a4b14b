"""A 95 % interval, wherever one is kept."""

from __future__ import annotations

from dataclasses import dataclass

from etude.core.plain import Plain


@dataclass(frozen=True, kw_only=True)
class Interval(Plain):
    """A 95 % interval."""

    low: float
    """Lower end, in the unit of what it is an interval of."""
    high: float
    """Upper end."""
