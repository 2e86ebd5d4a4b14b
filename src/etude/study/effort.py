"""What the trainings of a study took together, each counted once, whoever shares it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from etude.core.study_record import RunRef
from etude.study.combining import members_of, without_views
from etude.study.extras import make_extras
from etude.study.folder import StudyFolder
from etude.study.plan import Order, run_identity
from etude.study.resolve import Candidate
from etude.study.workspace import Workspace


def training_seconds(
    workspace: Workspace, folder: StudyFolder, candidates: Mapping[str, Candidate], refs: Sequence[RunRef]
) -> float:  # fmt: skip
    """Sum the seconds of the trainings that finished runs are made of.

    The cost of a run is that of all that it is made of: candidates that differ in their views, or that share a member
    or a generator, have the same training, and it is one here. One pass over the pictures gives the features of all
    members of a run.
    """
    seconds: dict[str, float] = {}
    for ref in refs:
        run = folder.load_run(ref.identity)
        if run is None:
            continue
        trained = _trainings(candidates[ref.candidate], ref) if ref.candidate in candidates else []
        parts = [(part, folder.load_run(run_identity(workspace, *part, ref.fold))) for part in trained]
        if not parts or any(record is None for _, record in parts):  # what it was made of is no longer there
            seconds[ref.identity] = run.cost.seconds
            continue
        for number, (part, record) in enumerate(parts):
            assert record is not None
            generators = _generators(workspace, *part, ref.fold)
            shared = sum(generators.values()) + (record.cost.features_seconds if number else 0.0)
            seconds |= {**generators, record.identity: record.cost.seconds - shared}
    return sum(seconds.values())


def _trainings(candidate: Candidate, ref: RunRef) -> list[tuple[Candidate, int]]:
    """Return what was trained for a run, and with which seed: itself, where nothing is made of others."""
    trained = without_views(candidate.at(ref.fold))
    return members_of(trained, ref.seed) or [(trained, ref.seed)]


def _generators(workspace: Workspace, candidate: Candidate, seed: int, fold: int | None) -> dict[str, float]:
    """Return the seconds of the generators that a training learns from, by their identity."""
    if candidate.generated is None:
        return {}
    from etude.train.generated import seconds_of

    extras = make_extras(workspace, candidate, Order(candidate.name, seed, fold, ""))
    return {extra.job.identity: seconds_of(extra) for extra in extras}
