"""From a candidate and an order to a job: all that the loop needs."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from etude.models import build_model, resolve_spec
from etude.study.cautions import cautions
from etude.study.file import CombineConfig
from etude.study.plan import Order, run_identity
from etude.study.resolve import Candidate, merge
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
        build=functools.partial(build_network, candidate, workspace, order.seed),
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
        data_key=workspace.fingerprint,
        features=workspace.folder.features,
        notes=tuple(cautions(candidate, workspace.source, study)),
        generation=study.protocol.generation,
        position=position,
    )


def _trained_as(workspace: Workspace, candidate: Candidate, order: Order) -> str:
    """Return the identity of the same run without what comes after its training; empty where nothing does."""
    if candidate.combine == CombineConfig():
        return ""
    return run_identity(workspace, replace(candidate, combine=CombineConfig()), order.seed, order.fold)


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
