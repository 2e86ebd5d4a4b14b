"""How long each candidate trains here: measured on a few steps, once, and kept in the study's folder."""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

from etude.core.errors import EtudeError
from etude.core.files import locked, write_json
from etude.core.study_record import AblationGroup
from etude.core.words import Part
from etude.study.combining import count_members, plain
from etude.study.jobs import make_job
from etude.study.plan import Order, training_key
from etude.study.resolve import Candidate
from etude.study.workspace import Workspace

if TYPE_CHECKING:
    from etude.train.measure import TrainingTime

_WORTH_STEPS = 1000
"""Steps of all runs of a candidate from which on `etude run` times a dozen first: about one part in a hundred."""
_SAME_SPEED = 0.1
"""Variants whose steps differ by less than this share of their time train as many steps: it is the machine's noise."""


class Timings:
    """The measured times of a study's candidates, by what is trained and where."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.path = workspace.folder.timings
        self._kept: dict[str, Any] = json.loads(self.path.read_text()) if self.path.exists() else {}

    def known(self, candidate: Candidate) -> TrainingTime | None:
        """Return what was measured before; none where nothing was."""
        from etude.train.measure import TrainingTime

        entry = self._kept.get(self._key(candidate))
        return None if entry is None else TrainingTime(**{key: entry[key] for key in entry if key != "candidate"})

    def measured(self, candidate: Candidate) -> TrainingTime:
        """Return the time of a training here, measured now where it was not before.

        Raises:
            EtudeError: if the network or the pictures cannot be had.
        """
        from etude.train.measure import measure_training

        known = self.known(candidate)
        if known is not None:
            return known
        self.workspace.watch.said(f"{candidate.name}: a few steps are timed")
        job = make_job(self.workspace, plain(candidate), Order(candidate.name, 0, None, "timing"))
        return self.keep(candidate, measure_training(job))

    def estimate(self, candidate: Candidate, n_runs: int) -> None:
        """Time a candidate before its first training, where that was not done before and costs little beside it.

        What hinders it is not told here: the training itself will be hindered and tell.
        """
        train = candidate.train
        n_pictures = candidate.train_items or self.workspace.sizes()[Part.TRAIN.label]
        steps = train.steps or train.epochs * math.ceil(n_pictures / train.batch)
        if n_runs * count_members(candidate) * steps < _WORTH_STEPS or self.known(candidate) is not None:
            return
        with contextlib.suppress(EtudeError):
            self.measured(candidate)

    def keep(self, candidate: Candidate, time: TrainingTime) -> TrainingTime:
        """Write a time down."""
        self._kept[self._key(candidate)] = {"candidate": candidate.name, **asdict(time)}
        write_json(self.path, self._kept)
        return time

    def _key(self, candidate: Candidate) -> str:
        key = training_key(self.workspace, candidate)
        return f"{key} on {self.workspace.execution(candidate.train).words()}"


def resolve_budgets(
    candidates: Mapping[str, Candidate], workspace: Workspace, groups: Iterable[AblationGroup]
) -> dict[str, Candidate]:
    """Turn each candidate's budget in time into the number of steps that it was found to be.

    The number is found once and kept in the study's folder: a later call, on another machine or a busier one, trains as
    long. A variant of an ablation, and a candidate that extends another one, trains as many steps as the one that it
    was made of where they take as long, but for the noise of the machine.

    Raises:
        EtudeError: if a network or the pictures cannot be had.
    """
    varied = {name: group.varied for group in groups for name in (group.of, *group.candidates) if name != group.varied}
    made_of = {name: own.extends for name, own in workspace.study.candidates.items() if own.extends is not None}
    resolved: dict[str, Candidate] = {}
    for name, candidate in candidates.items():
        of = resolved.get((made_of | varied).get(name, ""))
        folds = tuple(resolve_budget(each, workspace) for each in candidate.by_fold)
        resolved[name] = replace(resolve_budget(candidate, workspace, of), by_fold=folds)
    return resolved


def resolve_budget(candidate: Candidate, workspace: Workspace, of: Candidate | None = None) -> Candidate:
    """Turn the budget in time of one candidate into steps; the same candidate where it has none.

    Args:
        candidate: the candidate.
        workspace: the opened data of the study.
        of: a resolved candidate that it is a variant of: it trains as many steps, where they take as long.

    Raises:
        EtudeError: if its network or the pictures cannot be had.
    """
    budget = candidate.train.budget
    if budget is None:
        return candidate
    path = workspace.folder.budgets
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_name(".budgets-lock")):  # several processes may search
        kept: dict[str, Any] = json.loads(path.read_text()) if path.exists() else {}
        key = f"{training_key(workspace, candidate)} in {budget:g} s"
        if key not in kept:
            found = _find_steps(candidate, budget, Timings(workspace), of)
            kept[key] = {"candidate": candidate.name, **found}
            write_json(path, kept)
    return _with_steps(candidate, kept[key]["steps"])


def _find_steps(candidate: Candidate, budget: float, timings: Timings, of: Candidate | None) -> dict[str, Any]:
    """Measure how many steps a budget allows; as many as `of` where both are as fast."""
    from etude.train.measure import steps_within

    measured = timings.measured(candidate)
    steps = steps_within(budget, measured)
    found: dict[str, Any] = {"steps": steps, "budget_s": budget, "step_s": measured.step_s}
    same = of.train.steps if of is not None and of.train.budget == budget else None
    if of is not None and same is not None and abs(steps / same - 1) < _SAME_SPEED:
        found |= {"steps": same, "as": of.name}
    of_time = _time_of(measured, found["steps"])
    timings.keep(_with_steps(candidate, found["steps"]), of_time)
    return found


def _with_steps(candidate: Candidate, steps: int) -> Candidate:
    return replace(candidate, train=candidate.train.model_copy(update={"steps": steps}))


def _time_of(measured: TrainingTime, steps: int) -> TrainingTime:
    """Return the time of so many steps, from one that was measured for another length."""
    epochs = math.ceil(steps / measured.steps_of_epoch)
    seconds = measured.finish_s + epochs * measured.epoch_s + steps * measured.step_s
    return replace(measured, seconds=seconds, steps=steps)
