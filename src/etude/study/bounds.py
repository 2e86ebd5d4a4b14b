"""Bounds that a study sets for itself before it is run: `protocol.bounds` in a study file, judged by intervals."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Self

from pydantic import Field, field_validator, model_validator

from etude.core.bound import Bound, BoundOutcome, BoundRule
from etude.core.interval import Interval
from etude.core.records import Config
from etude.core.registry import unknown
from etude.evaluate.pictures import interval_over_pictures
from etude.metrics.generation import COPY_LIMITS, GENERATION_METRICS
from etude.metrics.registry import METRICS, SEGMENTATION_METRICS

if TYPE_CHECKING:
    from etude.core.study_record import LeaderboardRow, RunRef, StudyRecord, Verdict
    from etude.evaluate.run_result import RunResult
    from etude.study.file import StudyConfig

_METRICS: Final = (*METRICS, *SEGMENTATION_METRICS, *GENERATION_METRICS)
_RULES: Final[dict[str, BoundRule]] = {
    "ratio_below": "ratio below",
    "gain_above": "gain above",
    "above": "above",
    "below": "below",
    "like_photographs": "like photographs",
}


class BoundConfig(Config):
    """What a candidate is to reach, said before the run; reports say whether it did."""

    candidate: str
    """Name of the candidate."""
    metric: str | None = None
    """For `above`, `below` and `like_photographs`, the metric; by default the study's."""
    over: str | None = None
    """For `ratio_below` and `gain_above`, the candidate that it is compared with; by default the baseline."""
    ratio_below: float | None = Field(default=None, gt=0)
    """For generators: its score over that of the other lies below this, upper end of the interval."""
    gain_above: float | None = None
    """Its gain lies above this, lower end of the interval."""
    above: float | None = None
    """Its score lies above this, lower end of the interval."""
    below: float | None = None
    """Its score lies below this, upper end of the interval."""
    like_photographs: bool | None = None
    """For generators: no more near (or closest) copies than held-out photographs show."""

    @field_validator("metric")
    @classmethod
    def _known(cls, value: str | None) -> str | None:
        if value is not None and value not in _METRICS:
            raise ValueError(unknown("metric", value, _METRICS))
        return value

    @model_validator(mode="after")
    def _one(self) -> Self:
        given = self._given
        if len(given) != 1:
            raise ValueError(f"must have one of {', '.join(_RULES)}. Got {', '.join(given) or 'none'}.")
        if self.metric is not None and given[0] in ("ratio_below", "gain_above"):
            raise ValueError(
                f"{given[0]} is of the study's metric, which is the one that is compared. Leave metric out."
            )
        if self.over is not None and given[0] not in ("ratio_below", "gain_above"):
            raise ValueError(f"{given[0]} is of one candidate. Leave over out.")
        if given[0] == "like_photographs" and self.metric not in COPY_LIMITS:
            raise ValueError(f"like_photographs goes with metric: {' or '.join(COPY_LIMITS)}.")
        return self

    @property
    def rule(self) -> BoundRule:
        """What is bounded, and on which side."""
        return _RULES[self._given[0]]

    @property
    def compares(self) -> bool:
        """Whether it is of two candidates."""
        return self.rule in ("ratio below", "gain above")

    @property
    def _given(self) -> list[str]:
        return [name for name in _RULES if (value := getattr(self, name)) is not None and value is not False]

    @property
    def limit(self) -> float | None:
        """The bound; none where photographs set it."""
        given = (self.ratio_below, self.gain_above, self.above, self.below)
        return next((value for value in given if value is not None), None)


def check_bounds(study: StudyConfig) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Give what bounds ask that this study cannot tell, with the path in the file."""
    recorded = (study.protocol.metric, *study.protocol.also)
    for place, bound in enumerate(study.protocol.bounds):
        path = ("protocol", "bounds", place)
        for field in ("candidate", "over"):
            name = getattr(bound, field)
            if name is not None and name not in study.candidates:
                yield (*path, field), unknown("candidate", name, list(study.candidates))
        if bound.metric is not None and bound.metric not in recorded:
            yield (*path, "metric"), f"{bound.metric} is not recorded. Add it to protocol.also."
        if bound.rule in ("ratio below", "like photographs") and study.task != "generation":
            yield path, f"{bound.rule} is for generators. Give gain_above, above or below."


def judge_bounds(
    study: StudyConfig,
    baseline: str,
    before: StudyRecord | None,
    runs: Mapping[str, Sequence[RunResult]],
    rows: Sequence[LeaderboardRow],
    verdicts: Sequence[Verdict],
    refs: Sequence[RunRef] = (),
) -> tuple[Bound, ...]:
    """Say of each bound of the study what came of it so far.

    Args:
        study: the study file, its ablations expanded.
        baseline: the study's baseline.
        before: the study's record as it stood, which tells which bounds are older than the runs; none at first, or
            where nobody can read it: then a bound is early only if no run is finished.
        runs: the finished runs by candidate.
        rows: the leaderboard.
        verdicts: the comparisons.
        refs: every run of the plan and where it stands.
    """
    found = []
    for asked in study.protocol.bounds:
        bound = Bound(
            candidate=asked.candidate,
            metric=asked.metric or study.protocol.metric,
            rule=asked.rule,
            limit=asked.limit,
            over=(asked.over or baseline) if asked.compares else "",
        )
        value, interval = _measured(bound, study.protocol.metric, runs, rows, verdicts)
        outcome = _judge(bound, value, interval)
        known = None if before is None else next((known for known in before.bounds if known.is_same(bound)), None)
        had_runs = any(ref.status == "finished" for ref in (refs if before is None else before.runs))
        judged_at = known.judged_at if known is not None else ()
        if outcome != "unknown" and not any(ref.status in ("planned", "running") for ref in refs):
            judged_at = tuple(dict.fromkeys([*judged_at, len(runs.get(bound.candidate, ()))]))
        found.append(
            bound.model_copy(
                update={
                    "value": value,
                    "interval": interval,
                    "outcome": outcome,
                    "early": not had_runs or (known is not None and known.early),
                    "judged_at": judged_at,
                }
            )
        )
    return tuple(found)


def _measured(
    bound: Bound,
    metric: str,
    runs: Mapping[str, Sequence[RunResult]],
    rows: Sequence[LeaderboardRow],
    verdicts: Sequence[Verdict],
) -> tuple[float | None, Interval | None]:
    """Return the number that is bounded and the interval by which it is judged, as far as there are such."""
    if bound.over:
        own = [v for v in verdicts if (v.candidate, v.baseline) == (bound.candidate, bound.over)]
        if not own:
            return None, None
        if bound.rule == "ratio below":
            return (None, None) if own[0].ratio is None else (own[0].ratio.value, own[0].ratio.interval)
        low, high = own[0].low, own[0].high
        return own[0].gain, None if low is None or high is None else Interval(low=low, high=high)
    row = next((row for row in rows if row.candidate == bound.candidate and row.score is not None), None)
    if row is None:
        return None, None
    score = row.score if bound.metric == metric else row.also.get(bound.metric)
    if score is None:  # some metrics have no value for some pictures
        return None, None
    if bound.rule == "like photographs":
        return score, row.of_photographs.get(bound.metric)
    if bound.metric == metric:
        return score, row.interval_pictures
    return score, interval_over_pictures(runs[bound.candidate], bound.metric)


def _judge(bound: Bound, value: float | None, interval: Interval | None) -> BoundOutcome:
    if value is None or interval is None:
        return "unknown"
    if bound.rule == "like photographs":  # the interval is that of what photographs show
        return "met" if value <= interval.high else "missed"
    assert bound.limit is not None
    if bound.rule in ("ratio below", "below"):
        return "met" if interval.high < bound.limit else "missed" if interval.low >= bound.limit else "not shown"
    return "met" if interval.low > bound.limit else "missed" if interval.high <= bound.limit else "not shown"
