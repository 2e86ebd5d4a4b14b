"""The logits that a graph gives beside its answers: what they are held to, and how far 8 bits move them.

They are compared on some of the validation pictures, a few at a time: those of one mask of 512 × 1024 pixels and 19
classes take 40 MB.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

import numpy as np

from etude.core.bundle_record import Logits, Moved
from etude.core.counting import how_many
from etude.core.errors import GateError
from etude.export.asking import Floats, Indices, as_served, as_trained, batches_of, network_logits
from etude.export.graph import Deployed
from etude.export.request import Request
from etude.runtime.predictor import Predictor

MOST_MOVED: Final = 0.001
"""What a logit may move between PyTorch and the graph with 32 bits, as a share of the largest one."""
_PICTURES: Final = 64
_AT_ONCE: Final = 4
UNSEEN: Final = Logits(shape=(), pictures=0, size=0.0, moved=Moved(largest=0.0, typical=0.0))
"""Logits that no gate has seen."""


def check_logits(request: Request, indices: Indices, deployed: Deployed, predictor: Predictor) -> Logits:
    """Compare the logits of the network with those of its graph on validation pictures.

    Args:
        request: the run.
        indices: the positions of the validation pictures, some of which are asked about.
        deployed: the network, which tells its logits.
        predictor: its graph with 32 bits.

    Raises:
        GateError: if they differ; the text says by how much.
    """
    chosen = _some(indices)
    size, moved = _compare(
        (network_logits(deployed, as_trained(request, part)), _of_bundle(request, part, predictor))
        for part in batches_of(request, chosen, _AT_ONCE)
    )
    if not moved.largest <= MOST_MOVED * size:
        raise GateError(
            f"export: the bundle disagrees with PyTorch: its logits must move by at most {MOST_MOVED * size:.3g}, "
            f"{MOST_MOVED:.1%} of the largest. One moved by {moved.largest:.3g}, on "
            f"{how_many(len(chosen), 'validation picture')}. Nothing was written."
        )
    shape = _of_bundle(request, chosen[:1], predictor).shape[1:]
    return Logits(shape=shape, views=request.views, pictures=len(chosen), size=size, moved=moved)


def with_8_bits(logits: Logits, request: Request, indices: Indices, exact: Predictor, small: Predictor) -> Logits:
    """Measure how far 8 bits move the logits; how much is too much, the scores decide.

    Args:
        logits: those with 32 bits.
        request: the run.
        indices: the positions of the validation pictures.
        exact: the graph with 32 bits.
        small: the graph with 8.
    """
    _, moved = _compare(
        (_of_bundle(request, part, exact), _of_bundle(request, part, small))
        for part in batches_of(request, _some(indices), _AT_ONCE)
    )
    return replace(logits, moved_int8=moved)


def _some(indices: Indices) -> Indices:
    """Return at most so many of the positions, evenly spread."""
    chosen: Indices = indices[np.linspace(0, len(indices) - 1, min(len(indices), _PICTURES)).round().astype(np.int64)]
    return chosen


def _of_bundle(request: Request, indices: Indices, predictor: Predictor) -> Floats:
    return predictor.session.run_with_logits(as_served(request, indices, predictor))[1]


def _compare(pairs: Iterable[tuple[Floats, Floats]]) -> tuple[float, Moved]:
    """Return the largest logit of the first of each pair, whatever its sign, and how far the second ones lie."""
    size, largest, squares, count = 0.0, 0.0, 0.0, 0
    for expected, given in pairs:
        difference = given - expected
        size = max(size, float(np.abs(expected).max()))
        largest = float(np.maximum(largest, np.abs(difference).max()))  # a NaN stays one, where max would lose it
        squares += float(np.square(difference, dtype=np.float64).sum())
        count += difference.size
    return size, Moved(largest=largest, typical=float(np.sqrt(squares / count)))
