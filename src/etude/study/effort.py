"""What the trainings of a study took together, each counted once, whoever shares it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from etude.core.study_record import RunRef
from etude.study.combining import members_of, without_views
from etude.study.folder import StudyFolder
from etude.study.plan import run_identity
from etude.study.resolve import Candidate
from etude.study.workspace import Workspace


def training_seconds(
    workspace: Workspace, folder: StudyFolder, candidates: Mapping[str, Candidate], refs: Sequence[RunRef]
) -> float:  # fmt: skip
    """Sum the seconds of the trainings that finished runs are made of.

    The cost of a run is that of all that it is made of: candidates that differ in their views or that share a member
    have the same training, and it is one here.
    """
    seconds: dict[str, float] = {}
    for ref in refs:
        run = folder.load_run(ref.identity)
        if run is None:
            continue
        parts = {identity: folder.load_run(identity) for identity in _trainings_of(workspace, candidates, ref)}
        if None in parts.values():  # what it was made of is no longer there: its own cost is that of all of it
            parts = {ref.identity: run}
        seconds |= {identity: part.cost.seconds for identity, part in parts.items() if part is not None}
    return sum(seconds.values())


def _trainings_of(workspace: Workspace, candidates: Mapping[str, Candidate], ref: RunRef) -> Iterator[str]:
    """Give the identities of the trainings that a run is made of: its own, where nothing is made of others'."""
    if ref.candidate not in candidates:
        yield ref.identity
        return
    candidate = without_views(candidates[ref.candidate].at(ref.fold))
    for own, seed in members_of(candidate, ref.seed) or [(candidate, ref.seed)]:
        yield run_identity(workspace, own, seed, ref.fold)
