"""Every candidate against the baseline: paired, corrected, in words."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

import numpy as np
import numpy.typing as npt

from etude.core.interval import Interval
from etude.core.study_record import Verdict
from etude.evaluate.leaderboard import means_by_fold, test_to_train
from etude.evaluate.pictures import aligned_values, compare_over_pictures, resampling_of, way_of_drawing
from etude.evaluate.run_result import RunResult
from etude.evaluate.scores import metric_of
from etude.metrics.generation import FeatureMetric
from etude.metrics.statistics import (
    ALPHA,
    POWER,
    AutoSeeds,
    Look,
    PairedTest,
    PictureComparison,
    corrected_resampled_t,
    holm,
    mcnemar_exact,
    mcnemar_interval,
    paired_t,
    sequential_t,
    smallest_detectable,
    standard_errors,
    t_interval,
    verdict,
)

_OVER_PICTURES = ("paired bootstrap", "paired jackknife", "exact McNemar")


@dataclass(frozen=True)
class Comparison:
    """One comparison before correction; the gain is signed so that more is better.

    Its interval is that of this comparison alone, at the level at which its own p-value is held; the correction for
    several comparisons is in the adjusted p-value, which decides.
    """

    method: str
    """Name of the test."""
    n_pairs: int
    """Pairs (same seed, same fold)."""
    gain: float
    """Mean of candidate minus baseline."""
    low: float | None
    """Lower end of the 95 % interval of the gain."""
    high: float | None
    """Upper end."""
    p: float | None
    """Two-sided p-value."""
    sd: float | None
    """Standard deviation of the differences that were averaged, over runs or over pictures."""
    n: int
    """How many were averaged; of dependent pictures, the groups or blocks that are drawn."""
    test_to_train: float = 0.0
    """For folds, the size of a test part over that of the training part."""
    level: float = ALPHA
    """Level that one look at one comparison has."""


def compare(
    runs: Mapping[str, Sequence[RunResult]],
    baseline: str,
    metric: str,
    *,
    auto: AutoSeeds | None = None,
    alpha: float = ALPHA,
) -> list[Verdict]:
    """Compare each candidate with the baseline over the runs that share seed and fold.

    Over seeds: the paired t-test (where seeds were added while looking, the one that allows for it). Over folds: the
    corrected resampled t-test, on the means over the seeds of a fold. With one pair, or where identical differences
    show no spread over runs: exact McNemar for the accuracy of one pair on independent pictures, else the paired
    bootstrap, and for measures that pictures drawn twice would distort the paired jackknife; they say what the test
    pictures leave open, not what another training would give. Holm's correction goes over all of them. A test over runs
    is told with the interval over pictures beside it, which decides nothing.

    Args:
        runs: finished runs by candidate, the baseline's among them.
        baseline: name of the candidate that the others are compared with.
        metric: name; its direction is respected.
        auto: the rule by which seeds were added, for `seeds: auto`.
        alpha: level of the verdicts.

    Returns:
        One verdict for each other candidate that has a pair, in the order given; none where a score does not exist.

    Raises:
        DataError: if two paired runs answered different pictures.
    """
    pairs = {name: pair_runs(runs[name], runs[baseline]) for name in runs if name != baseline}
    comparisons = {
        name: compare_pairs(*pair, metric, auto) for name, pair in pairs.items() if pair[0] and _exists(pair, metric)
    }
    adjusted = holm([entry.p for entry in comparisons.values()])
    return [
        Verdict(
            baseline=baseline,
            candidate=name,
            metric=metric,
            n_pairs=entry.n_pairs,
            gain=entry.gain,
            low=entry.low,
            high=entry.high,
            p=entry.p,
            p_adjusted=p_adjusted,
            verdict=verdict(entry.gain, p_adjusted, alpha),
            smallest_detectable=_smallest_detectable(entry, len(comparisons)),
            method=entry.method,
            pictures=None if entry.method in _OVER_PICTURES else _interval_over_pictures(*pairs[name], metric),
        )
        for (name, entry), p_adjusted in zip(comparisons.items(), adjusted, strict=True)
    ]


def _exists(pair: tuple[Sequence[RunResult], Sequence[RunResult]], metric: str) -> bool:
    """Whether every run has a score: of two classes, a test part may hold one only."""
    return all(math.isfinite(run.score(metric)) for runs in pair for run in runs)


def look_at_seeds(
    runs: Mapping[str, Sequence[RunResult]], baseline: str, metric: str, auto: AutoSeeds
) -> Look | None:  # fmt: skip
    """Look whether the seeds so far are enough, by the rule of `seeds: auto`.

    Args:
        runs: as for `compare`.
        baseline: as for `compare`.
        metric: name; its direction is respected.
        auto: the rule.

    Returns:
        What the look says; none where there is no pair to compare.

    Raises:
        DataError: if a score does not exist.
    """
    sign = 1.0 if metric_of(metric).higher_is_better else -1.0
    pairs = {name: pair_runs(runs[name], runs[baseline]) for name in runs if name != baseline}
    scores = {
        name: ([sign * run.score(metric) for run in ours], [sign * run.score(metric) for run in theirs])
        for name, (ours, theirs) in pairs.items()
        if ours
    }
    return auto.look(scores) if scores else None


def pair_runs(candidate: Sequence[RunResult], baseline: Sequence[RunResult]) -> tuple[list[RunResult], list[RunResult]]:
    """Return the runs of both that share seed and fold, in the same order: by fold, then by seed."""
    ours, theirs = ({run.pair: run for run in runs} for runs in (candidate, baseline))
    shared = sorted(ours.keys() & theirs.keys(), key=lambda pair: (-1 if pair[1] is None else pair[1], pair[0]))
    return [ours[pair] for pair in shared], [theirs[pair] for pair in shared]


def compare_pairs(
    candidate: Sequence[RunResult], baseline: Sequence[RunResult], metric: str, auto: AutoSeeds | None = None
) -> Comparison:
    """Compare two candidates over runs that are paired already; `compare` says by which test."""
    sign = 1.0 if metric_of(metric).higher_is_better else -1.0
    ours, theirs = ([sign * run.score(metric) for run in runs] for runs in (candidate, baseline))
    folds = [run.record.fold for run in candidate]
    if len(set(folds)) > 1:
        found = _over_folds(candidate, ours, theirs)
    elif auto is not None:
        found = _over_looks(ours, theirs, auto)
    else:
        found = _from_test("paired t", paired_t(ours, theirs), len(ours))
    if found.p is None and (auto is None or len(ours) >= auto.first):
        return _over_pictures(candidate, baseline, metric)
    return _within_reach(found, metric)


def ratio_over_runs(candidate: Sequence[RunResult], baseline: Sequence[RunResult], metric: str) -> Interval | None:
    """95 % interval of a candidate's score over that of what it is compared with, over folds or seeds.

    A ratio below 1 has no room that one above 1 has: the t is of the logarithms, and the interval around their mean.
    Seeds of a fold are averaged before; over folds the variance is corrected as by `corrected_resampled_t`.

    Args:
        candidate: runs of one candidate, paired with those of `baseline`.
        baseline: runs of the other.
        metric: name.

    Returns:
        The interval; none with one fold or seed, or where a score does not lie above 0.
    """
    sides = [[run.score(metric) for run in runs] for runs in (candidate, baseline)]
    is_folded = len({run.record.fold for run in candidate}) > 1
    if is_folded:
        sides = [means_by_fold(candidate, scores) for scores in sides]
    ours, theirs = (np.array(scores) for scores in sides)
    if len(ours) < 2 or not (np.all(ours > 0) and np.all(theirs > 0)):
        return None
    shared = test_to_train(candidate) if is_folded else 0.0
    found = t_interval(np.log(ours / theirs).tolist(), test_to_train=shared)
    return None if found is None else Interval(low=math.exp(found.low), high=math.exp(found.high))


def _within_reach(found: Comparison, metric: str) -> Comparison:
    """End the interval of a gain where the metric does: no two scores differ by more than its range."""
    if found.low is None or found.high is None:
        return found
    reach = metric_of(metric).high - metric_of(metric).low
    return replace(found, low=max(found.low, -reach), high=min(found.high, reach))


def _over_folds(candidate: Sequence[RunResult], ours: Sequence[float], theirs: Sequence[float]) -> Comparison:
    ratio = test_to_train(candidate)
    test = corrected_resampled_t(means_by_fold(candidate, ours), means_by_fold(candidate, theirs), 1.0, ratio)
    return _from_test("corrected resampled t", test, len(ours), ratio)


def _over_looks(ours: Sequence[float], theirs: Sequence[float], auto: AutoSeeds) -> Comparison:
    test = sequential_t(ours, theirs, auto.first, auto.most, auto.alpha)
    level = auto.level_at(len(ours)) if test.p is not None else ALPHA
    return _from_test("sequential paired t", test, len(ours), level=level)


def _from_test(method: str, test: PairedTest, n_pairs: int, ratio: float = 0.0, level: float = ALPHA) -> Comparison:
    return Comparison(method, n_pairs, test.gain, test.low, test.high, test.p, test.sd, test.n_pairs, ratio, level)


def _interval_over_pictures(
    candidate: Sequence[RunResult], baseline: Sequence[RunResult], metric: str
) -> Interval | None:  # fmt: skip
    """Return the interval of the gain over the test pictures; none for generators, whose ratio has one."""
    if isinstance(metric_of(metric), FeatureMetric):
        return None
    found = _gain_over_pictures(candidate, baseline, metric)
    return None if found is None else Interval(low=found.low, high=found.high)


def _gain_over_pictures(
    candidate: Sequence[RunResult], baseline: Sequence[RunResult], metric: str
) -> PictureComparison | None:  # fmt: skip
    """Compare over the test pictures, if they allow it; the gain is signed so that more is better."""
    if metric_of(metric).higher_is_better:
        return compare_over_pictures(candidate, baseline, metric)
    return compare_over_pictures(baseline, candidate, metric)


def _over_pictures(candidate: Sequence[RunResult], baseline: Sequence[RunResult], metric: str) -> Comparison:
    """Compare over the pictures of the test part: for one pair, or for runs that do not vary."""
    found = _gain_over_pictures(candidate, baseline, metric)
    method = "paired jackknife" if way_of_drawing(metric) == "jackknife" else "paired bootstrap"
    if found is None:
        sign = 1.0 if metric_of(metric).higher_is_better else -1.0
        gain = sign * fmean(
            ours.score(metric) - theirs.score(metric) for ours, theirs in zip(candidate, baseline, strict=True)
        )
        return Comparison(method, len(candidate), gain, None, None, None, None, 0)
    resampling = resampling_of([*candidate, *baseline])
    n_drawn = len(candidate[0].open_test().ids) if resampling is None else resampling.drawn
    # A score that is no mean has no deviation of its own: half the interval is so many standard errors.
    sd = (found.high - found.low) / 2 / standard_errors(n_drawn) * n_drawn**0.5
    over_pictures = Comparison(method, len(candidate), found.gain, found.low, found.high, found.p, sd, n_drawn)
    # The exact test takes pictures for independent of each other.
    if metric == "accuracy" and len(candidate) == 1 and resampling is None:
        values = aligned_values(candidate[0], baseline[0], metric)
        if values is not None:
            return _by_mcnemar(over_pictures, values[0] > 0, values[1] > 0)
    return over_pictures


def _by_mcnemar(
    found: Comparison, right_N: npt.NDArray[np.bool_], baseline_right_N: npt.NDArray[np.bool_]
) -> Comparison:
    """Let the exact test decide, and widen the bootstrap's interval to all that this test leaves open.

    The bootstrap is bolder than the exact test: its interval alone would leave out a zero that the test does not.
    """
    assert found.low is not None
    assert found.high is not None
    exact = mcnemar_interval(right_N, baseline_right_N)
    return replace(
        found,
        method="exact McNemar",
        p=mcnemar_exact(right_N, baseline_right_N),
        low=min(found.low, exact.low),
        high=max(found.high, exact.high),
    )


def _smallest_detectable(entry: Comparison, n_comparisons: int) -> float | None:
    """Smallest gain that would be shown 8 times out of 10, were this comparison the first that Holm looks at."""
    if entry.sd is None:
        return None
    return smallest_detectable(entry.sd, entry.n, entry.level / n_comparisons, POWER, entry.test_to_train)
