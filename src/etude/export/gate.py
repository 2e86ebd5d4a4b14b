"""What an export must pass: the bundle answers as the network does, and 8 bits lose no more than is allowed."""

from __future__ import annotations

from functools import partial

import numpy as np

from etude.core.bundle_record import Gate, Loss, Quantisation
from etude.core.counting import how_many
from etude.core.errors import GateError
from etude.core.interval import Interval
from etude.core.words import Part
from etude.evaluate.mask_counts import MaskCounts
from etude.evaluate.pictures import gain_of
from etude.evaluate.predictions import Predictions
from etude.evaluate.scores import Answers as Scored
from etude.evaluate.scores import metric_of
from etude.export.asking import Answers, Asked, Indices, true_masks, whole_masks
from etude.export.certainty import tempered
from etude.export.request import Request
from etude.metrics.boundaries import boundary_counts
from etude.metrics.classification import predicted_labels
from etude.metrics.segmentation import pixel_confusion
from etude.runtime.predictor import Predictor

LEAST_AGREEMENT = 0.999
"""Share of decisions that must be equal."""
MOST_MOVED = 0.002
"""What the mIoU of a mask model may move."""
MOST_ESTRANGED = 0.01
"""What the familiarity of a picture may move."""


def check_agreement(request: Request, indices: Indices, network: Asked, bundle: Asked) -> Gate:
    """Compare the answers of the network with those of the bundle on validation.

    Raises:
        GateError: if they disagree; the text says by how much.
    """
    if request.task == "segmentation":
        gate = _mask_gate(request, indices, network.answers, bundle.answers)
        refused = not abs(gate.score_moved or 0.0) <= MOST_MOVED or gate.agreement < LEAST_AGREEMENT
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


def own_miou(request: Request, indices: Indices, predictor: Predictor) -> tuple[float, Interval | None]:
    """Return the mIoU of the masks that a bundle answers, and its 95 % interval over the pictures.

    Masks are compared at the size of the labels, which is not that of its graph.
    """
    n_classes = len(request.classes)
    counted = [pixel_confusion(*both, n_classes) for both in whole_masks(request, indices, predictor)]
    answers = MaskCounts(request.source.items.ids[indices], Part.VALIDATION, np.stack(counted))
    return answers.score("miou"), request.interval_of(answers, "miou")


def _disagreement(gate: Gate) -> str:
    told = f"{gate.agreement:.3%} of the decisions on {how_many(gate.pictures, 'validation picture')} are equal"
    if gate.score_moved is not None:
        rule = (
            f"at least {LEAST_AGREEMENT:.1%} of its pixels must be the network's, and its mIoU must move by at most "
            f"{MOST_MOVED}. It moved by {gate.score_moved:+.4f}; {told}"
        )
    else:
        rule = f"at least {LEAST_AGREEMENT:.1%} of its decisions must be the network's"
        if gate.familiarity_moved is not None:
            moved = f"It moved by {gate.familiarity_moved:.4f} at most"
            rule += f", and no familiarity may move by more than {MOST_ESTRANGED}. {moved}"
        rule += f". {told[0].upper()}{told[1:]}"
    return f"export: the bundle disagrees with PyTorch: {rule}. Nothing was written."


def score_answers(
    request: Request, indices: Indices, answers: Answers, truth: Answers | None = None, *, with_contours: bool = False
) -> Scored:
    """Return the answers to the pictures at these positions, ready to be scored.

    Args:
        request: the run.
        indices: the positions.
        answers: to these pictures.
        truth: their masks, where they are at hand.
        with_contours: whether the contours of masks are counted beside their pixels.
    """
    ids = request.source.items.ids[indices]
    if request.task == "segmentation":
        masks = true_masks(request, indices) if truth is None else truth
        n_classes = len(request.classes)
        pairs = list(zip(masks, answers, strict=True))
        counts = [pixel_confusion(mask, answer, n_classes) for mask, answer in pairs]
        contours = [boundary_counts(mask, answer, n_classes) for mask, answer in pairs] if with_contours else None
        return MaskCounts(ids, Part.VALIDATION, np.stack(counts), None if contours is None else np.stack(contours))
    labels = request.source.items.labels[indices].astype(np.int64)
    return Predictions(ids, Part.VALIDATION, labels, answers, request.threshold)


def loss_metrics(request: Request) -> tuple[str, ...]:
    """Return the metrics in which the loss of 8 bits is told: right answers or mIoU, and the study's own.

    Where few pictures are of one class, nearly all of those may be lost, and hardly an answer be wrong.
    """
    return tuple(dict.fromkeys(("miou" if request.task == "segmentation" else "accuracy", request.metric)))


def check_loss(
    request: Request,
    indices: Indices,
    fp32: Asked,
    int8: Asked,
    *,
    calibrated_on: int,
    max_loss: float,
    further: float | None = None,
) -> Quantisation:
    """Measure what 8 bits lose on validation, each variant at its own temperature and threshold.

    Args:
        request: the run, with the temperature and the threshold of the graph with 32 bits.
        indices: the positions of the validation pictures.
        fp32: what was answered about them with 32 bits.
        int8: and with 8.
        calibrated_on: training pictures that the ranges were taken from.
        max_loss: the most that may be lost, in points.
        further: what the logits of 8 bits are divided by beyond the temperature of 32; none: by nothing.

    Raises:
        GateError: if it is more than allowed, in any of the metrics; the text says how much, with its interval.
    """
    metrics = loss_metrics(request)
    truth = true_masks(request, indices) if request.task == "segmentation" else None
    small = request if further is None else tempered(request, further)
    before, after = (
        score_answers(run, indices, asked.answers, truth, with_contours="boundary_f1" in metrics)
        for run, asked in ((request, fp32), (small, int8))
    )
    usual, *own = (_loss(request, before, after, metric) for metric in metrics)
    measured = Quantisation(
        **vars(usual),
        calibration_pictures=calibrated_on,
        pictures=len(indices),
        own=own[0] if own else None,
        agreement=float((_decisions(request, fp32) == _decisions(small, int8)).mean()),
        further=further,
    )
    if any(not lost.loss <= max_loss for lost in measured.losses):  # what is no number is no small loss
        raise GateError(_too_much(measured, max_loss))
    return measured


def _decisions(request: Request, asked: Asked) -> Answers:
    """Return the class of each picture (N,), or of each pixel (N, H, W)."""
    return asked.answers if request.task == "segmentation" else predicted_labels(asked.answers, request.threshold)


def _loss(request: Request, before: Scored, after: Scored, metric: str) -> Loss:
    """Return what is lost in one metric, both variants resampled together."""
    better, worse = (before, after) if metric_of(metric).higher_is_better else (after, before)
    compared = gain_of(better, worse, metric, groups=request.groups)
    reach = metric_of(metric).high - metric_of(metric).low
    # Pictures of so few groups that nothing can be said leave every loss open.
    low, high = (-reach, reach) if compared is None else (compared.low, compared.high)
    return Loss(
        metric=metric,
        score_fp32=before.score(metric),
        score_int8=after.score(metric),
        loss=100 * (better.score(metric) - worse.score(metric)),
        interval=Interval(low=100 * low, high=100 * high),
    )


def _too_much(measured: Quantisation, max_loss: float) -> str:
    named = " and ".join(f"the {lost.metric}" for lost in measured.losses)
    told = ", ".join(
        f"the {lost.metric} loses {lost.loss:.2f} points [{lost.interval.low:.2f}, {lost.interval.high:.2f}]"
        for lost in measured.losses
    )
    each = " each" if measured.own else ""
    return (
        f"export: with 8 bits {named} on {how_many(measured.pictures, 'validation picture')} must lose at most "
        f"{max_loss:g} points{each}. {told[0].upper()}{told[1:]}. Nothing was written; leave --int8 out, or allow more "
        "with --max-loss."
    )
