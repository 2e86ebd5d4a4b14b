"""Asking the network and the bundle about the same pictures.

The network sees what training saw (`etude.data.prepared`), the bundle the bytes of the files, through its predictor.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from etude.data.prepared import prepare_items
from etude.export.familiarity import features_of
from etude.export.graph import OUTPUTS, Deployed
from etude.export.request import Request
from etude.pictures.prepare import VOID, prepare_mask, read_mask
from etude.pictures.reading import Pixels
from etude.runtime.answers import MaskAnswer
from etude.runtime.bundled import at_once
from etude.runtime.predictor import Predictor
from etude.runtime.session import FAMILIARITY, LOGITS

BATCH = 32
"""Pictures that are asked about at a time; fewer of a large size."""
Answers = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
Indices = npt.NDArray[np.int64]


def batches_of(request: Request, indices: Indices, most: int = BATCH) -> Iterator[Indices]:
    """Give the positions as many at a time as the size of the run's pictures allows, at most so many."""
    return batches(indices, at_once((request.prepare.height_px, request.prepare.width_px), most))


def batches(indices: Indices, batch: int) -> Iterator[Indices]:
    """Give the positions a batch at a time."""
    for begin in range(0, len(indices), batch):
        yield indices[begin : begin + batch]


def as_trained(request: Request, indices: Indices) -> Pixels:
    """Return pictures (B, H, W, 3) as training prepared them."""
    return prepare_items(request.source, indices, request.prepare, keep=False).pictures_NHWC


def as_served(request: Request, indices: Indices, predictor: Predictor, *, boxes: bool = True) -> Pixels:
    """Return pictures (B, H, W, 3) as the predictor prepares the bytes of their files.

    Args:
        request: the run.
        indices: positions of the pictures.
        predictor: the bundle.
        boxes: whether a picture is cut to its annotated box where training did; who asks a bundle has no boxes.
    """
    source = request.source
    box_of = source.box if boxes else lambda _: None
    return np.stack(
        [predictor.read(source.raw(int(at)), name=str(source.items.ids[at]), box=box_of(int(at)))[0] for at in indices]
    )


@dataclass(frozen=True, eq=False)
class Asked:
    """What was answered about pictures."""

    answers: Answers
    """Probabilities (N, K) float32, or ids (N, H, W) uint8."""
    familiarity_N: npt.NDArray[np.float32] | None = None
    """How familiar each picture is; none where that is not told."""


def ask_network(deployed: Deployed, pictures_BHWC: Pixels) -> Asked:
    """Return what PyTorch answers, in float32 on the CPU."""
    told = _outputs(deployed, pictures_BHWC)
    return Asked(told[OUTPUTS[deployed.task]], told.get(FAMILIARITY))


def network_logits(deployed: Deployed, pictures_BHWC: Pixels) -> Floats:
    """Return the logits in PyTorch of a network that tells them, (B, K) or (B, K, H, W), in float32 on the CPU."""
    return _outputs(deployed, pictures_BHWC)[LOGITS]


@torch.no_grad()
def _outputs(deployed: Deployed, pictures_BHWC: Pixels) -> dict[str, Answers]:
    """Return all that a network gives, by its name in the graph."""
    told = deployed.eval()(torch.from_numpy(np.ascontiguousarray(pictures_BHWC)))
    parts = told if isinstance(told, tuple) else (told,)
    return {name: part.numpy() for name, part in zip(deployed.outputs, parts, strict=True)}


@torch.no_grad()
def network_features(deployed: Deployed, head: str, pictures_BHWC: Pixels) -> torch.Tensor:
    """Return what the last layer is given (B, D), float32."""
    with features_of(deployed.model, head) as features:
        deployed.model(deployed.normalise(torch.from_numpy(np.ascontiguousarray(pictures_BHWC))))
    return features[-1].float()


def network_answers(request: Request, indices: Indices, deployed: Deployed) -> Asked:
    """Return the network's answers to the pictures as training prepared them."""
    return _joined(ask_network(deployed, as_trained(request, part)) for part in batches_of(request, indices))


def bundle_answers(request: Request, indices: Indices, predictor: Predictor, *, boxes: bool = True) -> Asked:
    """Return the bundle's answers to the bytes of the files, cut to their boxes as in training or whole."""
    return _joined(
        Asked(*predictor.session.run_both(as_served(request, part, predictor, boxes=boxes)))
        for part in batches_of(request, indices)
    )


def _joined(parts: Iterable[Asked]) -> Asked:
    """Return the answers of batches as one."""
    asked = list(parts)
    known = [part.familiarity_N for part in asked if part.familiarity_N is not None]
    return Asked(np.concatenate([part.answers for part in asked]), np.concatenate(known) if known else None)


def whole_masks(request: Request, indices: Indices, predictor: Predictor) -> Iterator[tuple[Pixels, Pixels]]:
    """Give the truth and the predictor's mask of each picture, uint8 (H, W), at the size of the label.

    What the predictor did not see is void in the truth, as it is where the study scores.
    """
    source = request.source
    for at in indices:
        raw, name, box = source.mask(int(at)), str(source.items.ids[at]), source.box(int(at))
        assert raw is not None, "a source for segmentation has masks"
        prepared, seen = predictor.read(source.raw(int(at)), name=name, box=box)
        (answer,) = predictor.answer(prepared[None], [seen])
        assert isinstance(answer, MaskAnswer)
        is_unseen = answer.mask == VOID
        yield (
            np.where(is_unseen, np.uint8(VOID), read_mask(raw, name=name)),
            np.where(is_unseen, np.uint8(0), answer.mask),
        )


def true_masks(request: Request, indices: Indices) -> Pixels:
    """Return the masks of ids (N, H, W), prepared as the pictures are; 255 is not scored."""
    masks = []
    for at in indices:
        raw = request.source.mask(int(at))
        assert raw is not None, "a source for segmentation has masks"
        masks.append(prepare_mask(raw, request.prepare, box=request.source.box(int(at))))
    return np.stack(masks)
