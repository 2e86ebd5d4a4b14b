"""What the choice of test pictures leaves open, for candidates of one run or of many.

Runs over seeds answer the same pictures, folds different ones: pictures are drawn by their ids, and each run sees those
of its own, so that what one picture does to several runs is counted once. A run counts by the share of its pictures
that were drawn. The answers of one candidate, or of the two that are compared, are held at a time. Pictures of one
group, such as frames of a sequence, are drawn together (`etude.metrics.statistics.redrawing`).
Shapes: U pictures in all, N of a run, R replicates.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
import numpy.typing as npt

from etude.core.errors import DataError, sentence
from etude.core.interval import Interval
from etude.core.seeds import derive
from etude.core.study_record import Ratio, Resampling
from etude.core.texts import number_texts
from etude.evaluate.generated import GeneratedFeatures
from etude.evaluate.related import Related
from etude.evaluate.run_result import RunResult
from etude.evaluate.scores import Answers, metric_of
from etude.metrics.generation import COPY_LIMITS, FeatureMetric
from etude.metrics.near_copies import shares_of_photographs
from etude.metrics.statistics import (
    PictureComparison,
    Redrawing,
    Redrawn,
    bootstrap_interval,
    paired_bootstrap,
)

_UNEVEN = 0.02
"""Test parts whose sizes differ by less than this share count as of one size."""

Positions = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]
_TestPart = tuple[int | None, frozenset[str]]
"""A fold, and the ids of the photographs that it holds out."""


def interval_over_pictures(runs: Sequence[RunResult], metric: str, seed: int = 0) -> Interval | None:
    """95 % interval over test pictures of the mean score of the runs.

    By the percentile bootstrap; of generated pictures by what `FeatureMetric.resampling` says.

    Args:
        runs: at least one, of one candidate.
        metric: name.
        seed: the same seed gives the same interval.

    Returns:
        The interval; none where a measure of generated pictures has no honest one or shows no spread, or where the
        score exists in too few of the draws.

    Raises:
        DataError: if a score does not exist.
    """
    return _Pictures.of_runs(runs).interval(metric, seed)


def resampling_of(runs: Sequence[RunResult]) -> Resampling | None:
    """Return how the intervals over the test pictures of some runs resample them; none: single pictures, or no run."""
    if not any(run.groups for run in runs):
        return None
    related = _Pictures.of_runs(runs).related
    return None if related is None else related.resampling


def interval_of(
    answers: Sequence[Answers], metric: str, seed: int = 0, *, groups: Mapping[str, str] | None = None
) -> Interval | None:
    """Return the same of what one run or several answered."""
    return _Pictures.of_answers(answers, groups).interval(metric, seed)


def compare_over_pictures(
    a: Sequence[RunResult], b: Sequence[RunResult], metric: str, seed: int = 0
) -> PictureComparison | None:
    """Compare the mean scores of two candidates by resampling the test pictures for both together.

    Args:
        a: runs of one candidate, paired with those of `b`.
        b: runs of the other.
        metric: name; the gain is a minus b in its unit, whatever its direction.
        seed: the same seed gives the same result.

    Returns:
        The comparison; none where `interval_over_pictures` would give none.

    Raises:
        DataError: if two paired runs answered different pictures, or a score does not exist.
    """
    pictures = _Pictures.of_runs((*a, *b))
    for run_a, run_b, here, there in zip(
        a, b, pictures.positions[: len(a)], pictures.positions[len(a) :], strict=True
    ):  # fmt: skip
        if not np.array_equal(np.sort(here), np.sort(there)):
            name = f"the test pictures of {run_a.record.candidate} and {run_b.record.candidate}"
            common = f"{len(np.intersect1d(here, there))} in common of {len(here)} and {len(there)}"
            raise DataError(sentence("evaluate", name, "the same", common, "Compare candidates on the same split."))
    return pictures.compare(metric, seed)


def gain_of(
    a: Answers, b: Answers, metric: str, seed: int = 0, *, groups: Mapping[str, str] | None = None
) -> PictureComparison | None:
    """Return the same of two answers about the same pictures, such as those of a network and of its export."""
    return _Pictures.of_answers([a, b], groups).compare(metric, seed)


def loss_of(
    whole: Answers,
    altered: Sequence[Answers],
    metric: str,
    seed: int = 0,
    *,
    groups: Mapping[str, str] | None = None,
) -> Interval | None:
    """95 % interval of what an alteration that was tried several times takes off a score, in the mean.

    Args:
        whole: answers without it.
        altered: answers about the same pictures, of each try; tries are drawn anew with the pictures.
        metric: name; the loss is `whole` minus `altered` in its unit, whatever its direction.
        seed: the same seed gives the same interval.
        groups: group of each picture by its id.

    Returns:
        The interval; none with one picture, or where the score exists in too few of the draws.
    """
    if len(whole.ids) < 2:
        return None
    redrawn = [
        _Pictures.of_answers([whole, one], groups).draw(metric, derive(seed, "pictures"), np.array([1.0, -1.0]))
        for one in altered
    ]
    loss = whole.score(metric) - float(np.mean([one.score(metric) for one in altered]))
    reach = metric_of(metric).high - metric_of(metric).low
    return Redrawn.of_repeats(redrawn, derive(seed, "tries")).interval(loss, -reach, reach)


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
        The ratio; none where the interval of what it is divided by does not lie above 0, or that of the ratio has no
        end.

    Raises:
        DataError: if a score does not exist.
    """
    pictures = _Pictures.of_runs((*a, *b))
    ours, theirs = pictures.side(slice(0, len(a))), pictures.side(slice(len(a), None))
    score, divisor = ours.score(metric), theirs.score(metric)
    drawn, drawn_divisor = ours.draw(metric, seed), theirs.draw(metric, seed)
    interval = drawn_divisor.interval(divisor)
    if interval is None or interval.low <= 0 or divisor <= 0:
        return None
    lowest = 0.0 if metric_of(metric).low >= 0 else -math.inf
    interval = drawn.over(drawn_divisor).interval(score / divisor, lowest)
    if interval is None or math.isinf(interval.high):
        return None
    pairs = [(one.score(metric), other.score(metric)) for one, other in zip(a, b, strict=True)]
    each = tuple(one / other for one, other in pairs) if all(other > 0 for _, other in pairs) else ()
    return Ratio(value=score / divisor, interval=interval, runs=each)


def photographs_instead(runs: Sequence[RunResult], metric: str) -> Interval | None:
    """Return between what ends the mean share of near copies would lie in 95 of 100 draws, were nothing copied.

    Several deals of the same photographs into folds tell no more of them than one: what a deal leaves open is not
    averaged away over deals. Their ends are averaged instead, which is on the safe side.

    Args:
        runs: of one candidate, of generated pictures: those that have one test part share what is drawn of it.
        metric: one of `COPY_LIMITS`.

    Returns:
        The interval; none where photographs are of groups: those of one are no draws of their own.
    """
    if resampling_of(runs) is not None:
        return None
    generated: dict[_TestPart, list[int]] = {}
    for run in runs:
        answers = run.open_test()
        assert isinstance(answers, GeneratedFeatures)
        part = run.record.fold, frozenset(answers.ids.tolist())
        generated.setdefault(part, []).append(len(answers.sets.generated_MD))
    found = []
    for deal in _deals(generated):
        counted = [(len(part[1]), generated[part]) for part in deal]
        weight = sum(len(counts) for _, counts in counted) / len(runs)
        found.append((weight, shares_of_photographs(counted, limit=COPY_LIMITS[metric])))
    return Interval(
        low=sum(weight * ends.low for weight, ends in found), high=sum(weight * ends.high for weight, ends in found)
    )


def _deals(parts: Iterable[_TestPart]) -> list[list[_TestPart]]:
    """Gather test parts, each of a fold, into deals within which no two have a photograph in common."""
    deals: list[list[_TestPart]] = []
    for part in parts:
        free = (deal for deal in deals if all(part[1].isdisjoint(ids) for _, ids in deal))
        found = next(free, None)
        if found is None:
            deals.append([part])
        else:
            found.append(part)
    return deals


def aligned_values(a: RunResult, b: RunResult, metric: str) -> tuple[Doubles, Doubles] | None:
    """Return two runs' values of the same pictures in the same order, each (N,); none where the metric is no mean."""
    pictures = _Pictures.of_answers([a.open_test(), b.open_test()], None)
    values_a, values_b = (pictures.side(slice(at, at + 1)).values(metric) for at in (0, 1))
    return None if values_a is None or values_b is None else (values_a, values_b)


@dataclass(frozen=True, eq=False)
class _Pictures:
    """The test pictures of some runs, and what the runs answered about them."""

    answers: Sequence[Answers]
    positions: Sequence[Positions]
    """For each run the numbers (N,) of its pictures, in its own order."""
    n_pictures: int
    """U."""
    related: Related | None
    """Which of them are of one group; none where no two are, or the runs know no groups."""

    @classmethod
    def of_runs(cls, runs: Sequence[RunResult]) -> Self:
        groups = next((run.groups for run in runs if run.groups), None)
        return cls.of_answers([run.open_test() for run in runs], groups)

    @classmethod
    def of_answers(cls, answers: Sequence[Answers], groups: Mapping[str, str] | None) -> Self:
        positions, n_pictures = _number_pictures(answers)
        ids_U = np.empty(n_pictures, object)
        if groups:
            for entry, at in zip(answers, positions, strict=True):
                ids_U[at] = entry.ids.astype(object)
        return cls(answers, positions, n_pictures, Related.find(ids_U, groups))

    def side(self, at: slice) -> _Pictures:
        """Some of the runs; the pictures that are drawn remain all."""
        return _Pictures(self.answers[at], self.positions[at], self.n_pictures, self.related)

    def score(self, metric: str) -> float:
        """Return the mean score of the runs."""
        return float(np.mean([entry.score(metric) for entry in self.answers]))

    def interval(self, metric: str, seed: int) -> Interval | None:
        """Return the 95 % interval of the mean score."""
        values_U = self.values(metric)
        if values_U is not None and self.related is None:
            return bootstrap_interval(values_U, seed=seed)
        known = metric_of(metric)
        return self.draw(metric, seed).interval(self.score(metric), known.low, known.high)

    def compare(self, metric: str, seed: int) -> PictureComparison | None:
        """Compare the first half of the runs with the second, which answered the same pictures, run by run."""
        half = len(self.answers) // 2
        ours, theirs = self.side(slice(0, half)), self.side(slice(half, None))
        values_a, values_b = ours.values(metric), theirs.values(metric)
        if values_a is not None and values_b is not None and self.related is None:
            return paired_bootstrap(values_a, values_b, seed=seed)
        gain = ours.score(metric) - theirs.score(metric)
        drawn = self.draw(metric, seed, np.repeat([1.0, -1.0], half) / half)
        reach = metric_of(metric).high - metric_of(metric).low
        interval, p = drawn.interval(gain, -reach, reach), drawn.p(gain)
        return None if interval is None or p is None else PictureComparison(gain, interval.low, interval.high, p)

    def draw(self, metric: str, seed: int, shares: Doubles | None = None) -> Redrawn:
        """Return the sum of the runs' scores times their shares with the pictures drawn anew; none given: the mean."""
        shares_r = np.full(len(self.answers), 1 / len(self.answers)) if shares is None else shares
        alike = all(at is self.positions[0] for at in self.positions)

        def statistic(weights_RU: Doubles) -> Doubles:
            own_rRN = [weights_RU if _is_whole(at, self.n_pictures) else weights_RU[:, at] for at in self.positions]
            scores_rR = np.stack(
                [entry.under_weights(metric, own_RN) for entry, own_RN in zip(self.answers, own_rRN, strict=True)]
            )
            if alike:
                summed_R: Doubles = shares_r @ scores_rR
                return summed_R
            # A run of whose pictures few are drawn says little, and one of which none is drawn nothing.
            drawn_rR = np.stack([own_RN.mean(1) for own_RN in own_rRN]) * np.abs(shares_r)[:, None]
            parts_rR = np.sign(shares_r)[:, None] * drawn_rR * np.where(drawn_rR > 0, scores_rR, 0.0)
            normalised_R: Doubles = parts_rR.sum(0) * (np.abs(shares_r).sum() / drawn_rR.sum(0))
            return normalised_R

        way = way_of_drawing(metric)
        if self.related is not None:
            return self.related.draw(statistic, seed, way)
        return Redrawing(self.n_pictures, way).draw(statistic, seed)

    def values(self, metric: str) -> Doubles | None:
        """Return values (U,) whose mean is the mean score of the runs.

        None where the metric is no mean over pictures, or where pictures are answered unequally often or test parts
        differ in size: then the score of a run is a ratio, which `draw` resamples.
        """
        sizes = [len(at) for at in self.positions]
        times_U = np.bincount(np.concatenate(self.positions), minlength=self.n_pictures)
        if np.ptp(times_U) > 0 or max(sizes) - min(sizes) > _UNEVEN * max(sizes):
            return None
        values_U = np.zeros(self.n_pictures)
        for entry, at in zip(self.answers, self.positions, strict=True):
            values_N = entry.values_of_pictures(metric)
            if values_N is None:
                return None
            values_U[at] += values_N * (self.n_pictures / len(self.answers) / len(at))
        return values_U


def _number_pictures(answers: Sequence[Answers]) -> tuple[list[Positions], int]:
    """Number the pictures that any run answered; return each run's numbers (N,), in its own order, and how many."""
    ids = [entry.ids for entry in answers]
    if all(np.array_equal(ids[0], other) for other in ids[1:]):
        return [np.arange(len(ids[0]))] * len(ids), len(ids[0])
    distinct, inverse = number_texts(np.concatenate(ids))
    return np.split(inverse, np.cumsum([len(entry) for entry in ids])[:-1]), len(distinct)


def way_of_drawing(metric: str) -> Literal["bootstrap", "jackknife", "none"]:
    """Return how the pictures are drawn anew for the interval of a metric."""
    found = metric_of(metric)
    return found.resampling if isinstance(found, FeatureMetric) else "bootstrap"


def _is_whole(positions: Positions, n_pictures: int) -> bool:
    """Whether a run answered all pictures in the common order, so that nothing need be picked."""
    return len(positions) == n_pictures and bool((np.diff(positions) == 1).all())
