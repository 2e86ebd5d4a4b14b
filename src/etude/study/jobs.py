"""From a candidate and an order to a job: all that the loop needs."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from etude.models import build_model, resolve_spec
from etude.study.cautions import cautions
from etude.study.extras import make_extras
from etude.study.file import CombineConfig
from etude.study.plan import Order, run_identity
from etude.study.resolve import Candidate, merge
from etude.study.workspace import Workspace

if TYPE_CHECKING:
    from etude.train.job import Job


MEMBER_STRIDE = 10_000
"""Distance of the seeds of an ensemble's members: further than the seeds of any protocol."""


def make_job(workspace: Workspace, candidate: Candidate, order: Order, position: tuple[int, int] = (1, 1)) -> Job:
    """Return the job of one run, with everything resolved.

    Args:
        workspace: the opened data of the study.
        candidate: what is trained.
        order: its seed, fold and identity.
        position: number of the run in the plan, and runs of the plan.

    Raises:
        EtudeError: if the network or its weights cannot be had.
    """
    from etude.train.job import Job

    study = workspace.study
    candidate = candidate.at(order.fold)
    data = {**study.data.model_dump(mode="json"), "fingerprint": workspace.fingerprint}
    config = merge({"data": data}, candidate.dump())
    config["model"] = resolve_spec(candidate.model, workspace.base).full
    config["protocol"] = study.protocol.model_dump(mode="json")
    members = _members(workspace, candidate, order, position)
    build = functools.partial(build_network, candidate, workspace, order.seed)
    if members:
        from etude.train.ensemble import build_ensemble

        build = functools.partial(build_ensemble, [member.build for member in members])
    return Job(
        identity=order.identity,
        study=study.study,
        candidate=order.candidate,
        seed=order.seed,
        fold=order.fold,
        config=config,
        task=study.task,
        classes=tuple(workspace.source.classes),
        metric=study.protocol.metric,
        also=tuple(name for name in study.protocol.also if name != study.protocol.metric),
        prepare=candidate.prepare,
        augment=candidate.augment,
        train=candidate.train,
        build=build,
        execution=workspace.execution(candidate.train),
        parts=workspace.parts(candidate.prepare, order.fold or 0, candidate.train_items),
        item_ids=workspace.item_ids,
        finetune=candidate.finetune,
        views=candidate.combine.tta,
        windows=candidate.combine.windows,
        truth=workspace.truth if study.task == "segmentation" and study.protocol.resolution == "labels" else None,
        trained_as=_trained_as(workspace, candidate, order),
        threshold=study.protocol.threshold,
        calibrate=study.protocol.calibrate,
        members=members,
        extras=make_extras(workspace, candidate, order),
        data_key=workspace.fingerprint,
        features=workspace.folder.features,
        notes=tuple(cautions(candidate, workspace.source, study)),
        generation=study.protocol.generation,
        position=position,
    )


def _trained_as(workspace: Workspace, candidate: Candidate, order: Order) -> str:
    """Return the identity of the same run without what comes after its training; empty where nothing does."""
    trained = CombineConfig(members=candidate.combine.members)
    if candidate.combine == trained:
        return ""
    return run_identity(workspace, replace(candidate, combine=trained), order.seed, order.fold)


def _members(
    workspace: Workspace, candidate: Candidate, order: Order, position: tuple[int, int]
) -> tuple[Job, ...]:  # fmt: skip
    """Return the trainings whose networks answer together: the first is the run of the candidate without them."""
    own = replace(candidate, combine=CombineConfig())
    jobs = []
    for number in range(candidate.combine.members or 0):
        seed = order.seed + number * MEMBER_STRIDE
        identity = run_identity(workspace, own, seed, order.fold)
        member = Order(f"{order.candidate}, member {number + 1}", seed, order.fold, identity)
        jobs.append(make_job(workspace, own, member, position))
    return tuple(jobs)


def build_network(candidate: Candidate, workspace: Workspace, seed: int) -> Any:  # noqa: ANN401 - a torch module
    """Build the network of a candidate for the pictures and classes of the study.

    Raises:
        ModelError: if it cannot be built for them.
    """
    size_px = (candidate.prepare.height_px, candidate.prepare.width_px)
    n_outputs = len(workspace.source.classes)
    return build_model(
        candidate.model,
        n_outputs=n_outputs,
        size_px=size_px,
        seed=seed,
        base=workspace.base,
        task=workspace.study.task,
    )
