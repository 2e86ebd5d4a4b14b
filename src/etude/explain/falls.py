"""By how much the score gets worse without a layer, and with its weights shuffled, and what chance leaves of that.

Shapes: N pictures, C channels, H and W pixels, K logits.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor, nn

from etude.core.interval import Interval
from etude.core.machine import answered_at_once
from etude.core.seeds import derive
from etude.evaluate.pictures import loss_of
from etude.evaluate.scores import Answers
from etude.explain.bypass import bypassed
from etude.explain.kinds import HOLDING
from etude.explain.tracing import Traced, evaluating, own_parameters

_SHUFFLES = 3
ToAnswers = Callable[[Tensor], Answers]
"""Takes the logits (N, K) of the first N pictures and makes of them what can be scored."""


@dataclass(frozen=True)
class Asked:
    """How falls are measured."""

    to_answers: ToAnswers
    metric: str
    """Name of the score."""
    higher_is_better: bool = True
    """Its direction."""
    most_seconds: float = 60.0
    """About how long it may take; fewer pictures are answered where all would take longer."""
    groups: Mapping[str, str] | None = None
    """Group of each picture by its id, where the source has groups: those of one are drawn together."""
    least_scored: int = 64
    """Pictures that are answered for each fall at the least, however long that takes."""


@dataclass(frozen=True)
class Fall:
    """What one thing that was done to a layer cost."""

    fall: float
    """In the metric's unit; below zero where the score got better."""
    interval: Interval | None
    """95 %; pictures are drawn anew, the same for the whole network, and shuffles with them; none with one picture."""


@dataclass(frozen=True)
class Falls:
    """What was measured of all layers."""

    of: dict[tuple[int, str], Fall] = field(default_factory=dict)
    """By the layer's place and what was done: bypassed or shuffled."""
    whole: float | None = None
    """The score of the whole network."""
    n_pictures: int = 0
    """Pictures that were answered."""
    n_shuffles: int = 0
    """Times that the weights of each layer were shuffled; a fall is the mean over them."""


def measure_falls(model: nn.Module, rows: list[Traced], images_NCHW: Tensor, asked: Asked) -> Falls:
    """Measure what it costs to leave each layer out, and to shuffle its weights; the network is left as it was.

    Args:
        model: the network.
        rows: its layers.
        images_NCHW: pictures, of which any first ones stand for all.
        asked: how.
    """
    deeds = [
        (row, deed)
        for row in rows
        if row.first_of_module and row.kind != "dropout"
        for deed in _deeds(model, row, rows)
    ]
    n_passes = 1 + sum(_SHUFFLES if deed == "shuffled" else 1 for _, deed in deeds)
    count = _affordable(model, images_NCHW, n_passes, asked)
    images_NCHW = images_NCHW[:count]
    whole = asked.to_answers(_answer(model, images_NCHW))
    falls: dict[tuple[int, str], Fall] = {}
    for row, deed in deeds:
        found = []
        for number in range(_SHUFFLES if deed == "shuffled" else 1):
            with bypassed(model, row, rows) if deed == "bypassed" else _shuffled(row, number) as done:
                logits_NK = _answer(model, images_NCHW)
            if done[0] and bool(logits_NK.isfinite().all()):
                found.append(asked.to_answers(logits_NK))
        if found:
            falls[row.place, deed] = _compare(whole, found, asked)
    return Falls(falls, whole.score(asked.metric), count, _SHUFFLES)


def _compare(whole: Answers, found: list[Answers], asked: Asked) -> Fall:
    """Return the mean fall of several shuffles, with its interval over the pictures and the shuffles together."""
    fall = whole.score(asked.metric) - float(np.mean([entry.score(asked.metric) for entry in found]))
    interval = loss_of(whole, found, asked.metric, derive(0, "falls"), groups=asked.groups)
    if asked.higher_is_better:
        return Fall(fall, interval)
    return Fall(-fall, None if interval is None else Interval(low=-interval.high, high=-interval.low))


def _affordable(model: nn.Module, images_NCHW: Tensor, n_passes: int, asked: Asked) -> int:
    """Return how many pictures can be answered so often in the time."""
    some = images_NCHW[: _at_once(images_NCHW)]
    _answer(model, some[:1])  # the first pass of all is slower
    started = time.perf_counter()
    _answer(model, some)
    if (wait := waiting_for(images_NCHW.device)) is not None:
        wait()
    each_s = (time.perf_counter() - started) / len(some)
    return min(len(images_NCHW), max(asked.least_scored, int(asked.most_seconds / (each_s * n_passes))))


def _at_once(images_NCHW: Tensor) -> int:
    return answered_at_once(images_NCHW.shape[2], images_NCHW.shape[3], on_cpu=images_NCHW.device.type == "cpu")


def waiting_for(device: torch.device) -> Callable[[], None] | None:
    """Return what waits until a device has done what it was asked; none for a CPU, which does it at once."""
    if device.type == "cuda":
        return lambda: torch.cuda.synchronize(device)
    return torch.mps.synchronize if device.type == "mps" else None


def _deeds(model: nn.Module, row: Traced, rows: list[Traced]) -> Iterator[str]:
    """Give what can be done to a layer."""
    if row.skip is not None or (
        not row.is_function and row.module is not model and row.input_shape == row.output_shape
    ):
        yield "bypassed"
    if any(p.numel() > 1 for p in own_parameters(row.module).values()) and _holds_them(row, rows):
        yield "shuffled"


def _holds_them(row: Traced, rows: list[Traced]) -> bool:
    """Whether the parameters of a layer's module are the layer's: of a function, where no other one could hold them."""
    if not row.is_function:
        return True
    return [other for other in rows if other.module is row.module and other.kind in HOLDING] == [row]


def _answer(model: nn.Module, images_NCHW: Tensor) -> Tensor:
    with evaluating(model), torch.no_grad():
        return torch.cat([model(batch).float() for batch in torch.split(images_NCHW, _at_once(images_NCHW))])


@contextlib.contextmanager
def _shuffled(row: Traced, number: int) -> Iterator[list[bool]]:
    """Shuffle the numbers of each of a layer's own parameters, and put them back."""
    own = own_parameters(row.module)
    kept = {name: parameter.detach().clone() for name, parameter in own.items()}
    chance = torch.Generator().manual_seed(derive(0, "shuffle", row.owner, number))
    try:
        with torch.no_grad():
            for name, parameter in own.items():
                order = torch.randperm(parameter.numel(), generator=chance).to(parameter.device)
                parameter.copy_(kept[name].flatten()[order].reshape(parameter.shape))
        yield [True]
    finally:
        with torch.no_grad():
            for name, parameter in own.items():
                parameter.copy_(kept[name])
