"""Pictures that are normalised otherwise than those that the pretrained weights have seen."""

from __future__ import annotations

from torch import nn

from etude.data.prepared import PreparedSet
from etude.models.networks.input_range import better_range
from etude.train.job import Job


def tell_misfit(job: Job, model: nn.Module, train_set: PreparedSet) -> str:
    """Say that the statistics in pretrained weights ask for another `prepare.normalize`; empty where they do not.

    Args:
        job: what is to be trained.
        model: its network, not trained further yet.
        train_set: its training pictures.
    """
    if not job.config.get("model", {}).get("weights"):
        return ""
    given = job.prepare.normalize
    better = better_range(model, train_set.pictures_NHWC, given)
    return misfit_note(job.candidate, given, better) if better is not None else ""


def misfit_note(candidate: str, given: str, best: str) -> str:
    """Return the sentence of a misfit.

    Args:
        candidate: its name.
        given: how its pictures are normalised.
        best: how they were for the weights.
    """
    return (
        f"{candidate}: prepare.normalize is {given}, but the statistics in the pretrained weights are those of "
        f"pictures normalised by {best}. Give prepare.normalize that value, or they see pictures unlike any they know."
    )
