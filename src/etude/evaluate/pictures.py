"""What the choice of test pictures leaves open, for candidates of one run or of many.

Runs over seeds answer the same pictures, folds different ones: pictures are drawn by their ids, and each run sees those
of its own, so that what one picture does to several runs is counted once. The answers of one candidate, or of the two
that are compared, are held at a time. Pictures of one group, such as frames of a sequence, are drawn together
(`etude.metrics.statistics.dependent`).
Shapes: U pictures in all, N of a run, R replicates.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from etude.core.errors import DataError, sentence
from etude.core.interval import Interval
from etude.core.study_record import Ratio, Resampling
from etude.core.texts import number_texts
from etude.evaluate.generated import GeneratedFeatures
from etude.evaluate.related import Related
from etude.evaluate.run_result import RunResult
from etude.evaluate.scores import Answers, metric_of
from etude.metrics.generation import FeatureMetric
from etude.metrics.near_copies import shares_of_photographs
from etude.metrics.statistics import (
    PictureComparison,
    bootstrap_interval,
    bootstrap_p,
    jackknife_interval,
    jackknife_weights,
    paired_bootstrap,
    percentile_interval,
    resampling_weights,
)

REPLICATES = 2_000
"""For metrics that are no mean over pictures; means take the statistics room's own number."""
_UNEVEN = 0.02
"""Test parts whose sizes differ by less than this share count as of one size."""

Positions = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]


def interval_over_pictures(runs: Sequence[RunResult], metric: str, seed: int = 0) -> Interval | None:
    """95 % interval over test pictures of the mean score of the runs.

    By the percentile bootstrap; of generated pictures by what `FeatureMetric.resampling` says.

    Args:
        runs: at least one, of one candidate.
        metric: name.
        seed: the same seed gives the same interval.

    Returns:
        The interval; none where a measure of generated pictures has no honest one, or shows no spread.

    Raises:
        DataError: if a score does not exist.
    """
    answers = [run.open_test() for run in runs]
    positions, n_pictures = _positions(answers)
    related = _related(runs, answers, positions, n_pictures)
    values_U = _values_of_pictures(answers, metric, positions, n_pictures)
    if values_U is not None and related is None:
        return bootstrap_interval(values_U, seed=seed)
    score = float(np.mean([one.score(metric) for one in answers]))
    replicates_R = _mean_replicates(answers, metric, positions, n_pictures, seed, related)
    return _interval(metric, score, replicates_R, related)


def resampling_of(runs: Sequence[RunResult]) -> Resampling | None:
    """Return how the intervals over the test pictures of some runs resample them; none: single pictures, or no run."""
    if not any(run.groups for run in runs):
        return None
    answers = [run.open_test() for run in runs]
    related = _related(runs, answers, *_positions(answers))
    return None if related is None else related.resampling


def interval_of(
    answers: Answers, metric: str, seed: int = 0, *, groups: Mapping[str, str] | None = None
) -> Interval | None:
    """Return the same of what a single run answered."""
    positions = [np.arange(len(answers))]
    related = Related.find(answers.ids.astype(object), groups)
    values_N = _values_of_pictures([answers], metric, positions, len(answers))
    if values_N is not None and related is None:
        return bootstrap_interval(values_N, seed=seed)
    drawn_R = _mean_replicates([answers], metric, positions, len(answers), seed, related)
    return _interval(metric, answers.score(metric), drawn_R, related)


def compare_over_pictures(
    a: Sequence[RunResult], b: Sequence[RunResult], metric: str, seed: int = 0
) -> PictureComparison:
    """Compare the mean scores of two candidates by resampling the test pictures for both together.

    Args:
        a: runs of one candidate, paired with those of `b`.
        b: runs of the other.
        metric: name; the gain is a minus b in its unit, whatever its direction.
        seed: the same seed gives the same result.

    Raises:
        DataError: if two paired runs answered different pictures, or a score does not exist.
    """
    answers = [run.open_test() for run in (*a, *b)]
    positions, n_pictures = _positions(answers)
    at_a, at_b = positions[: len(a)], positions[len(a) :]
    for run_a, run_b, here, there in zip(a, b, at_a, at_b, strict=True):
        if not np.array_equal(np.sort(here), np.sort(there)):
            name = f"the test pictures of {run_a.record.candidate} and {run_b.record.candidate}"
            common = f"{len(np.intersect1d(here, there))} in common of {len(here)} and {len(there)}"
            raise DataError(sentence("evaluate", name, "the same", common, "Compare candidates on the same split."))
    related = _related((*a, *b), answers, positions, n_pictures)
    values_a = _values_of_pictures(answers[: len(a)], metric, at_a, n_pictures)
    values_b = _values_of_pictures(answers[len(a) :], metric, at_b, n_pictures)
    if values_a is not None and values_b is not None and related is None:
        return paired_bootstrap(values_a, values_b, seed=seed)
    shares = np.repeat([1.0, -1.0], len(a)) / len(a)
    gain = float(shares @ [entry.score(metric) for entry in answers])
    weights = _weights(n_pictures, seed, related)
    gains_R = _replicates(answers, shares, metric, positions, n_pictures, weights)
    interval = percentile_interval(gains_R) if related is None else related.interval(gains_R)
    p = bootstrap_p(gains_R) if related is None else related.p(gains_R)
    return PictureComparison(gain, interval.low, interval.high, p)


def ratio_over_pictures(
    a: Sequence[RunResult], b: Sequence[RunResult], metric: str, seed: int = 0
) -> Ratio | None:  # fmt: skip
    """Return the mean score of some runs over that of others, by resampling the test pictures for both together.

    It says what the pictures leave open, given these trainings; what others would give stands in the verdict.

    Args:
        a: runs of one candidate, paired with those of `b`.
        b: runs of the other.
        metric: name, of a measure of generated pictures.
        seed: as for `interval_over_pictures`.

    Returns:
        The ratio; none where the interval of what it is divided by does not lie above 0, or there is no interval.

    Raises:
        DataError: if a score does not exist.
    """
    answers = [run.open_test() for run in (*a, *b)]
    positions, n_pictures = _positions(answers)
    sides = slice(0, len(a)), slice(len(a), None)
    score_a, score_b = (float(np.mean([one.score(metric) for one in answers[side]])) for side in sides)
    of_a, of_b = (
        _mean_replicates(answers[side], metric, positions[side], n_pictures, seed) for side in sides
    )  # fmt: skip
    divisor = _interval(metric, score_b, of_b)
    if divisor is None or divisor.low <= 0 or score_b <= 0:
        return None
    known_R = of_b > 0
    ratios_R = np.divide(of_a, of_b, out=np.full_like(of_a, np.nan), where=known_R)
    interval = _interval(metric, score_a / score_b, ratios_R)
    return None if interval is None else Ratio(value=score_a / score_b, interval=interval)


def photographs_instead(runs: Sequence[RunResult]) -> Interval:
    """Return between what ends the mean share of near copies would lie in 95 of 100 draws, were nothing copied.

    Args:
        runs: of one candidate, of generated pictures: those that have one test part share what is drawn of it.
    """
    generated: dict[tuple[str, ...], list[int]] = {}
    for run in runs:
        answers = run.open_test()
        assert isinstance(answers, GeneratedFeatures)
        generated.setdefault(tuple(answers.ids), []).append(len(answers.sets.generated_MD))
    return shares_of_photographs([(len(ids), counts) for ids, counts in generated.items()])


def aligned_values(a: RunResult, b: RunResult, metric: str) -> tuple[Doubles, Doubles] | None:
    """Return two runs' values of the same pictures in the same order, each (N,); none where the metric is no mean."""
    answers = [a.open_test(), b.open_test()]
    positions, n_pictures = _positions(answers)
    values_a = _values_of_pictures(answers[:1], metric, positions[:1], n_pictures)
    values_b = _values_of_pictures(answers[1:], metric, positions[1:], n_pictures)
    return None if values_a is None or values_b is None else (values_a, values_b)


def _positions(answers: Sequence[Answers]) -> tuple[list[Positions], int]:
    """Number the pictures that any run answered; return each run's numbers (N,), in its own order, and how many."""
    ids = [entry.ids for entry in answers]
    if all(np.array_equal(ids[0], other) for other in ids[1:]):
        return [np.arange(len(ids[0]))] * len(ids), len(ids[0])
    distinct, inverse = number_texts(np.concatenate(ids))
    return np.split(inverse, np.cumsum([len(entry) for entry in ids])[:-1]), len(distinct)


def _related(
    runs: Sequence[RunResult], answers: Sequence[Answers], positions: Sequence[Positions], n_pictures: int
) -> Related | None:
    """Look up which of the pictures are of one group; none where no two are, or the runs know no groups."""
    groups = next((run.groups for run in runs if run.groups), None)
    if not groups:
        return None
    ids_U = np.empty(n_pictures, object)
    for entry, at in zip(answers, positions, strict=True):
        ids_U[at] = entry.ids.astype(object)
    return Related.find(ids_U, groups)


def _values_of_pictures(
    answers: Sequence[Answers], metric: str, positions: Sequence[Positions], n_pictures: int
) -> Doubles | None:
    """Return values (U,) whose mean is the mean score of the runs.

    None where the metric is no mean over pictures, or where pictures are answered unequally often or test parts differ
    in size: then the score of a run is a ratio, which `_replicates` resamples.
    """
    sizes = [len(at) for at in positions]
    times_U = np.bincount(np.concatenate(positions), minlength=n_pictures)
    if np.ptp(times_U) > 0 or max(sizes) - min(sizes) > _UNEVEN * max(sizes):
        return None
    values_U = np.zeros(n_pictures)
    for entry, at in zip(answers, positions, strict=True):
        values_N = entry.values_of_pictures(metric)
        if values_N is None:
            return None
        values_U[at] += values_N * (n_pictures / len(answers) / len(at))
    return values_U


def _resampling(metric: str) -> str:
    """Return how the pictures are drawn anew for the interval of a metric: bootstrap, jackknife or none."""
    found = metric_of(metric)
    return found.resampling if isinstance(found, FeatureMetric) else "bootstrap"


def _interval(metric: str, value: float, replicates_R: Doubles, related: Related | None = None) -> Interval | None:
    """Return the interval about a value from what the redrawn pictures gave."""
    if _resampling(metric) == "bootstrap":
        return percentile_interval(replicates_R) if related is None else related.interval(replicates_R)
    return jackknife_interval(value, replicates_R)


def _mean_replicates(
    answers: Sequence[Answers],
    metric: str,
    positions: Sequence[Positions],
    n_pictures: int,
    seed: int,
    related: Related | None = None,
) -> Doubles:
    """Return the mean score of some runs (R,) with the pictures drawn anew; empty where the metric has no interval."""
    way = _resampling(metric)
    if way == "none":
        return np.zeros(0)
    bootstrap = _weights(n_pictures, seed, related)
    weights = bootstrap if way == "bootstrap" else [jackknife_weights(n_pictures, seed)]
    shares = np.full(len(answers), 1 / len(answers))
    return _replicates(answers, shares, metric, positions, n_pictures, weights)


def _weights(n_pictures: int, seed: int, related: Related | None) -> Iterator[Doubles]:
    """Draw how often each picture comes in each replicate, those of one group together."""
    return resampling_weights(n_pictures, REPLICATES, seed) if related is None else related.weights(seed)


def _replicates(
    answers: Sequence[Answers],
    shares: Doubles,
    metric: str,
    positions: Sequence[Positions],
    n_pictures: int,
    weights: Iterable[Doubles],
) -> Doubles:
    """Return the sum of the runs' scores times their shares, under each row of weights of the pictures. (R,)."""
    sums = []
    for weights_RU in weights:
        scores = [
            entry.under_weights(metric, weights_RU if _is_whole(at, n_pictures) else weights_RU[:, at])
            for entry, at in zip(answers, positions, strict=True)
        ]
        sums.append(shares @ np.stack(scores))
    return np.concatenate(sums)


def _is_whole(positions: Positions, n_pictures: int) -> bool:
    """Whether a run answered all pictures in the common order, so that nothing need be picked."""
    return len(positions) == n_pictures and bool((np.diff(positions) == 1).all())
