"""Pictures that are normalised otherwise than those that the pretrained weights have seen."""

from __future__ import annotations

import numpy as np
from torch import nn

from etude.data.prepared import PreparedSet
from etude.models.networks.input_range import range_misfits
from etude.train.job import Job

_PICTURES = 32
_LEAST = 0.1
"""Nats below which a misfit is that of other pictures, not of another normalisation."""
_TIMES = 5.0


def tell_misfit(job: Job, model: nn.Module, train_set: PreparedSet) -> str:
    """Say that the statistics in pretrained weights ask for another `prepare.normalize`; empty where they do not.

    Args:
        job: what is to be trained.
        model: its network, not trained further yet.
        train_set: its training pictures.
    """
    if not job.config.get("model", {}).get("weights") or not len(train_set):
        return ""
    few = np.unique(np.linspace(0, len(train_set) - 1, _PICTURES).astype(np.int64))
    misfits = range_misfits(model, train_set.pictures_NHWC[few])
    given = job.prepare.normalize
    best = min(misfits, key=misfits.__getitem__, default=given)
    if best == given or misfits[given] < max(_LEAST, _TIMES * misfits[best]):
        return ""
    return misfit_note(job.candidate, given, best)


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
