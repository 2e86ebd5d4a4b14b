"""A finished run as evaluation takes it: its record, and its answers, at hand or to be loaded."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from etude.core.run_record import RunRecord
from etude.evaluate.scores import Answers


@dataclass(frozen=True, eq=False)
class RunResult:
    """A run and what it answered. A callable loads the answers when they are needed, and nobody keeps them."""

    record: RunRecord
    """The record of the run."""
    test: Answers | Callable[[], Answers]
    """Its answers on the test part."""
    validation: Answers | Callable[[], Answers] | None = None
    """Its answers on the validation part, where they are kept."""
    groups: Mapping[str, str] | None = None
    """Group of each picture by its id, where the source has groups: pictures of one are not independent evidence."""

    @property
    def pair(self) -> tuple[int, int | None]:
        """Seed and fold: runs of two candidates that share them are a pair."""
        return self.record.seed, self.record.fold

    def open_test(self) -> Answers:
        """Return the answers on the test part."""
        return self.test() if callable(self.test) else self.test

    def score(self, metric: str) -> float:
        """Return a score on the test part: the recorded one, or computed from the answers where none was recorded."""
        recorded = self.record.test.get(metric)
        return self.open_test().score(metric) if recorded is None else recorded
