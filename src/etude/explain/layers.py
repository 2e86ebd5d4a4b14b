"""A network layer by layer: what it is made of, and what each layer is worth on real pictures.

Shapes: B and N pictures, C channels, H and W pixels.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn

from etude.core.machine import answered_at_once
from etude.explain.channels import channel_axis
from etude.explain.falls import Asked, Falls, measure_falls, waiting_for
from etude.explain.records import LayerRow, LayersRecord, Member, Role
from etude.explain.tracing import Traced, Tracer

_TIMED_BATCH, _TIMES = 8, 5
_SEEN = 64  # pictures on which activations are looked at
_NORMS_AND_MAPS = ("convolution", "depthwise convolution", "pointwise convolution", "patch embedding", "up-sampling")
_HOLDING = ("batch norm", "layer norm", "attention", "dense", "convolution", "scale")


def describe_layers(
    model: nn.Module,
    images_NCHW: Tensor,
    *,
    network: str,
    asked: Asked | None = None,
    device: str = "",
    member: Member | None = None,
) -> LayersRecord:
    """Return the table of a network.

    Args:
        model: the network; it is left as it was.
        images_NCHW: real pictures, float and normalised, on the network's device; at least one. Some measurements look
            at the first ones only: any first ones must stand for all, whatever the order of the source.
        network: what to call it.
        asked: how falls are measured; without it none is.
        device: the machine in words.
        member: which network it is of a run in which several answer together.
    """
    tracer = Tracer(model)
    tracer.run(images_NCHW[:1])
    rows = tracer.rows
    shares = _time(model, images_NCHW[:_TIMED_BATCH], len(rows))
    sees_all = _probe(model, images_NCHW[:1], len(rows))
    activity = _watch_activity(model, images_NCHW[:_SEEN], len(rows))
    falls = Falls() if asked is None else measure_falls(model, rows, images_NCHW, asked)
    owners = _own_parameters(model, rows)
    last = _last_matrix(rows)
    described = [
        LayerRow(
            name=row.name,
            kind="head" if row is last else row.kind or "other",
            role=_role(row, place),
            type=row.type,
            input_shape=row.input_shape,
            output_shape=row.output_shape,
            params=sum(parameter.numel() for parameter in owners.get(row.place, [])),
            trained=sum(p.numel() for p in owners.get(row.place, []) if p.requires_grad),
            macs=row.macs,
            receptive_px=None if row.field is None else row.field.size_px,
            stride_px=None if row.field is None or row.field.size_px is None else row.field.stride_px,
            sees_all=sees_all[place],
            joins=row.joins,
            time_share=shares[place],
            dead=activity.get(place, (None, None))[0],
            sparsity=activity.get(place, (None, None))[1],
            **_told_of(falls, place),
        )
        for place, row in enumerate(rows)
    ]
    described += _left_over(model, owners)
    return LayersRecord(
        network=network,
        member=member,
        size_px=(int(images_NCHW.shape[2]), int(images_NCHW.shape[3])),
        rows=tuple(described),
        params=sum(parameter.numel() for parameter in model.parameters()),
        macs=sum(row.macs for row in rows),
        metric="" if asked is None else asked.metric,
        score=falls.whole,
        n_pictures=falls.n_pictures,
        n_shuffles=falls.n_shuffles,
        n_seen=min(_SEEN, len(images_NCHW)),
        device=device,
    )


def _told_of(falls: Falls, place: int) -> dict[str, Any]:
    """Return the fields of a layer's row that say what it is worth."""
    fields: dict[str, Any] = {}
    for deed in ("bypassed", "shuffled"):
        if (found := falls.of.get((place, deed))) is not None:
            fields |= {f"fall_{deed}": found.fall, f"interval_{deed}": found.interval}
    return fields


def _last_matrix(rows: list[Traced]) -> Traced | None:
    """Return the layer that gives the logits: the last one that multiplies and gives one number a class."""
    made = [row for row in rows if row.macs > 0]
    return made[-1] if made and made[-1].kind in ("dense", "pointwise convolution", "convolution") else None


def _role(row: Traced, place: int) -> Role:
    """Return what stands out of a layer at its place."""
    if row.kind not in (*_NORMS_AND_MAPS, "resizing", "pooling", "dense"):
        return ""
    if place == 0:
        return "first"
    before, after = row.input_shape, row.output_shape
    if row.kind == "dense":
        return "" if before[-1:] == after[-1:] else "widens" if after[-1] > before[-1] else "narrows"
    if len(before) == len(after) == 3 and after[1] != before[1]:
        return "halves" if after[1] < before[1] else "enlarges"
    if len(before) == len(after) == 3 and after[0] != before[0]:
        return "widens" if after[0] > before[0] else "narrows"
    return ""


def _time(model: nn.Module, images_BCHW: Tensor, n_rows: int) -> list[float]:
    """Return each layer's share of the time: the median over several passes, the first left out."""
    passes: list[list[float]] = []
    wait = waiting_for(images_BCHW.device)
    for _ in range(_TIMES + 1):
        tracer = Tracer(model, wait=wait)
        tracer.run(images_BCHW)
        passes.append([row.seconds for row in tracer.rows])
    kept = [seconds for seconds in passes[1:] if len(seconds) == n_rows]
    medians = [statistics.median(column) for column in zip(*kept, strict=True)] or [0.0] * n_rows
    total = sum(medians)
    return [median / total if total else 0.0 for median in medians]


def _probe(model: nn.Module, image_1CHW: Tensor, n_rows: int) -> list[bool]:
    """Say of each layer whether all that it gives depends on the corner pixel: a NaN there has reached everything."""
    found: dict[int, bool] = {}
    image_1CHW = torch.zeros_like(image_1CHW)
    image_1CHW[:, :, 0, 0] = torch.nan
    tracer = Tracer(model, watch=lambda row, output: found.update({id(row): bool(output.isnan().all())}))
    tracer.run(image_1CHW)
    reached = [found.get(id(row), False) for row in tracer.rows]
    return reached if len(reached) == n_rows else [False] * n_rows


@dataclass
class _Activity:
    """What an activation gave, over batches."""

    most_C: Tensor
    """The largest number of each channel."""
    least_C: Tensor
    """The smallest."""
    n_idle: int
    """Numbers that are zero or below."""
    n: int
    """Numbers."""

    @classmethod
    def of(cls, output: Tensor, axis: int) -> Self:
        """Look at what an activation gives; `axis` is that along which its channels lie."""
        flat_NC = output.movedim(axis, -1).reshape(-1, output.shape[axis])
        return cls(flat_NC.amax(0).float(), flat_NC.amin(0).float(), int((output <= 0).sum()), output.numel())

    def __add__(self, other: _Activity) -> _Activity:
        most_C, least_C = torch.maximum(self.most_C, other.most_C), torch.minimum(self.least_C, other.least_C)
        return _Activity(most_C, least_C, self.n_idle + other.n_idle, self.n + other.n)

    @property
    def shares(self) -> tuple[float, float]:
        """The share of channels that gave one number everywhere, and that of numbers that are zero or below."""
        return (self.most_C == self.least_C).float().mean().item(), self.n_idle / self.n


def _watch_activity(model: nn.Module, images_NCHW: Tensor, n_rows: int) -> dict[int, tuple[float, float]]:
    """Return, for each activation, the shares of dead channels and of numbers that are not above zero."""
    found: dict[int, _Activity] = {}
    at_once = answered_at_once(images_NCHW.shape[2], images_NCHW.shape[3], on_cpu=images_NCHW.device.type == "cpu")
    for images_BCHW in torch.split(images_NCHW, at_once):
        for place, activity in _watch_batch(model, images_BCHW, n_rows).items():
            found[place] = found[place] + activity if place in found else activity
    return {place: activity.shares for place, activity in found.items()}


def _watch_batch(model: nn.Module, images_BCHW: Tensor, n_rows: int) -> dict[int, _Activity]:
    found: dict[int, _Activity] = {}

    def watch(row: Traced, output: Tensor) -> None:
        is_activation = row.kind == "activation" or (row.kind is None and "activation" in row.kinds)
        if is_activation and output.is_floating_point() and output.ndim > 1:
            found[id(row)] = _Activity.of(output, channel_axis(tracer.rows, row, tuple(output.shape)))

    tracer = Tracer(model, watch=watch)
    tracer.run(images_BCHW)
    if len(tracer.rows) != n_rows:
        return {}
    return {place: found[id(row)] for place, row in enumerate(tracer.rows) if id(row) in found}


def _own_parameters(model: nn.Module, rows: list[Traced]) -> dict[int, list[nn.Parameter]]:
    """Return the parameters that each layer holds, each once, by the layer's place."""
    owners: dict[int, list[nn.Parameter]] = {}
    seen: set[int] = set()
    for row in rows:
        if row.is_function and row.kind not in _HOLDING:
            continue
        for parameter in row.module.parameters(recurse=False):
            if id(parameter) not in seen:
                seen.add(id(parameter))
                owners.setdefault(row.place, []).append(parameter)
    return owners


def _left_over(model: nn.Module, owners: dict[int, list[nn.Parameter]]) -> list[LayerRow]:
    """Return a row for each parameter that no layer holds, such as the embedding of places in a transformer."""
    held = {id(parameter) for owned in owners.values() for parameter in owned}
    return [
        LayerRow(
            name=name,
            kind="parameters",
            type=type(parameter).__name__,
            input_shape=(),
            output_shape=tuple(parameter.shape),
            params=parameter.numel(),
            trained=parameter.numel() if parameter.requires_grad else 0,
            macs=0,
        )
        for name, parameter in model.named_parameters()
        if id(parameter) not in held
    ]
