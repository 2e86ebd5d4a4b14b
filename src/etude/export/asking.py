"""Asking the network and the bundle about the same pictures.

The network sees what training saw (`etude.data.prepared`), the bundle the bytes of the files, through its predictor.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from etude.data.prepared import prepare_items
from etude.export.graph import Deployed
from etude.export.request import Request
from etude.pictures.prepare import prepare_mask
from etude.pictures.reading import Pixels
from etude.runtime.predictor import Predictor

BATCH = 32
Answers = npt.NDArray[Any]
Indices = npt.NDArray[np.int64]


def batches(indices: Indices) -> Iterator[Indices]:
    """Give the positions a batch at a time."""
    for begin in range(0, len(indices), BATCH):
        yield indices[begin : begin + BATCH]


def as_trained(request: Request, indices: Indices) -> Pixels:
    """Return pictures (B, H, W, 3) as training prepared them."""
    return prepare_items(request.source, indices, request.prepare, keep=False).pictures_NHWC


def as_served(request: Request, indices: Indices, predictor: Predictor) -> Pixels:
    """Return pictures (B, H, W, 3) as the predictor prepares the bytes of their files."""
    source = request.source
    return np.stack(
        [
            predictor.read(source.raw(int(at)), name=str(source.items.ids[at]), box=source.box(int(at)))[0]
            for at in indices
        ]
    )


@torch.no_grad()
def ask_network(deployed: Deployed, pictures_BHWC: Pixels) -> Answers:
    """Return what PyTorch answers, in float32 on the CPU."""
    answers: Answers = deployed.eval()(torch.from_numpy(np.ascontiguousarray(pictures_BHWC))).numpy()
    return answers


def network_answers(request: Request, indices: Indices, deployed: Deployed) -> Answers:
    """Return the network's answers to the pictures as training prepared them."""
    return np.concatenate([ask_network(deployed, as_trained(request, part)) for part in batches(indices)])


def bundle_answers(request: Request, indices: Indices, predictor: Predictor) -> Answers:
    """Return the bundle's answers to the bytes of the files."""
    return np.concatenate(
        [predictor.session.run(as_served(request, part, predictor)) for part in batches(indices)]
    )  # fmt: skip


def true_masks(request: Request, indices: Indices) -> Pixels:
    """Return the masks of ids (N, H, W), prepared as the pictures are; 255 is not scored."""
    masks = []
    for at in indices:
        raw = request.source.mask(int(at))
        assert raw is not None, "a source for segmentation has masks"
        masks.append(prepare_mask(raw, request.prepare, box=request.source.box(int(at))))
    return np.stack(masks)
