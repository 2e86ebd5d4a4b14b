"""What a finished segmentation network answers to a part, counted at the size of the labels.

Shapes: B pictures of a batch, K classes, H and W pixels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from etude.core.words import Part
from etude.data.prepared import PreparedSet
from etude.evaluate.mask_counts import MaskCounts
from etude.metrics.boundaries import boundary_counts
from etude.metrics.segmentation import pixel_confusion
from etude.pictures.prepare import VOID, place
from etude.pictures.prepare_config import Prepare
from etude.tasks.task import Task
from etude.train.job import Job
from etude.train.loaders import plain_loader
from etude.train.loop import Fitted
from etude.train.validation import answer_batches

Ids = npt.NDArray[np.uint8]
MOST_OF_TRAINING = 128
"""Training pictures that are scored at the end, evenly spread: enough to tell overfitting."""


def count_masks(job: Job, fitted: Fitted, part: Part) -> MaskCounts:
    """Answer all pictures of a part, of the training part some, and count their pixels."""
    prepared = job.parts(part.label)
    if part is Part.TRAIN and len(prepared) > MOST_OF_TRAINING:
        prepared = take(prepared, np.linspace(0, len(prepared) - 1, MOST_OF_TRAINING).round().astype(np.int64))
    # Contours take longer than pixels, and nothing is chosen by those of the training part.
    with_contours = "boundary_f1" in (job.metric, *job.also) and part is not Part.TRAIN
    return count_pictures(job, fitted, prepared, part, with_contours=with_contours)


def count_pictures(
    job: Job, fitted: Fitted, prepared: PreparedSet, part: Part, *, with_contours: bool
) -> MaskCounts:  # fmt: skip
    """Answer pictures of a part and count their pixels, and the pixels of contours where asked to."""
    n_classes = len(job.classes)
    counts = np.zeros((len(prepared), n_classes, n_classes), np.int64)
    contours = np.zeros((len(prepared), n_classes, 4), np.int64) if with_contours else None
    for row, (truth, ids) in enumerate(answer_masks(job, fitted, prepared)):
        counts[row] = pixel_confusion(truth, ids, n_classes)
        if contours is not None:
            contours[row] = boundary_counts(truth, ids, n_classes)
    return MaskCounts(job.item_ids(prepared.indices_N), part, counts, contours)


def answer_masks(job: Job, fitted: Fitted, prepared: PreparedSet) -> Iterator[tuple[Ids, Ids]]:
    """Give the truth and the answer for each picture, uint8 (H, W), at the size of its label where that is known.

    What a centre crop of the picture left out is void in both: it was not answered.
    """
    if not len(prepared):
        return
    position = 0
    for batch, logits_BKHW in answer_batches(fitted.model, plain_loader(job, prepared), job):
        for row in range(len(batch)):
            if job.truth is None:
                assert prepared.masks_NHW is not None
                truth = np.asarray(prepared.masks_NHW[position])
                ids = fitted.task.answer(logits_BKHW[row : row + 1])[0].cpu().numpy()
                yield truth, ids
            else:
                truth = job.truth(int(prepared.indices_N[position]))
                yield answer_at(logits_BKHW[row], truth, fitted.task, job.prepare)
            position += 1


@torch.no_grad()
def answer_at(logits_KHW: Tensor, truth_HW: Ids, task: Task, prepare: Prepare) -> tuple[Ids, Ids]:
    """Bring logits to the size of a label, and take the likeliest class there.

    Logits are enlarged, not ids: contours become smooth where ids would have steps.
    """
    placement = place((truth_HW.shape[0], truth_HW.shape[1]), prepare)
    left, top, right, bottom = (round(side) for side in placement.source)
    x0, y0, x1, y1 = placement.target
    inner_1KHW = logits_KHW[None, :, y0:y1, x0:x1]
    size = (bottom - top, right - left)
    if inner_1KHW.shape[2:] != size:
        inner_1KHW = F.interpolate(inner_1KHW, size=size, mode="bilinear", align_corners=False)
    answered = task.answer(inner_1KHW)[0].cpu().numpy()
    if size == truth_HW.shape:
        return truth_HW, answered
    ids, truth = (np.full(truth_HW.shape, VOID, np.uint8) for _ in range(2))
    ids[top:bottom, left:right] = answered
    truth[top:bottom, left:right] = truth_HW[top:bottom, left:right]
    return truth, ids


def take(prepared: PreparedSet, rows: npt.NDArray[np.int64]) -> PreparedSet:
    """Return some pictures of a set, in this order."""
    return replace(
        prepared,
        pictures_NHWC=prepared.pictures_NHWC[rows],
        labels_N=prepared.labels_N[rows],
        masks_NHW=None if prepared.masks_NHW is None else prepared.masks_NHW[rows],
        indices_N=prepared.indices_N[rows],
    )
