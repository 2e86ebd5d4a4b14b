"""Many runs to one row a candidate, best first."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

from etude.core.errors import MistakeError
from etude.core.interval import Interval
from etude.core.run_record import Cost
from etude.core.study_record import LeaderboardRow
from etude.evaluate.pictures import interval_over_pictures, photographs_instead
from etude.evaluate.run_result import RunResult
from etude.evaluate.scores import metric_of
from etude.metrics.generation import COPY_LIMITS
from etude.metrics.statistics import t_interval


def leaderboard_rows(
    runs: Mapping[str, Sequence[RunResult]],
    metric: str,
    also: Sequence[str] = (),
    failed: Mapping[str, Sequence[str]] | None = None,
) -> list[LeaderboardRow]:
    """Sum up every candidate of a study.

    Args:
        runs: finished runs by candidate; a candidate without one has a row without a score.
        metric: the metric that ranks.
        also: further metrics, of which the row holds the mean; names of costs are columns anyway and are passed over.
        failed: sentences of the runs that failed, by candidate.

    Returns:
        Rows, the best score first in the metric's direction; rows without a score, or with NaN, last.
    """
    failures = failed or {}
    rows = [leaderboard_row(name, entries, metric, also, failures.get(name, ())) for name, entries in runs.items()]
    sign = -1.0 if metric_of(metric).higher_is_better else 1.0
    return sorted(rows, key=lambda row: math.inf if _missing(row.score) else sign * float(row.score or 0.0))


def leaderboard_row(
    candidate: str, runs: Sequence[RunResult], metric: str, also: Sequence[str] = (), failed: Sequence[str] = ()
) -> LeaderboardRow:
    """Sum up one candidate. Arguments as for `leaderboard_rows`."""
    if not runs:
        return LeaderboardRow(candidate=candidate, n_runs=0, score=None, failed=tuple(failed))
    scores = [run.score(metric) for run in runs]
    known = all(math.isfinite(value) for value in scores)
    records = [run.record for run in runs]
    costs = [record.cost for record in records]
    return LeaderboardRow(
        candidate=candidate,
        n_runs=len(runs),
        score=statistics.fmean(scores) if known else None,
        deviation=deviation_over_runs(runs, scores) if known else None,
        interval_runs=interval_over_runs(runs, metric) if known else None,
        interval_pictures=interval_over_pictures(runs, metric) if known else None,
        validation_score=_mean([record.validation.get(metric) for record in records]),
        train_score=_mean([record.train.get(metric) for record in records]),
        also=_also(runs, also),
        of_photographs={
            name: honest
            for name in COPY_LIMITS
            if name in (metric, *also) and (honest := photographs_instead(runs, name))
        },
        class_scores=_mean_each([record.test_classes for record in records]),
        category_scores=_mean_each([record.test_categories for record in records]),
        seconds=statistics.fmean(cost.seconds for cost in costs),
        seconds_to_best=statistics.fmean(cost.seconds_to_best for cost in costs),
        images_per_s=statistics.fmean(cost.images_per_s for cost in costs),
        # Where each fold has searched its own, the networks of a candidate differ.
        params=round(statistics.fmean(cost.params for cost in costs)),
        macs=round(statistics.fmean(cost.macs for cost in costs)),
        memory_mb=statistics.median(cost.memory_mb for cost in costs),
        own_memory_mb=_median_of_all([cost.own_memory_mb for cost in costs]),
        latency_ms=_median([cost.latency_ms for cost in costs]),
        latency_q1_ms=_median([cost.latency_q1_ms for cost in costs]),
        latency_q3_ms=_median([cost.latency_q3_ms for cost in costs]),
        size_mb=statistics.fmean(cost.size_mb for cost in costs),
        failed=tuple(failed),
    )


_COLUMNS = frozenset((*Cost.model_fields, *LeaderboardRow.model_fields))


def interval_over_runs(runs: Sequence[RunResult], metric: str) -> Interval | None:
    """95 % interval over seeds, or over folds, of the mean score (t).

    Seeds of one fold share its pictures and are averaged first; folds share training pictures, for which the interval
    is widened (Nadeau & Bengio 2003). It ends where the metric does: no mean score lies beyond.

    Returns:
        The interval; none with one run, or with folds of which only one is finished.
    """
    scores = [run.score(metric) for run in runs]
    if len({run.record.fold for run in runs}) == 1:
        found = t_interval(scores)
    else:
        found = t_interval(means_by_fold(runs, scores), test_to_train=test_to_train(runs))
    bounds = metric_of(metric)
    return found and Interval(low=max(found.low, bounds.low), high=min(found.high, bounds.high))


def deviation_over_runs(runs: Sequence[RunResult], scores: Sequence[float]) -> float | None:
    """Return the standard deviation (n - 1) over folds, seeds of one fold averaged, or over seeds; none with one."""
    several = len({run.record.fold for run in runs}) > 1
    values = means_by_fold(runs, scores) if several else list(scores)
    return statistics.stdev(values) if len(values) > 1 else None


def means_by_fold(runs: Sequence[RunResult], values: Sequence[float]) -> list[float]:
    """Average one value a run over the seeds of each fold; return them in the order in which the folds come."""
    by_fold: dict[int | None, list[float]] = {}
    for run, value in zip(runs, values, strict=True):
        by_fold.setdefault(run.record.fold, []).append(value)
    return [statistics.fmean(seeds) for seeds in by_fold.values()]


def test_to_train(runs: Sequence[RunResult]) -> float:
    """Return the mean size of the runs' test parts over that of their training parts.

    Where a candidate learns from some pictures of its training part only (`data.split.train_items`), the part counts:
    it is by parts that folds overlap, and what is drawn from them overlaps less.
    """
    tested = [run.open_test().ids.tolist() for run in runs]  # read once: the answers may lie on disk
    n_known = len({item for ids in tested for item in ids})
    parts = [_count_part(run, n_known - len(ids)) for run, ids in zip(runs, tested, strict=True)]
    return statistics.fmean(len(ids) / n_part for ids, n_part in zip(tested, parts, strict=True))


def _count_part(run: RunResult, n_others: int) -> int:
    """Return how many pictures the training part of a fold holds, where so many are tested in other folds alone."""
    record = run.record
    if record.config.get("data", {}).get("split", {}).get("train_items") is None:
        return record.n_train
    kept = run.validation if record.validation else None  # of generators without a validation part nothing is kept
    validation = kept() if callable(kept) else kept
    return max(record.n_train, n_others - (0 if validation is None else len(validation.ids)))


def _missing(value: float | None) -> bool:
    return value is None or math.isnan(value)


def _also(runs: Sequence[RunResult], names: Sequence[str]) -> dict[str, float]:
    """Return the means of further metrics; without one that does not exist here, or that a run did not count."""
    found = {}
    for name in names:
        if name in _COLUMNS:
            continue
        try:
            score = statistics.fmean(run.score(name) for run in runs)
        except MistakeError:  # contours are counted where they are asked for before the run is made
            continue
        if math.isfinite(score):
            found[name] = score
    return found


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def _mean_each(scores: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    """Average by name; none where a run has no such score."""
    names = dict.fromkeys(name for entry in scores for name in entry)
    return {name: _mean([entry.get(name) for entry in scores]) for name in names}


def _median_of_all(values: Sequence[float | None]) -> float | None:
    """Return the median; none where any is not known."""
    return None if None in values else _median(values)


def _median(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.median(known) if known else None
