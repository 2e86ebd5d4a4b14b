"""Searching: one process, or several on one storage, take trial after trial until there are enough.

Who works on a trial holds a lock on its file. The system lets go of it when a process dies, so a trial whose lock is
free and whose state is `running` was interrupted: the next process goes on with it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etude.core.files import locked, try_locked
from etude.core.search_record import SearchRecord, TrialRecord
from etude.search.config import DEFAULT_TRIALS, SearchConfig
from etude.search.points import grid_points, points_around, random_point
from etude.search.space import Point, Space, settings_of
from etude.search.storage import importances, make_pruner, make_tpe, open_study, restored, stored, suggest

if TYPE_CHECKING:
    import optuna

_POLL_S = 0.2
_LOCK_FILE = ".lock"
_RECORD = "trial"  # the attribute of a trial that holds its record


@dataclass(frozen=True)
class SearchTask:
    """One search to be done."""

    study: str
    """Name of the study."""
    config: SearchConfig
    space: Space
    metric: str
    higher_is_better: bool
    folder: Path
    """The search's own folder: the journal, and the locks of its trials."""
    key: str = ""
    """Hash of all that its trials depend on: another space, or other pictures, are another search."""
    fold: int | None = None
    max_epochs: int | None = None
    """The most epochs of a trial; none where it is not known beforehand."""

    @cached_property
    def grid(self) -> list[Point]:
        """The points of the grid, for `sampler: grid`."""
        return grid_points(self.space) if self.config.sampler == "grid" else []

    @property
    def n_trials(self) -> int:
        """Trials in all."""
        return self.config.trials or len(self.grid) or DEFAULT_TRIALS

    @property
    def n_random(self) -> int:
        """Trials of the first phase of random-then-grid."""
        return max(1, round(self.config.random_share * self.n_trials))

    @property
    def name(self) -> str:
        """Its name in the storage."""
        fold = "" if self.fold is None else f"/fold-{self.fold}"
        key = f"/{self.key}" if self.key else ""
        return f"{self.study}/{self.config.candidate}{fold}{key}"


@dataclass(frozen=True)
class Turn:
    """One trial in the hands of this process."""

    number: int
    settings: dict[str, Any]
    """Values by dotted field."""
    phase: str
    report: Callable[[int, float], bool]
    """Takes the score after an epoch; says whether the trial is to be stopped."""


Evaluate = Callable[[Turn], TrialRecord]
"""Tries one configuration; what it finds is complete, pruned or failed."""


class Search:
    """A search in its storage, as one process sees it."""

    def __init__(self, task: SearchTask) -> None:
        self.task = task
        task.folder.mkdir(parents=True, exist_ok=True)
        with locked(task.folder / _LOCK_FILE):  # two processes make no study twice
            self._study = open_study(
                task.config.storage,
                task.folder,
                task.name,
                higher_is_better=task.higher_is_better,
                pruner=make_pruner(task.config.pruner, task.max_epochs),
            )
        self._told: set[int] = set()

    def work(self, evaluate: Evaluate, heard: Callable[[TrialRecord], None], may_start: Callable[[], bool]) -> None:
        """Take trials until none is left, and none is in the hands of another process.

        Args:
            evaluate: tries one configuration.
            heard: is told of each trial that was finished, here or by another process.
            may_start: says whether one more trial may start.
        """
        self._told |= {trial.number for trial in self.trials() if trial.state != "running"}
        while True:
            was_held = self._is_any_held(self._frozen())
            with self._take(may_start) as trial:
                if trial is not None:
                    self._try(trial, evaluate)
            self._hear(heard)
            if trial is None:
                # What is held may end between the two looks, and the trials that waited for it can then be taken.
                if not was_held and not self._is_any_held(self._frozen()):
                    return
                time.sleep(_POLL_S)

    def _is_any_held(self, trials: Iterable[optuna.trial.FrozenTrial]) -> bool:
        return any(self._is_held_here(trial) for trial in trials)

    def trials(self) -> list[TrialRecord]:
        """Return all trials so far, in the order in which they were started."""
        return [self._record(trial) for trial in self._frozen() if trial.state.name != "WAITING"]

    def is_over(self) -> bool:
        """Say whether all its trials are done; those of processes whose study lies elsewhere are not waited for."""
        frozen = self._frozen()
        return not self._is_any_held(frozen) and not self._is_left(len(frozen))

    def record(self) -> SearchRecord:
        """Return the record of the search as it stands."""
        task, trials = self.task, self.trials()
        around = task.config.sampler == "random-then-grid"
        shares = importances(self._study, task.space, task.n_random if around else None)
        best = self._best(trials)
        return SearchRecord(
            study=task.study,
            candidate=task.config.candidate,
            of=task.config.of,
            fold=task.fold,
            metric=task.metric,
            higher_is_better=task.higher_is_better,
            sampler=task.config.sampler,
            importances_of="random" if around else "all",
            pruner=task.config.pruner.name,
            n_trials=task.n_trials,
            seed=task.config.seed,
            parameters=tuple(parameter.record(shares.get(parameter.name)) for parameter in task.space),
            trials=tuple(trials),
            best=None if best is None else best.number,
            settings={} if best is None else best.settings,
            seconds=sum(trial.seconds for trial in trials),
        )

    def _try(self, trial: optuna.Trial, evaluate: Evaluate) -> None:
        """Try one configuration and write down what came of it."""
        from optuna.trial import TrialState

        kept = trial.user_attrs.get(_RECORD)
        if kept is not None:  # it was done, and the process died before it could say so
            found = TrialRecord.model_validate_json(kept)
        else:
            settings = settings_of(self.task.space, suggest(trial, self.task.space))
            phase = trial.user_attrs.get("phase", "tpe")
            found = evaluate(Turn(trial.number, settings, phase, self._reporter(trial)))
            trial.set_user_attr(_RECORD, found.model_dump_json())
        states = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
        value = found.score if found.state == "complete" else None
        self._study.tell(trial, value, state=states[found.state])

    def _reporter(self, trial: optuna.Trial) -> Callable[[int, float], bool]:
        def report(epoch: int, score: float) -> bool:
            if self.task.config.pruner.name == "none":
                return False
            trial.report(score, epoch)
            return trial.should_prune()

        return report

    @contextlib.contextmanager
    def _take(self, may_start: Callable[[], bool]) -> Iterator[optuna.Trial | None]:
        """Give a trial that was interrupted, or a new one, and keep others off it; none where there is none to take."""
        with contextlib.ExitStack() as held:
            with locked(self.task.folder / _LOCK_FILE):
                trial = self._adopt() or (self._ask() if may_start() else None)
                if trial is not None and not held.enter_context(try_locked(self._lock(trial.number))):
                    trial = None
            yield trial

    def _adopt(self) -> optuna.Trial | None:
        """Return a running trial that no process holds."""
        import optuna

        for frozen in self._frozen():
            if self._is_held_here(frozen):
                with try_locked(self._lock(frozen.number)) as is_free:
                    if is_free:
                        return optuna.Trial(self._study, frozen._trial_id)
        return None

    def _is_held_here(self, trial: optuna.trial.FrozenTrial) -> bool:
        """Say whether a trial is running, and in the hands of a process that shares this folder.

        In a storage of one's own a trial without a lock file was begun by a process that died at once; in a storage
        with an address it is in the hands of a process whose study lies elsewhere.
        """
        is_here = self.task.config.storage is None or self._lock(trial.number).exists()
        return trial.state.name == "RUNNING" and is_here

    def _ask(self) -> optuna.Trial | None:
        """Return a new trial with its point chosen; none where there are enough, or others must end first."""
        trials = self._frozen()
        number = len(trials)
        if not any(trial.state.name == "WAITING" for trial in trials):
            if self._must_wait(number) or not self._is_left(number):
                return None
            phase, point = self._point(number)
            if point is not None:
                self._study.enqueue_trial(stored(self.task.space, point), user_attrs={"phase": phase})
        self._study.sampler = make_tpe(self.task.config.seed, number)
        return self._study.ask()

    def _is_left(self, number: int) -> bool:
        if number >= self.task.n_trials:
            return False
        budget = self.task.config.budget
        if budget is not None and sum(trial.seconds for trial in self.trials()) >= budget:
            return False
        return self._point(number)[0] != ""

    def _must_wait(self, number: int) -> bool:
        """Say whether trial `number` depends on trials that are not done: the grid around the best waits for all."""
        if self.task.config.sampler != "random-then-grid" or number < self.task.n_random:
            return False
        return any(trial.state.name in ("RUNNING", "WAITING") for trial in self._frozen()[: self.task.n_random])

    def _point(self, number: int) -> tuple[str, Point | None]:
        """Return how trial `number` is chosen, and its point: none where optuna draws it; no word if none is left."""
        task = self.task
        if task.config.sampler == "tpe":
            return "tpe", None
        if task.config.sampler == "grid":
            return ("grid", task.grid[number]) if number < len(task.grid) else ("", None)
        if task.config.sampler == "random" or number < task.n_random:
            return "random", random_point(task.space, task.config.seed, number)
        around = self._around()
        place = number - task.n_random
        return ("grid", around[place]) if place < len(around) else ("", None)

    def _around(self) -> list[Point]:
        """Return the grid around the best of the random trials, found once and kept in the storage."""
        kept = self._study.user_attrs.get("around")
        if kept is None:
            kept = self._find_around()
            if not self._must_wait(self.task.n_random):
                self._study.set_user_attr("around", kept)
        return [restored(self.task.space, params) for params in kept]

    def _find_around(self) -> list[dict[str, Any]]:
        task = self.task
        first = self._frozen()[: task.n_random]
        best = self._best([self._record(trial) for trial in first])
        if best is None:  # nothing was complete: there is nothing to look around
            drawn = (random_point(task.space, task.config.seed, n) for n in range(task.n_random, task.n_trials))
            return [stored(task.space, point) for point in drawn]
        shares = importances(self._study, task.space, task.n_random)
        order = sorted(shares, key=lambda name: -shares[name])
        centre = restored(task.space, first[best.number].params)
        points = points_around(task.space, centre, order, task.n_trials - task.n_random)
        return [stored(task.space, point) for point in points]

    def _hear(self, heard: Callable[[TrialRecord], None]) -> None:
        for trial in self.trials():
            if trial.state != "running" and trial.number not in self._told:
                self._told.add(trial.number)
                heard(trial)

    def _best(self, trials: list[TrialRecord]) -> TrialRecord | None:
        scored = [trial for trial in trials if trial.state == "complete" and trial.score is not None]
        sign = -1.0 if self.task.higher_is_better else 1.0
        return min(scored, key=lambda trial: (sign * float(trial.score or 0.0), trial.number), default=None)

    def _record(self, trial: optuna.trial.FrozenTrial) -> TrialRecord:
        kept = trial.user_attrs.get(_RECORD)
        if kept is not None and trial.state.is_finished():
            record = TrialRecord.model_validate_json(kept)
            return record.model_copy(update={"number": trial.number})
        return TrialRecord(
            number=trial.number,
            state="failed" if trial.state.is_finished() else "running",
            settings=settings_of(self.task.space, restored(self.task.space, trial.params)),
            phase=trial.user_attrs.get("phase", ""),
            scores=dict(trial.intermediate_values),
        )

    def _frozen(self) -> list[optuna.trial.FrozenTrial]:
        frozen: list[optuna.trial.FrozenTrial] = self._study.get_trials(deepcopy=False)
        return frozen

    def _lock(self, number: int) -> Path:
        return self.task.folder / f"trial-{number}.lock"
