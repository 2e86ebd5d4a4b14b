"""A network layer by layer: what it is made of, and what each layer is worth on real pictures.

Shapes: B and N pictures, C channels, H and W pixels.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from etude.core.machine import answered_at_once
from etude.explain.activity import watch_activity
from etude.explain.falls import Asked, Falls, measure_falls, waiting_for
from etude.explain.given import Given
from etude.explain.kinds import HOLDING
from etude.explain.records import LayerRow, LayersRecord, Member, Role, Side
from etude.explain.tracing import Traced, Tracer, own_parameters

_TIMED_BATCH, _TIMES = 8, 5
_SEEN = 64  # pictures on which activations are looked at
_NORMS_AND_MAPS = ("convolution", "depthwise convolution", "pointwise convolution", "patch embedding", "up-sampling")


def describe_layers(
    model: nn.Module,
    images_NCHW: Tensor,
    *,
    network: str,
    asked: Asked | None = None,
    device: str = "",
    member: Member | None = None,
) -> LayersRecord:
    """Return the table of a network that answers to pictures.

    Args:
        model: the network; it is left as it was.
        images_NCHW: real pictures, float and normalised, on the network's device; at least one. Some measurements look
            at the first ones only: any first ones must stand for all, whatever the order of the source.
        network: what to call it.
        asked: how falls are measured; without it none is.
        device: the machine in words.
        member: which network it is of a run in which several answer together.
    """
    size_px = (int(images_NCHW.shape[2]), int(images_NCHW.shape[3]))
    record, rows = _describe(model, Given((images_NCHW,)), _Told(network, size_px, device, member=member))
    if asked is None:
        return record
    falls = measure_falls(model, rows, images_NCHW, asked)
    told = [row.model_copy(update=_told_of(falls, place)) for place, row in enumerate(record.rows)]
    return record.model_copy(
        update={
            "rows": tuple(told),
            "metric": asked.metric,
            "score": falls.whole,
            "n_pictures": falls.n_pictures,
            "n_shuffles": falls.n_shuffles,
        }
    )


def describe_adversary(
    model: nn.Module,
    given: Given,
    *,
    network: str,
    side: Side,
    size_px: tuple[int, int],
    device: str = "",
    is_trained: bool = True,
) -> LayersRecord:
    """Return the table of a generator, or of the discriminator that it is trained against; it has no falls.

    Args:
        model: the network; it is left as it was.
        given: what it takes: latent vectors or real pictures, and class ids where it is told the class.
        network: what to call it.
        side: which of the two it is.
        size_px: height and width of the pictures.
        device: the machine in words.
        is_trained: whether it has the weights that it learnt; without them activations say nothing and are not looked
            at.
    """
    return _describe(model, given, _Told(network, size_px, device, side=side, is_trained=is_trained))[0]


@dataclass(frozen=True)
class _Told:
    """What is known of a network before it is looked at."""

    network: str
    size_px: tuple[int, int]
    device: str
    member: Member | None = None
    side: Side = ""
    is_trained: bool = True


def _describe(model: nn.Module, given: Given, told: _Told) -> tuple[LayersRecord, list[Traced]]:
    tracer = Tracer(model)
    _send(given.first(1), tracer)
    rows = tracer.rows
    shares = _time(model, given.first(_TIMED_BATCH), len(rows))
    sees_all = [False] * len(rows) if told.side == "generator" else _probe(model, given.first(1), len(rows))
    at_once = answered_at_once(*told.size_px, on_cpu=given.device.type == "cpu")
    activity = watch_activity(model, given.first(_SEEN), len(rows), at_once) if told.is_trained else {}
    owners = _own_parameters(model, rows)
    last = _last_matrix(rows) if told.side == "" else None
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
        )
        for place, row in enumerate(rows)
    ]
    described += _left_over(model, owners)
    record = LayersRecord(
        network=told.network,
        side=told.side,
        member=told.member,
        size_px=told.size_px,
        rows=tuple(described),
        params=sum(parameter.numel() for parameter in model.parameters()),
        macs=sum(row.macs for row in rows),
        n_seen=min(_SEEN, len(given)) if told.is_trained else 0,
        device=told.device,
    )
    return record, rows


def _send(given: Given, tracer: Tracer) -> None:
    tracer.run(*given.tensors, **given.options)


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


def _time(model: nn.Module, batch: Given, n_rows: int) -> list[float]:
    """Return each layer's share of the time: the median over several passes, the first left out."""
    passes: list[list[float]] = []
    wait = waiting_for(batch.device)
    for _ in range(_TIMES + 1):
        tracer = Tracer(model, wait=wait)
        _send(batch, tracer)
        passes.append([row.seconds for row in tracer.rows])
    kept = [seconds for seconds in passes[1:] if len(seconds) == n_rows]
    medians = [statistics.median(column) for column in zip(*kept, strict=True)] or [0.0] * n_rows
    total = sum(medians)
    return [median / total if total else 0.0 for median in medians]


def _probe(model: nn.Module, given: Given, n_rows: int) -> list[bool]:
    """Say of each layer whether all that it gives depends on the corner pixel: a NaN there has reached everything."""
    found: dict[int, bool] = {}
    image_1CHW = torch.zeros_like(given.tensors[0])
    image_1CHW[:, :, 0, 0] = torch.nan
    tracer = Tracer(model, watch=lambda row, output: found.update({id(row): bool(output.isnan().all())}))
    _send(Given((image_1CHW, *given.tensors[1:]), given.options), tracer)
    reached = [found.get(id(row), False) for row in tracer.rows]
    return reached if len(reached) == n_rows else [False] * n_rows


def _own_parameters(model: nn.Module, rows: list[Traced]) -> dict[int, list[nn.Parameter]]:
    """Return the parameters that each layer holds, each once, by the layer's place."""
    owners: dict[int, list[nn.Parameter]] = {}
    seen: set[int] = set()
    for row in rows:
        if row.is_function and row.kind not in HOLDING:
            continue
        for parameter in own_parameters(row.module).values():
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
