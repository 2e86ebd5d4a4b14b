"""Finished generators that were measured otherwise than the study asks: they are measured again, and not trained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from etude.core.errors import MistakeError, sentence
from etude.core.generation_record import GENERATION_FILE, GenerationRecord
from etude.models.picture_features import AUTO, PIXELS, find_features
from etude.models.weights import FOLDER_VARIABLE
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
    orders = list(orders)
    if asked.features == AUTO and features.name == PIXELS:
        _refuse_to_forget(workspace, orders)
    for order in orders:
        folder = workspace.folder.run(order.identity)
        if workspace.folder.load_run(order.identity) is None or is_measured(folder, asked.pictures, features):
            continue
        workspace.watch.said(
            f"{order.label}: measured again as is asked now, over features of {features.name}; nothing is trained"
        )
        measure_again(make_job(workspace, candidates[order.candidate], order), folder, features)


def _refuse_to_forget(workspace: Workspace, orders: Iterable[Order]) -> None:
    """Refuse to measure over pixels what was measured over a network that is not at hand any more, unless asked to.

    Raises:
        MistakeError: if a run was.
    """
    for order in orders:
        path = workspace.folder.run(order.identity) / GENERATION_FILE
        known = GenerationRecord.load(path) if path.exists() else None
        if known is not None and known.features != PIXELS:
            rule = f"pixels, or have the weights of {known.features} at hand, over which finished runs were measured"
            remedy = (
                f"Put them into the folder that {FOLDER_VARIABLE} names; pixels measures all again and may turn the "
                f"order round."
            )
            raise MistakeError(sentence("protocol", "generation.features", rule, AUTO, remedy)).at(
                "protocol", "generation", "features"
            )
