"""What is made of finished trainings: views of a picture, several networks as one, weights of several epochs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from etude.core.study_record import Combination
from etude.data.subsets import HeldOut
from etude.study.file import CombineConfig, StudyConfig
from etude.study.resolve import Candidate, resolve_candidates

if TYPE_CHECKING:
    from etude.tasks.task import TaskName

MEMBER_STRIDE = 10_000
"""Distance of the seeds of an ensemble's members: further than the seeds of any protocol."""


def plain(candidate: Candidate) -> Candidate:
    """Return the candidate as it is trained: one network, answering once."""
    return _with(candidate, CombineConfig())


def without_views(candidate: Candidate) -> Candidate:
    """Return the candidate without what is done to a finished network's answers."""
    return _with(candidate, candidate.combine.model_copy(update={"tta": "none", "windows": "whole"}))


def _with(candidate: Candidate, combine: CombineConfig) -> Candidate:
    by_fold = tuple(_with(each, combine) for each in candidate.by_fold)
    return replace(candidate, combine=combine, by_fold=by_fold)


def _nameless(candidate: Candidate) -> Candidate:
    return replace(candidate, name="", by_fold=tuple(map(_nameless, candidate.by_fold)))


def count_members(candidate: Candidate) -> int:
    """Return how many trainings a run is made of, whoever does them: what its cost is the sum of."""
    return candidate.combine.members or candidate.combine.folds or 1


def count_trainings(candidate: Candidate, candidates: Iterable[Candidate]) -> int:
    """Return how many trainings a run takes beyond those of the study's other candidates."""
    others = [_nameless(other) for other in candidates if other.name != candidate.name]
    bare, trained, combine = plain(candidate), without_views(candidate), candidate.combine
    if combine != trained.combine and _nameless(trained) in others:
        return 0
    is_shared = combine != bare.combine and combine.folds is None and _nameless(bare) in others
    return count_members(candidate) - is_shared


def members_of(candidate: Candidate, seed: int) -> list[tuple[Candidate, int]]:
    """Return what is trained for a run that combines several trainings: each candidate, and its seed.

    The first of `members` is the run of the plain candidate itself, and so is the one of `last_epochs`.
    """
    own, combine = plain(candidate), candidate.combine
    if combine.last_epochs is not None:
        return [(own, seed)]
    seeds = [seed + number * MEMBER_STRIDE for number in range(combine.members or combine.folds or 0)]
    if combine.folds is None:
        return [(own, each) for each in seeds]
    return [(replace(own, held_out=HeldOut(number, len(seeds))), each) for number, each in enumerate(seeds)]


def list_combinations(study: StudyConfig) -> tuple[Combination, ...]:
    """Return the candidates that differ from another in what is made of the finished training only."""
    candidates = resolve_candidates(study)
    plain_ones = {name: _nameless(own) for name, own in candidates.items() if own.combine == CombineConfig()}
    found = []
    for name, candidate in candidates.items():
        same = (of for of, other in plain_ones.items() if other == _nameless(plain(candidate)))
        if name not in plain_ones and (of := next(same, None)) is not None:
            given = candidate.combine.model_dump(mode="json", exclude_defaults=True)
            found.append(Combination(candidate=name, of=of, combine=given))
    return tuple(found)


def check_combine(candidate: Candidate, task: TaskName) -> Iterator[str]:
    """Find what cannot be made of a candidate's trainings, sentence by sentence."""
    if task == "generation":  # what it can have of `combine` is told of elsewhere: nothing
        return
    name, combine, train = candidate.name, candidate.combine, candidate.train
    several = {field: value for field in ("members", "folds", "last_epochs") if (value := getattr(combine, field))}
    if len(several) > 1:
        yield f"{name}: combine must have one of members, folds and last_epochs. Got {several}."
    if combine.average == "weights" and combine.members is None:
        told = "combine.average: weights must go with members: over folds each network has seen what others validate on"
        yield f"{name}: {told}. For the epochs of one training give last_epochs."
    if task != "classification" and (combine.folds or (combine.members and combine.average == "probabilities")):
        field = "folds" if combine.folds else "members"
        told = "it averages probabilities of one class a picture. `members` with `average: weights` makes one network"
        yield f"{name}: combine.{field} must be left out: {told}."
    if combine.last_epochs is None:
        return
    if candidate.finetune.name == "gradual":
        yield f"{name}: combine.last_epochs must go with another finetune than gradual: only one stage has its epochs."
    if train.steps is None and train.budget is None and combine.last_epochs > train.epochs:
        yield f"{name}: combine.last_epochs must be at most train.epochs ({train.epochs}). Got {combine.last_epochs}."
