"""What was found of a generator's runs, taken together: means over the runs, and what chance gives of them."""

from __future__ import annotations

import functools
import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from etude.core.class_names import rename_classes
from etude.core.generation_record import GENERATION_FILE, GenerationRecord, NearPhotographs
from etude.core.interval import Interval
from etude.core.study_record import LeaderboardRow
from etude.metrics.copied import chance_over
from etude.report.reading import StudyResults

_BY_NUMBER = ("fid", "coverage")
"""Measures that compare between equal numbers of real pictures alone."""


@dataclass(frozen=True)
class Measured:
    """A candidate as it was measured, its runs taken together."""

    candidate: str
    values: dict[str, float]
    """Mean over the runs of each measure against held-out pictures."""
    intervals: dict[str, Interval]
    """95 % interval over the held-out pictures of all runs, of the measures that have one."""
    photographs: Mapping[str, Interval]
    """Between what ends its shares of near and of closest copies would lie if it gave fresh photographs."""
    records: tuple[GenerationRecord, ...]
    """What was found of each run; one or more."""

    def mean(self, name: str) -> float:
        """Return the mean over the runs of a number of their records."""
        return statistics.fmean(getattr(record, name) for record in self.records)

    @functools.cached_property
    def trained(self) -> tuple[float, Interval] | None:
        """Whose photographs its near pictures lie near: the share of training ones, and what chance would give.

        Mean over the runs that have such pictures, and what shuffles dealt for all of them at once give of that mean.
        None where no run has any, and in records of earlier versions.
        """
        found = [
            (record.near_trained, record.near_trained_chance, record.near_to)
            for record in self.records
            if record.near_trained is not None and record.near_trained_chance is not None
        ]
        if not found:
            return None
        share = statistics.fmean(share for share, _, _ in found)
        named = [near for _, _, near in found if near is not None]
        if len(found) > 1 and len(named) == len(found):
            return share, _chance_over(*(near.model_dump_json() for near in named))
        # Of one run as it was dealt then. Without names, as in format 6, the means of the ends: too wide for a mean.
        ends = [statistics.fmean(getattr(chance, end) for _, chance, _ in found) for end in ("low", "high")]
        return share, Interval(low=ends[0], high=ends[1])

    def near_photographs(self) -> int | None:
        """Return how many different photographs its near pictures lie nearest to, over all runs; none if unknown."""
        named = [record.near_to for record in self.records]
        if all(named):
            return len({item for near in named if near is not None for item in near.counts})
        return self.records[0].near_photographs if len(self.records) == 1 else None

    def outright(self) -> float:
        """Return the share of its pictures that are training photographs outright, mean over the runs.

        As many as are held-out ones outright are taken off: so plain are photographs that nobody copied. 0 in records
        of earlier versions, which do not tell it.
        """
        shares = [(record.outright_trained, record.outright_held_out) for record in self.records]
        return statistics.fmean((trained or 0.0) - (held_out or 0.0) for trained, held_out in shares)

    def trivial(self) -> dict[str, dict[str, float]]:
        """Return what trivial generators get, by generator and measure, mean over the runs."""
        found = [(one.name, one.scores) for record in self.records for one in record.trivial]
        return {
            name: _mean_each([scores for other, scores in found if other == name])
            for name in dict.fromkeys(name for name, _ in found)
        }

    def trivial_intervals(self, name: str) -> dict[str, Interval]:
        """Return the intervals of a trivial generator by measure, their ends the means over the runs.

        Pictures differ from fold to fold, so the interval of the mean is narrower: these are on the safe side.
        """
        return _mean_ends([one.intervals for record in self.records for one in record.trivial if one.name == name])

    def trivial_count(self, name: str) -> float | None:
        """Return how many pictures of a trivial generator were measured, mean over the runs; none if unknown."""
        counts = [one.n for record in self.records for one in record.trivial if one.name == name and one.n is not None]
        return statistics.fmean(counts) if counts else None

    def against_training(self) -> dict[str, float]:
        """Return the measures against the training pictures, means over the runs; what hangs on their number is not."""
        return _mean_each(
            [
                {one.name: one.against_training for one in record.measures if one.against_training is not None}
                for record in self.records
            ],
            without=_BY_NUMBER,
        )

    def intervals_against_training(self) -> dict[str, Interval]:
        """Return their intervals over the training pictures, of the ends the means over the runs."""
        return _mean_ends(
            [
                {one.name: one.interval_training for one in record.measures if one.interval_training is not None}
                for record in self.records
            ]
        )

    def classes(self) -> dict[str, dict[str, float]]:
        """Return the measures by class, mean over the runs that have it; nothing where classes were not asked for."""
        names = dict.fromkeys(name for record in self.records for name in record.classes)
        return {
            name: _mean_each([record.classes[name] for record in self.records if name in record.classes])
            for name in names
        }

    def class_intervals(self, name: str) -> dict[str, Interval]:
        """Return the intervals of a class by measure, over held-out pictures of it, of the ends the means."""
        return _mean_ends([record.class_intervals.get(name, {}) for record in self.records if name in record.classes])


def read_measured(study: StudyResults, row: LeaderboardRow) -> Measured | None:
    """Read what was found of a candidate's runs; none where nothing was kept."""
    paths = [study.folder / "runs" / run.identity / GENERATION_FILE for run in study.runs_of(row.candidate)]
    read = (GenerationRecord.load(path) for path in paths if path.is_file())
    records = tuple(rename_classes(record, study.called) for record in read)
    if not records:
        return None
    metric, ranked = study.record.metric, {} if row.score is None else {study.record.metric: row.score}
    values = _mean_each([{one.name: one.value for one in record.measures} for record in records])
    of_one = {one.name: one.interval for one in records[0].measures} if row.n_runs == 1 else {}
    of_one[metric] = row.interval_pictures
    intervals = {name: interval for name, interval in of_one.items() if interval is not None}
    return Measured(
        row.candidate, values | row.also | ranked, intervals, row.of_photographs, records
    )  # fmt: skip


@functools.lru_cache(maxsize=64)
def _chance_over(*runs: str) -> Interval:
    """Deal the photographs of some runs, given as JSON, once for all languages and formats."""
    return chance_over([NearPhotographs.model_validate_json(run) for run in runs])


def _mean_each(scores: Sequence[dict[str, float]], without: Collection[str] = ()) -> dict[str, float]:
    """Average by name over those that have it."""
    names = [name for name in dict.fromkeys(name for entry in scores for name in entry) if name not in without]
    return {name: statistics.fmean(entry[name] for entry in scores if name in entry) for name in names}


def _mean_ends(found: Sequence[dict[str, Interval]]) -> dict[str, Interval]:
    """Average the ends of intervals by measure, of those measures that all have."""
    shared = [metric for metric in found[0] if all(metric in entry for entry in found)] if found else []
    return {
        metric: Interval(
            low=statistics.fmean(entry[metric].low for entry in found),
            high=statistics.fmean(entry[metric].high for entry in found),
        )
        for metric in shared
    }
