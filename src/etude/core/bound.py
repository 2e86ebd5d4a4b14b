"""A bound that a study sets for itself, and what came of it."""

from __future__ import annotations

from typing import Literal

from etude.core.interval import Interval
from etude.core.records import Config

BoundRule = Literal["ratio below", "gain above", "above", "below", "like photographs"]
"""What is bounded: a score over that of another candidate, the gain on it, the score itself, or a share of copies by
what photographs show."""

BoundOutcome = Literal["met", "not shown", "missed", "unknown"]
"""met: the whole interval keeps to the bound. missed: none of it does. not shown: it lies on both sides. unknown: there
is no such number."""


class Bound(Config):
    """A bound of `protocol.bounds`, and what came of it."""

    candidate: str
    """Name of the candidate."""
    metric: str
    """The metric that is bounded."""
    rule: BoundRule
    """What is bounded, and on which side."""
    limit: float | None = None
    """The bound, in the metric's unit, or as a ratio; none where photographs set it."""
    over: str = ""
    """Of a ratio or a gain, the candidate that it is over."""
    value: float | None = None
    """What was measured; none where it was not."""
    interval: Interval | None = None
    """95 % interval of it, by which it is judged; of copies, what photographs show."""
    outcome: BoundOutcome = "unknown"
    """What came of it."""
    early: bool = True
    """Whether it stood in the study file before any run of the study was finished."""
    judged_at: tuple[int, ...] = ()
    """With how many runs of the candidate it was judged each time that the plan was done: more than one number where
    runs were added once an outcome was known."""

    def is_same(self, other: Bound) -> bool:
        """Say whether another bound asks the same."""
        return self._asked == other._asked

    @property
    def _asked(self) -> tuple[str, str, str, float | None, str]:
        return (self.candidate, self.metric, self.rule, self.limit, self.over)
