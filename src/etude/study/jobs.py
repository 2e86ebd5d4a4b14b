"""From a candidate and an order to a job: all that the loop needs."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from etude.core.errors import mistakes_at
from etude.models import build_model, resolve_spec
from etude.study.cautions import cautions
from etude.study.combining import members_of, without_views
from etude.study.extras import make_extras
from etude.study.merging import merge
from etude.study.plan import Order, run_identity
from etude.study.resolve import Candidate
from etude.study.workspace import Workspace

if TYPE_CHECKING:
    from etude.train.job import Job


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
    joins_weights = candidate.combine.average == "weights" or candidate.combine.last_epochs is not None
    if members and not joins_weights:
        from etude.train.ensemble import build_ensemble

        build = functools.partial(build_ensemble, [member.build for member in members])
    has_labels_size = study.task == "segmentation" and study.protocol.resolution == "labels"
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
        parts=workspace.parts(candidate.prepare, order.fold or 0, candidate.train_items, candidate.held_out),
        item_ids=workspace.item_ids,
        groups=workspace.groups,
        finetune=candidate.finetune,
        views=candidate.combine.tta,
        windows=candidate.combine.windows,
        truth=workspace.truth if has_labels_size else None,
        picture=workspace.picture if has_labels_size else None,
        trained_as=_trained_as(workspace, candidate, order),
        threshold=study.protocol.threshold,
        calibrate=study.protocol.calibrate,
        members=members,
        extras=make_extras(workspace, candidate, order),
        joined="weights" if members and joins_weights else "answers",
        over_folds=candidate.combine.folds is not None,
        last_epochs=candidate.combine.last_epochs or 0,
        keep_epochs=max(order.keep_epochs, candidate.combine.last_epochs or 0),
        data_key=workspace.fingerprint,
        features=workspace.folder.features,
        notes=tuple(cautions(candidate, workspace.source, study)),
        generation=study.protocol.generation,
        position=position,
    )


def _trained_as(workspace: Workspace, candidate: Candidate, order: Order) -> str:
    """Return the identity of the same run without what comes after its training; empty where nothing does."""
    trained = without_views(candidate)
    if candidate.combine == trained.combine:
        return ""
    return run_identity(workspace, trained, order.seed, order.fold)


def _members(
    workspace: Workspace, candidate: Candidate, order: Order, position: tuple[int, int]
) -> tuple[Job, ...]:  # fmt: skip
    """Return the trainings that are combined into one."""
    combine = candidate.combine
    kept = max(order.keep_epochs, combine.last_epochs or 0)
    jobs = []
    for number, (own, seed) in enumerate(members_of(candidate, order.seed), 1):
        identity = run_identity(workspace, own, seed, order.fold)
        is_plain = number == 1 and combine.folds is None
        name = f"{order.candidate}, member {number}"
        member = Order(name, seed, order.fold, identity, kept if is_plain else 0)
        jobs.append(make_job(workspace, own, member, position))
    return tuple(jobs)


def build_network(candidate: Candidate, workspace: Workspace, seed: int) -> Any:  # noqa: ANN401 - a torch module
    """Build the network of a candidate for the pictures and classes of the study.

    Raises:
        ModelError: if it cannot be built for them.
    """
    size_px = (candidate.prepare.height_px, candidate.prepare.width_px)
    n_outputs = len(workspace.source.classes)
    with mistakes_at("candidates", candidate.name, "model"):
        return build_model(
            candidate.model,
            n_outputs=n_outputs,
            size_px=size_px,
            seed=seed,
            base=workspace.base,
            task=workspace.study.task,
        )
