"""What a network answers to a part, batch by batch, and how good that is, after an epoch.

Shapes: B pictures of a batch, N of the part, K classes, H and W pixels.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from etude.data.batches import Batch
from etude.data.prepared import PreparedSet
from etude.metrics.confusion import iou_per_class
from etude.metrics.registry import METRICS, SEGMENTATION_METRICS
from etude.metrics.segmentation import pixel_confusion
from etude.tasks.task import Task
from etude.train.job import Job


@dataclass(frozen=True)
class Validated:
    """What one look at a part gave; nothing for a part without pictures."""

    loss: float | None = None
    score: float | None = None
    classes: tuple[float | None, ...] = ()
    """For masks, the IoU of each class; none for a class that was neither there nor predicted."""
    metric: str = ""
    """The metric of the score where it is not that of the study."""


@torch.no_grad()
def validate(
    model: nn.Module, task: Task, batches: Iterable[Batch] | None, prepared: PreparedSet, job: Job
) -> Validated:  # fmt: skip
    """Return the loss and the metric of a part; masks are compared at the size that the network takes."""
    if batches is None:
        return Validated()
    if task.name == "segmentation":
        return _validate_masks(model, task, batches, job)
    logits_NK = infer(model, batches, job)
    answers_NK = task.answer(logits_NK).cpu().numpy()
    loss = task.loss(logits_NK, torch.from_numpy(prepared.labels_N).to(logits_NK.device)).item()
    return Validated(loss, float(METRICS[job.metric].function(prepared.labels_N, answers_NK)))


def _validate_masks(model: nn.Module, task: Task, batches: Iterable[Batch], job: Job) -> Validated:
    n_classes = len(task.classes)
    counts_KK = np.zeros((n_classes, n_classes), np.int64)
    losses = []
    for batch, logits_BKHW in answer_batches(model, batches, job):
        losses.append((task.loss(logits_BKHW, batch.targets_B).item(), len(batch)))
        ids_BHW = task.answer(logits_BKHW).cpu().numpy()
        counts_KK += pixel_confusion(batch.targets_B.cpu().numpy(), ids_BHW, n_classes)
    loss = sum(loss * size for loss, size in losses) / sum(size for _, size in losses)
    # A metric of contours is looked at once, at the end: until then the mean IoU chooses the epoch.
    metric = job.metric if SEGMENTATION_METRICS[job.metric].from_confusion else "miou"
    known = SEGMENTATION_METRICS[metric]
    assert known.from_confusion is not None
    ious = tuple(None if math.isnan(iou) else float(iou) for iou in iou_per_class(counts_KK))
    return Validated(loss, float(known.from_confusion(counts_KK)), ious, "" if metric == job.metric else metric)


@torch.no_grad()
def infer(model: nn.Module, batches: Iterable[Batch], job: Job) -> Tensor:
    """Return the logits, float32, of all pictures, in order: (N, K), or (N, K, H, W) of masks."""
    return torch.cat([logits for _, logits in answer_batches(model, batches, job)])


@torch.no_grad()
def answer_batches(model: nn.Module, batches: Iterable[Batch], job: Job) -> Iterator[tuple[Batch, Tensor]]:
    """Give each batch with its logits, float32."""
    model.eval()
    for batch in batches:
        with job.execution.autocast():
            logits = model(batch.images_BCHW)
        yield batch, logits.float()
