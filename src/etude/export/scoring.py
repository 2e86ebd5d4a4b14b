"""What a bundle of classes scores: its own answers on validation, the study's on test at the bundle's temperature."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from etude.core.bundle_record import Score
from etude.core.words import Part
from etude.evaluate.predictions import Predictions
from etude.export.asking import Asked, Indices
from etude.export.request import Request
from etude.metrics.calibration import with_temperature


def bundle_scores(
    request: Request, validation: Indices, asked: Asked, further: float | None, exact: Request | None = None
) -> tuple[Score, ...]:
    """Score what a bundle answered on validation, and what the run did on test.

    The study scored probabilities without the temperature that an export fits, and mostly with 16 bits.

    Args:
        request: the run, with the temperature and the threshold of the bundle.
        validation: positions of the validation pictures.
        asked: what the bundle answered about them.
        further: the temperature that was fitted for 32 bits; none where the study had chosen one.
        exact: the run with temperature and threshold of 32 bits, at which what the study answered is scored; by
            default `request`.

    Returns:
        A score with its interval over the pictures for each that the study measured; those of masks as they were.
    """
    if request.recorded is None:
        return request.scores
    labels = request.source.items.labels[validation].astype(np.int64)
    ids = request.source.items.ids[validation]
    own = Predictions(ids, Part.VALIDATION, labels, asked.answers, request.threshold)
    names = {part: [score.metric for score in request.scores if score.part == part.label] for part in Part}
    told = _scored(request, own, names[Part.VALIDATION])
    if further is None:
        return (*told, *(score for score in request.scores if score.part == Part.TEST.label))
    test = request.recorded(Part.TEST)
    tempered = with_temperature(test.probabilities, further).astype(np.float32)
    test = replace(test, probabilities=tempered, threshold=(exact or request).threshold)
    return (*told, *_scored(request, test, names[Part.TEST]))


def _scored(request: Request, answers: Predictions, metrics: Sequence[str]) -> tuple[Score, ...]:
    """Score answers with intervals as the study draws them; what does not exist is left out: JSON has no NaN."""
    values = {metric: answers.score(metric) for metric in metrics}
    return tuple(
        Score(part=answers.part.label, metric=metric, value=value, interval=request.interval_of(answers, metric))
        for metric, value in values.items()
        if math.isfinite(value)
    )


def recorded_agreement(request: Request, validation: Indices, asked: Asked) -> float | None:
    """Return the share of a bundle's decisions on validation that are those of the run; none where none were kept."""
    if request.recorded is None:
        return None
    kept = request.recorded(Part.VALIDATION)
    said = dict(zip(kept.ids.tolist(), kept.labels.tolist(), strict=True))
    ids = request.source.items.ids[validation].tolist()
    own = Predictions(ids, Part.VALIDATION, np.zeros(len(ids), np.int64), asked.answers, request.threshold)
    same = [said[item] == label for item, label in zip(ids, own.labels.tolist(), strict=True) if item in said]
    return float(np.mean(same)) if same else None
