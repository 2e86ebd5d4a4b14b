"""Finished generators that were measured otherwise than the study asks: they are measured again, and not trained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from etude.models.picture_features import find_features
from etude.study.jobs import make_job
from etude.study.plan import Order
from etude.study.resolve import Candidate
from etude.study.workspace import Workspace


def measure_anew(workspace: Workspace, candidates: Mapping[str, Candidate], orders: Iterable[Order]) -> None:
    """Measure the finished runs that were measured over other features, weights or counts, or by an earlier version.

    Values of two measures do not compare: this comes before anything is compared.

    Raises:
        EtudeError: if the features that are asked for, or a network, cannot be had.
    """
    if workspace.study.task != "generation":
        return
    from etude.train.generation import is_measured, measure_again

    asked = workspace.study.protocol.generation
    features = find_features(asked.features)  # that they can be had is seen before anything is trained
    for order in orders:
        folder = workspace.folder.run(order.identity)
        if workspace.folder.load_run(order.identity) is None or is_measured(folder, asked.pictures, features):
            continue
        workspace.watch.said(
            f"{order.label}: measured again as is asked now, over features of {features.name}; nothing is trained"
        )
        measure_again(make_job(workspace, candidates[order.candidate], order), folder, features)
