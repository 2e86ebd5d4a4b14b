"""What an export must pass: the bundle answers as the network does, and 8 bits lose no more than is allowed."""

from __future__ import annotations

from functools import partial

import numpy as np
import numpy.typing as npt

from etude.core.bundle_record import Gate, Quantisation
from etude.core.counting import how_many
from etude.core.errors import GateError
from etude.core.interval import Interval
from etude.core.words import Part
from etude.evaluate.mask_counts import MaskCounts
from etude.evaluate.predictions import Predictions
from etude.evaluate.scores import Answers as Scored
from etude.export.asking import Answers, Asked, Indices, true_masks, whole_masks
from etude.export.request import Request
from etude.metrics.classification import predicted_labels
from etude.metrics.confusion import miou_from
from etude.metrics.segmentation import pixel_confusion
from etude.metrics.statistics import paired_bootstrap, percentile_interval, resampling_weights
from etude.runtime.predictor import Predictor

LEAST_AGREEMENT = 0.999
"""Share of decisions that must be equal."""
MOST_MOVED = 0.002
"""What the mIoU of a mask model may move."""
MOST_ESTRANGED = 0.01
"""What the familiarity of a picture may move."""
_REPLICATES = 2_000


def check_agreement(request: Request, indices: Indices, network: Asked, bundle: Asked) -> Gate:
    """Compare the answers of the network with those of the bundle on validation.

    Raises:
        GateError: if they disagree; the text says by how much.
    """
    if request.task == "segmentation":
        gate = _mask_gate(request, indices, network.answers, bundle.answers)
        refused = abs(gate.score_moved or 0.0) > MOST_MOVED
    else:
        gate = _class_gate(request, network, bundle)
        refused = gate.agreement < LEAST_AGREEMENT or (gate.familiarity_moved or 0.0) > MOST_ESTRANGED
    if refused:
        raise GateError(_disagreement(gate))
    return gate


def _class_gate(request: Request, network: Asked, bundle: Asked) -> Gate:
    decide = partial(predicted_labels, threshold=request.threshold)
    network_NK, bundle_NK = network.answers, bundle.answers
    moved = None
    if network.familiarity_N is not None and bundle.familiarity_N is not None:
        moved = float(np.abs(network.familiarity_N - bundle.familiarity_N).max())
    return Gate(
        pictures=len(network_NK),
        agreement=float((decide(network_NK) == decide(bundle_NK)).mean()),
        largest_difference=float(np.abs(network_NK - bundle_NK).max()),
        familiarity_moved=moved,
    )


def _mask_gate(request: Request, indices: Indices, network_NHW: Answers, bundle_NHW: Answers) -> Gate:
    truth = true_masks(request, indices)
    before, after = (
        score_answers(request, indices, answers, truth).score("miou") for answers in (network_NHW, bundle_NHW)
    )
    return Gate(
        pictures=len(indices), agreement=float((network_NHW == bundle_NHW).mean()), score_moved=after - before
    )  # fmt: skip


def own_miou(request: Request, indices: Indices, predictor: Predictor) -> float:
    """Return the mIoU of the masks that a bundle answers, at the size of the labels, which is not that of its graph."""
    n_classes = len(request.classes)
    counts_KK = np.zeros((n_classes, n_classes), np.int64)
    for truth, answer in whole_masks(request, indices, predictor):
        counts_KK += pixel_confusion(truth, answer, n_classes)
    return float(miou_from(counts_KK))


def _disagreement(gate: Gate) -> str:
    told = f"{gate.agreement:.3%} of the decisions on {how_many(gate.pictures, 'validation picture')} are equal"
    if gate.score_moved is not None:
        rule = f"its mIoU must move by at most {MOST_MOVED}. It moved by {gate.score_moved:+.4f}; {told}"
    else:
        rule = f"at least {LEAST_AGREEMENT:.1%} of its decisions must be the network's"
        if gate.familiarity_moved is not None:
            moved = f"It moved by {gate.familiarity_moved:.4f} at most"
            rule += f", and no familiarity may move by more than {MOST_ESTRANGED}. {moved}"
        rule += f". {told[0].upper()}{told[1:]}"
    return f"export: the bundle disagrees with PyTorch: {rule}. Nothing was written."


def score_answers(request: Request, indices: Indices, answers: Answers, truth: Answers | None = None) -> Scored:
    """Return the answers to the pictures at these positions, ready to be scored."""
    ids = request.source.items.ids[indices]
    if request.task == "segmentation":
        masks = true_masks(request, indices) if truth is None else truth
        n_classes = len(request.classes)
        counts = [
            pixel_confusion(mask, answer, n_classes) for mask, answer in zip(masks, answers, strict=True)
        ]  # fmt: skip
        return MaskCounts(ids, Part.VALIDATION, np.stack(counts))
    labels = request.source.items.labels[indices].astype(np.int64)
    return Predictions(ids, Part.VALIDATION, labels, answers, request.threshold)


def loss_metric(request: Request) -> str:
    """Return the metric in which the loss of 8 bits is told: the share of right answers, or the mIoU."""
    return "miou" if request.task == "segmentation" else "accuracy"


def check_loss(
    request: Request, indices: Indices, fp32: Asked, int8: Asked, *, calibrated_on: int, max_loss: float
) -> Quantisation:
    """Measure what 8 bits lose on validation.

    Raises:
        GateError: if it is more than allowed; the text says how much, with its interval.
    """
    metric = loss_metric(request)
    before, after = (score_answers(request, indices, asked.answers) for asked in (fp32, int8))
    low, high = _loss_interval(before, after, metric)
    measured = Quantisation(
        metric=metric,
        calibration_pictures=calibrated_on,
        pictures=len(indices),
        score_fp32=before.score(metric),
        score_int8=after.score(metric),
        loss=100 * (before.score(metric) - after.score(metric)),
        interval=Interval(low=100 * low, high=100 * high),
    )
    if measured.loss > max_loss:
        told = f"{measured.loss:.2f} points [{measured.interval.low:.2f}, {measured.interval.high:.2f}]"
        raise GateError(
            f"export: with 8 bits the {metric} on {how_many(len(indices), 'validation picture')} must lose at most "
            f"{max_loss:g} "
            f"points. It loses {told}. Nothing was written; leave --int8 out, or allow more with --max-loss."
        )
    return measured


def _loss_interval(before: Scored, after: Scored, metric: str) -> tuple[float, float]:
    """Return the ends of the 95 % interval of the loss over the pictures, both variants resampled together."""
    values: tuple[npt.NDArray[np.float64] | None, ...] = (
        before.values_of_pictures(metric),
        after.values_of_pictures(metric),
    )
    if values[0] is not None and values[1] is not None:
        compared = paired_bootstrap(values[0], values[1])
        return compared.low, compared.high
    differences = [
        before.under_weights(metric, weights_RN) - after.under_weights(metric, weights_RN)
        for weights_RN in resampling_weights(len(before), _REPLICATES)
    ]
    interval = percentile_interval(np.concatenate(differences))
    return interval.low, interval.high
