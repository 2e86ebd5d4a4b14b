"""What a study will take and what it can show, before anything is trained."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence

from etude.core.records import Config
from etude.core.search_record import SearchRecord
from etude.core.study_record import AblationGroup, RunRef
from etude.core.words import Part
from etude.evaluate.leaderboard import leaderboard_row
from etude.evaluate.overfitting import gap_of
from etude.evaluate.run_result import RunResult
from etude.evaluate.scores import metric_of
from etude.evaluate.verdicts import compare_pairs, pair_runs
from etude.metrics.statistics import ALPHA, POWER, smallest_detectable
from etude.study.ablations import expand_ablations
from etude.study.combining import count_members, count_trainings
from etude.study.file import StudyConfig
from etude.study.guard import check_scores
from etude.study.resolve import Candidate
from etude.study.sides import sides_of
from etude.study.summary import finished_runs
from etude.study.timing import Timings
from etude.study.workspace import Workspace

ASSUMED_DEVIATION = 0.01
"""Standard deviation of paired differences that is assumed before two pairs are finished: 1 point of accuracy."""
ASSUMED_DISAGREEMENT = 0.2
"""Share of the pictures on which two candidates are assumed to differ, one being right and one wrong."""


class CandidatePlan(Config):
    """The runs of one candidate."""

    candidate: str
    """Name of the candidate."""
    n_runs: int
    """Runs of the plan."""
    n_left: int
    """Runs that are not finished."""
    steps: int | None = None
    """Optimiser steps of a run; none where nothing was timed."""
    step_ms: float | None = None
    """Milliseconds of a step, measured here."""
    memory_mb: float | None = None
    """MiB that training is expected to take; none where nothing was measured."""
    run_seconds: float | None = None
    """Seconds of a run: those of finished runs, else the estimate; none where neither is known."""
    is_real: bool = False
    """Whether the seconds are those of finished runs."""


class Resolution(Config):
    """The smallest difference that the comparisons of one group can be expected to show."""

    group: str
    """Name of the ablation; empty for the study's candidates."""
    baseline: str
    """The candidate that the others are compared with."""
    n_comparisons: int
    """Comparisons that Holm's correction goes over."""
    n_pairs: int
    """Independent pairs of each: seeds, or folds."""
    deviation: float
    """Standard deviation of the paired differences, in the metric's unit."""
    is_assumed: bool
    """Whether the deviation is assumed, for want of finished runs."""
    smallest: float | None
    """The smallest true difference that would be shown 8 times out of 10; none with one pair, and of generators before
    two are finished."""


class SearchPlan(Config):
    """The trials of one search, of all its folds."""

    candidate: str
    """The candidate that its best settings will make."""
    of: str
    """The candidate that it varies."""
    n_trials: int
    """Trials in all."""
    n_done: int
    """Trials that are done."""
    seconds_left: float | None = None
    """Seconds of the trials that are left, each as long as a run of `of`: pruned ones take less."""


class StudyPlan(Config):
    """What a study will train, in what order, how long it will take here, and what it can show."""

    study: str
    """Name of the study."""
    metric: str
    """The metric that is compared."""
    runs: tuple[RunRef, ...]
    """Every run, in the order of training."""
    candidates: tuple[CandidatePlan, ...]
    """What the runs of each candidate take."""
    seconds_left: float | None
    """Seconds of the runs that are left; none where a candidate's time is not known."""
    resolutions: tuple[Resolution, ...]
    """What each group of comparisons can be expected to show."""
    searches: tuple[SearchPlan, ...] = ()
    """The trials of each search; they come before the runs."""
    notes: tuple[str, ...] = ()
    """Sentences that a reader must know."""


def make_plan(
    study: StudyConfig,
    workspace: Workspace,
    candidates: Mapping[str, Candidate],
    refs: Sequence[RunRef],
    *,
    measure: bool = True,
    searches: Sequence[SearchRecord] = (),
) -> StudyPlan:
    """Work out the plan of a study.

    Args:
        study: the study.
        workspace: its opened data.
        candidates: every candidate put together.
        refs: every run and where it stands.
        measure: whether to time a few steps of what was not timed before and has no finished run.
        searches: the study's searches as they stand.

    Raises:
        EtudeError: if the data or a network cannot be used.
    """
    check_scores(workspace)
    runs = finished_runs(study, workspace.folder, refs)
    timings = Timings(workspace)
    plans = []
    for name, candidate in candidates.items():
        own = [ref for ref in refs if ref.candidate == name]
        n_trainings = count_trainings(candidate, candidates.values())
        plans.append(_plan_candidate(candidate, own, runs[name], timings, measure=measure, n_trainings=n_trainings))
    times = [plan.run_seconds for plan in plans if plan.n_left]
    known = [seconds for seconds in times if seconds is not None]
    unfinished = {ref.identity or ref: ref.candidate for ref in refs if ref.status != "finished"}
    by_name = {plan.candidate: plan.run_seconds or 0.0 for plan in plans}
    trials = tuple(_plan_searches(searches, {plan.candidate: plan.run_seconds for plan in plans}))
    times += [search.seconds_left for search in trials]
    known += [search.seconds_left for search in trials if search.seconds_left is not None]
    groups = expand_ablations(study).groups
    return StudyPlan(
        study=study.study,
        metric=study.protocol.metric,
        runs=tuple(refs),
        candidates=tuple(plans),
        seconds_left=_sum_left(unfinished.values(), by_name, trials) if len(known) == len(times) else None,
        resolutions=tuple(_resolutions(study, workspace, runs, groups)),
        searches=trials,
        notes=tuple(_notes(study, runs, groups)),
    )


def _plan_candidate(
    candidate: Candidate,
    refs: Sequence[RunRef],
    runs: Sequence[RunResult],
    timings: Timings,
    *,
    measure: bool,
    n_trainings: int,
) -> CandidatePlan:
    """Work out what the runs of a candidate take; answering only, where another trains the very same network.

    What is answered again takes about as long as the answers at the end of the one training.
    """
    left = sum(ref.status != "finished" for ref in refs)
    time = timings.measured(candidate) if measure and left and not runs else timings.known(candidate)
    if n_trainings == 0:
        seconds = None if time is None else time.finish_s
        return CandidatePlan(candidate=candidate.name, n_runs=len(refs), n_left=left, steps=0, run_seconds=seconds)
    # The cost of a run counts the trainings that it shares with another candidate; they are not made again.
    share = n_trainings / count_members(candidate)
    real = share * statistics.fmean(run.record.cost.seconds for run in runs) if runs else None
    return CandidatePlan(
        candidate=candidate.name,
        n_runs=len(refs),
        n_left=left,
        steps=time.steps if time else runs[0].record.steps if runs else None,
        step_ms=1000 * time.step_s if time else None,
        memory_mb=time.memory_mb if time and time.memory_mb else None,
        run_seconds=real if real is not None else n_trainings * time.seconds if time else None,
        is_real=real is not None,
    )


def _plan_searches(
    searches: Sequence[SearchRecord], run_seconds: Mapping[str, float | None]
) -> Iterator[SearchPlan]:  # fmt: skip
    """Sum up the trials of each search over its folds."""
    for name in dict.fromkeys(search.candidate for search in searches):
        own = [search for search in searches if search.candidate == name]
        n_trials = sum(search.n_trials for search in own)
        n_done = sum(len(search.trials) - search.count("running") for search in own)
        a_run = run_seconds.get(own[0].of)
        seconds_left = 0.0 if n_done >= n_trials else None if a_run is None else (n_trials - n_done) * a_run
        yield SearchPlan(candidate=name, of=own[0].of, n_trials=n_trials, n_done=n_done, seconds_left=seconds_left)


def _sum_left(unfinished: Iterable[str], by_name: Mapping[str, float], searches: Sequence[SearchPlan]) -> float:
    """Add up the seconds of all runs and trials that are left."""
    return sum(by_name[name] for name in unfinished) + sum(search.seconds_left or 0.0 for search in searches)


def _resolutions(
    study: StudyConfig, workspace: Workspace, runs: Mapping[str, list[RunResult]], groups: Sequence[AblationGroup]
) -> Iterator[Resolution]:
    """Work out what each group of comparisons can show."""
    n_folds = len(workspace.splits)
    auto = study.protocol.auto
    n_pairs = n_folds if n_folds > 1 else auto.most if auto else len(study.protocol.seed_list)
    parts = workspace.splits[0]
    assumed = assume_deviation(study, int((parts == Part.TEST).sum()), n_folds)
    ratio = float((parts == Part.TEST).sum() / (parts == Part.TRAIN).sum()) if n_folds > 1 else 0.0
    for name, baseline, candidates in sides_of(study, groups):
        others = [candidate for candidate in candidates if candidate != baseline]
        if not others:
            continue
        deviations = list(_deviations(study, runs, baseline, others))
        deviation = statistics.median(deviations) if deviations else assumed
        level = (auto.level_at(n_pairs) if auto else ALPHA) / len(others)
        yield Resolution(
            group=name,
            baseline=baseline,
            n_comparisons=len(others),
            n_pairs=n_pairs,
            deviation=deviation,
            is_assumed=not deviations,
            # The distance of generated pictures has no usual size, and an assumption none to be of.
            smallest=None
            if study.task == "generation" and not deviations
            else smallest_detectable(deviation, n_pairs, level, POWER, ratio),
        )


def assume_deviation(study: StudyConfig, n_test: int, n_folds: int) -> float:
    """Return the standard deviation of paired differences that is assumed before two pairs are finished.

    Seeds share their test pictures. Folds do not: of shares of pictures each has another chance error, that of `n_test`
    pictures of which two candidates part on a fifth.
    """
    if n_folds < 2 or study.task != "classification" or metric_of(study.protocol.metric).unit != "fraction":
        return ASSUMED_DEVIATION
    return max(ASSUMED_DEVIATION, math.sqrt(ASSUMED_DISAGREEMENT / n_test))


def _deviations(
    study: StudyConfig, runs: Mapping[str, list[RunResult]], baseline: str, others: Sequence[str]
) -> Iterator[float]:  # fmt: skip
    """Give the deviations of the differences over the finished pairs, where there are two or more."""
    for name in others:
        ours, theirs = pair_runs(runs[name], runs[baseline])
        if len({run.record.fold for run in ours} if ours and ours[0].record.fold is not None else ours) < 2:
            continue
        found = compare_pairs(ours, theirs, study.protocol.metric)
        if found.sd and found.method in ("paired t", "corrected resampled t"):
            yield found.sd


def _notes(
    study: StudyConfig, runs: Mapping[str, list[RunResult]], groups: Sequence[AblationGroup]
) -> Iterator[str]:  # fmt: skip
    """Say of each candidate whose augmentation is varied whether it overfits: only then can one help."""
    metric = study.protocol.metric
    for of in dict.fromkeys(group.varied for group in groups if group.vary.startswith("augment")):
        if not runs[of]:
            yield f"{of}: whether it overfits is seen from its first run; without that no augmentation can be judged."
            continue
        gap = gap_of(leaderboard_row(of, runs[of], metric), metric_of(metric).higher_is_better)
        if gap is None:
            continue
        told = f"{of}: {metric} is {gap.train:.4f} on its training pictures and {gap.test:.4f} on the test part"
        if gap.is_overfit:
            yield f"{told}: it overfits, so an augmentation has something to gain."
        else:
            yield f"{told}: no overfitting is shown, so nothing says that an augmentation will help."
