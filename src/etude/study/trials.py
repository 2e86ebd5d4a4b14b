"""One trial of a search: a candidate trained as any other, but judged on validation and never on the test part."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import dataclass

from etude.core.errors import DivergenceError, ModelError
from etude.core.files import locked
from etude.core.run_record import Epoch
from etude.core.search_record import TrialRecord
from etude.core.watch import Silent, Watcher
from etude.search.session import SearchTask, Turn
from etude.study.combining import plain
from etude.study.file import StudyConfig
from etude.study.folder import TRIAL_FILE
from etude.study.jobs import make_job
from etude.study.plan import Order, run_identity
from etude.study.resolve import Candidate, resolve_candidate
from etude.study.searches import with_settings
from etude.study.timing import resolve_budget
from etude.study.workspace import Workspace


class Pruned(Exception):  # noqa: N818 - it is no error
    """A trial is stopped early."""


@dataclass(frozen=True)
class Trials:
    """Tries the configurations of one search: what `Search.work` calls."""

    task: SearchTask
    study: StudyConfig
    """The study, with what earlier searches found."""
    workspace: Workspace
    watch: Watcher

    def __call__(self, turn: Turn) -> TrialRecord:
        """Train one configuration, or take what is known of the same training; the test part stays closed.

        The run's folder is that of the same configuration and seed anywhere in the study, so nothing is trained twice,
        and a trial that was interrupted goes on from its last saved epoch.
        """
        try:
            candidate = self._candidate(turn)
            identity = run_identity(self.workspace, candidate, self.task.config.seed, self.task.fold)
        except ModelError as error:
            return self._record(turn, "", state="failed", failure=str(error))
        folder = self.workspace.folder.run(identity)
        folder.mkdir(parents=True, exist_ok=True)
        with locked(folder / ".lock"):  # two processes may have drawn the same
            known = self._known(turn, identity)
            if known is not None:
                return known
            found = self._train(turn, candidate, identity)
            found.save(folder / TRIAL_FILE)
            if found.state != "complete" or self.task.config.seed not in self.study.protocol.seed_list:
                shutil.rmtree(folder / "state", ignore_errors=True)  # no other run can take it over
            return found

    def _candidate(self, turn: Turn) -> Candidate:
        config = self.task.config
        trial = with_settings(self.study, config, turn.settings)
        of = resolve_candidate(self.study, config.of)
        # What is searched is one training: what is made of several comes after it.
        return resolve_budget(plain(resolve_candidate(trial, config.candidate)), self.workspace, of)

    def _known(self, turn: Turn, identity: str) -> TrialRecord | None:
        """Return what an earlier trial, or a run of the study, came to with the same training; none without one."""
        folder = self.workspace.folder
        known, run = folder.load_trial(identity), folder.load_run(identity)
        if known is not None and (known.search, known.number) == (self.task.name, turn.number):
            return known  # this very trial: it was done, and the process died before it could say so
        if known is not None and known.state == "pruned" and self.task.config.pruner.name == "none":
            known = None
        if known is None and run is not None:
            text = (folder.run(identity) / "history.jsonl").read_text("utf-8")
            epochs = [Epoch.model_validate(json.loads(line)) for line in text.splitlines()]
            scores = {epoch.epoch: epoch.validation_score for epoch in epochs if epoch.validation_score is not None}
            known = self._judged(turn, identity, scores, scores.get(run.best_epoch), run.epochs, 0.0)
        if known is None:
            return None
        for epoch, score in known.scores.items():
            turn.report(epoch, score)
        own = {"number": turn.number, "search": self.task.name, "phase": turn.phase, "settings": turn.settings}
        return known.model_copy(update={**own, "seconds": 0.0, "is_reused": True})

    def _train(self, turn: Turn, candidate: Candidate, identity: str) -> TrialRecord:
        """Train to the end, or until the pruner or an error stops it."""
        from etude.train.loop import fit, write_history
        from etude.train.state import Progress, read_state

        folder = self.workspace.folder.run(identity)
        label = f"{self.task.config.of} trial {turn.number + 1}"
        order = Order(label, self.task.config.seed, self.task.fold, identity)
        watch = _TrialWatch(self.watch, turn)
        try:
            job = make_job(self.workspace, candidate, order, (turn.number + 1, self.task.n_trials))
            progress = fit(job, folder, watch).progress
        except Pruned:
            saved = read_state(folder / "state")  # short epochs go by faster than the state is written
            progress = saved.progress if saved is not None else Progress()
            progress.history = [*progress.history[: watch.epochs[0].epoch - 1], *map(_line, watch.epochs)]
            write_history(folder, progress)
            scores = _scores(progress.epochs())
            sign = 1 if self.task.higher_is_better else -1
            pruned = {"score": max(scores.values(), key=lambda score: sign * score), "scores": scores}
            told = {"epochs": len(progress.history), "seconds": max(progress.seconds, watch.seconds)}
            return self._record(turn, identity, state="pruned", **pruned, **told)
        except (DivergenceError, ModelError) as error:
            return self._record(turn, identity, state="failed", failure=str(error), seconds=watch.seconds)
        write_history(folder, progress)
        scores = _scores(progress.epochs())
        return self._judged(turn, identity, scores, progress.best_score, progress.epoch, progress.seconds)

    def _judged(
        self, turn: Turn, identity: str, scores: dict[int, float], score: float | None, epochs: int, seconds: float
    ) -> TrialRecord:
        """Return the record of a training that came to its end."""
        told = {"scores": scores, "epochs": epochs, "seconds": seconds}
        if score is None or not math.isfinite(score):
            failure = f"search: {self.task.config.of} must have a validation score. Got {score}. Give data.split."
            failure += "validation pictures, and a network that is trained by steps."
            return self._record(turn, identity, state="failed", failure=failure, **told)
        return self._record(turn, identity, state="complete", score=score, **told)

    def _record(self, turn: Turn, identity: str, **found: object) -> TrialRecord:
        return TrialRecord.model_validate(
            {
                "number": turn.number,
                "search": self.task.name,
                "phase": turn.phase,
                "settings": turn.settings,
                "identity": identity,
                **found,
            }
        )


def _scores(epochs: list[Epoch]) -> dict[int, float]:
    return {epoch.epoch: epoch.validation_score for epoch in epochs if epoch.validation_score is not None}


def _line(epoch: Epoch) -> dict[str, object]:
    return epoch.model_dump()


class _TrialWatch(Silent):
    """Passes on where a training stands, and reports each epoch to the search."""

    def __init__(self, watch: Watcher, turn: Turn) -> None:
        self.watch, self.turn = watch, turn
        self.epochs: list[Epoch] = []
        self.run_started, self.stepped = watch.run_started, watch.stepped  # type: ignore[method-assign]

    @property
    def seconds(self) -> float:
        """Training time of the epochs so far, in this process."""
        return sum(epoch.seconds for epoch in self.epochs)

    def epoch_done(self, epoch: Epoch) -> None:
        """Report the epoch.

        Raises:
            Pruned: if the trial is to be stopped.
        """
        self.watch.epoch_done(epoch)
        self.epochs.append(epoch)
        score = epoch.validation_score
        if score is not None and math.isfinite(score) and self.turn.report(epoch.epoch, score):
            raise Pruned
