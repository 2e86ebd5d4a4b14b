"""A network layer by layer: what it is made of, and what each layer is worth on real pictures.

Shapes: B pictures, N pictures, C channels, H and W pixels, K logits.
"""

from __future__ import annotations

import contextlib
import statistics
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from etude.core.seeds import derive
from etude.explain.channels import channel_axis
from etude.explain.records import LayerRow, LayersRecord, Role
from etude.explain.tracing import Traced, Tracer

_TIMED_BATCH, _TIMES = 8, 5
_SEEN = 64  # pictures on which activations are looked at
_BATCH = 128
_NORMS_AND_MAPS = ("convolution", "depthwise convolution", "pointwise convolution", "patch embedding", "up-sampling")
_HOLDING = ("batch norm", "layer norm", "attention", "dense", "convolution", "scale")
Score = Callable[[Tensor], float]
"""Takes the logits (N, K) of the first N pictures and gives their score."""


def describe_layers(
    model: nn.Module,
    images_NCHW: Tensor,
    *,
    network: str,
    score: Score | None = None,
    metric: str = "",
    higher_is_better: bool = True,
    most_seconds: float = 60.0,
    least_scored: int = 64,
    device: str = "",
) -> LayersRecord:
    """Return the table of a network.

    Args:
        model: the network; it is left as it was.
        images_NCHW: real pictures, float and normalised, on the network's device; at least one.
        network: what to call it.
        score: gives the score of logits; without it no fall is measured.
        metric: name of the score.
        higher_is_better: its direction.
        most_seconds: about how long falls may take; fewer pictures are answered where all would take longer.
        least_scored: pictures that are answered for each fall at the least, however long that takes.
        device: the machine in words.
    """
    tracer = Tracer(model)
    tracer.run(images_NCHW[:1])
    rows = tracer.rows
    shares = _time(model, images_NCHW[:_TIMED_BATCH], len(rows))
    sees_all = _probe(model, images_NCHW[:1], len(rows))
    activity = _watch_activity(model, images_NCHW[:_SEEN], len(rows))
    falls, whole, n_scored = _Falls(model, rows, images_NCHW, score, higher_is_better).measure(
        most_seconds, least_scored
    )
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
            fall_bypassed=falls.get((place, "bypassed")),
            fall_shuffled=falls.get((place, "shuffled")),
        )
        for place, row in enumerate(rows)
    ]
    described += _left_over(model, owners)
    return LayersRecord(
        network=network,
        size_px=(int(images_NCHW.shape[2]), int(images_NCHW.shape[3])),
        rows=tuple(described),
        params=sum(parameter.numel() for parameter in model.parameters()),
        macs=sum(row.macs for row in rows),
        metric=metric if n_scored else "",
        score=whole,
        n_pictures=n_scored,
        n_seen=min(_SEEN, len(images_NCHW)),
        device=device,
    )


def _last_matrix(rows: list[Traced]) -> Traced | None:
    """Return the layer that gives the logits: the last one that multiplies and gives one number a class."""
    made = [row for row in rows if row.macs > 0]
    return made[-1] if made and made[-1].kind in ("dense", "pointwise convolution", "convolution") else None


def _role(row: Traced, place: int) -> Role:
    """Return what stands out of a layer at its place."""
    if row.kind not in (*_NORMS_AND_MAPS, "pooling", "dense"):
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


def waiting_for(device: torch.device) -> Callable[[], None] | None:
    """Return what waits until a device has done what it was asked; none for a CPU, which does it at once."""
    if device.type == "cuda":
        return lambda: torch.cuda.synchronize(device)
    return torch.mps.synchronize if device.type == "mps" else None


def _probe(model: nn.Module, image_1CHW: Tensor, n_rows: int) -> list[bool]:
    """Say of each layer whether all that it gives depends on the corner pixel: a NaN there has reached everything."""
    found: dict[int, bool] = {}
    image_1CHW = torch.zeros_like(image_1CHW)
    image_1CHW[:, :, 0, 0] = torch.nan
    tracer = Tracer(model, watch=lambda row, output: found.update({id(row): bool(output.isnan().all())}))
    tracer.run(image_1CHW)
    reached = [found.get(id(row), False) for row in tracer.rows]
    return reached if len(reached) == n_rows else [False] * n_rows


def _watch_activity(model: nn.Module, images_BCHW: Tensor, n_rows: int) -> dict[int, tuple[float, float]]:
    """Return, for each activation, the shares of dead channels and of numbers that are not above zero."""
    found: dict[int, tuple[float, float]] = {}

    def watch(row: Traced, output: Tensor) -> None:
        is_activation = row.kind == "activation" or (row.kind is None and "activation" in row.kinds)
        if is_activation and output.is_floating_point() and output.ndim > 1:
            found[id(row)] = _activity(output, channel_axis(tracer.rows, row, tuple(output.shape)))

    tracer = Tracer(model, watch=watch)
    tracer.run(images_BCHW)
    if len(tracer.rows) != n_rows:
        return {}
    return {place: found[id(row)] for place, row in enumerate(tracer.rows) if id(row) in found}


def _activity(output: Tensor, axis: int) -> tuple[float, float]:
    """Return the share of channels that give one number everywhere, and that of numbers that are zero or below.

    Args:
        output: what the activation gives.
        axis: that along which its channels lie.
    """
    flat_NC = output.movedim(axis, -1).reshape(-1, output.shape[axis]).float()
    dead = (flat_NC.amax(0) == flat_NC.amin(0)).float().mean().item()
    return dead, (output <= 0).float().mean().item()


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


class _Falls:
    """By how much the score gets worse without a layer, and with its weights shuffled."""

    def __init__(
        self, model: nn.Module, rows: list[Traced], images_NCHW: Tensor, score: Score | None, higher_is_better: bool
    ) -> None:
        self.model = model
        self.rows = [row for row in rows if row.first_of_module and row.kind != "dropout"]
        self.images = images_NCHW
        self.score = score
        self.sign = 1.0 if higher_is_better else -1.0

    def measure(self, most_seconds: float, least_scored: int) -> tuple[dict[tuple[int, str], float], float | None, int]:
        """Return the falls by layer and deed, the score of the whole network, and the pictures that were answered."""
        if self.score is None:
            return {}, None, 0
        deeds = [(row, deed) for row in self.rows for deed in self._deeds(row)]
        started = time.perf_counter()
        self._answer(min(_BATCH, len(self.images)))
        if (wait := waiting_for(self.images.device)) is not None:
            wait()
        each_s = (time.perf_counter() - started) / min(_BATCH, len(self.images))
        affordable = int(most_seconds / (each_s * (len(deeds) + 1)))
        count = min(len(self.images), max(least_scored, affordable))
        whole = self.score(self._answer(count))
        falls: dict[tuple[int, str], float] = {}
        for row, deed in deeds:
            with self._bypassed(row.module) if deed == "bypassed" else self._shuffled(row) as done:
                logits_NK = self._answer(count)
            if done[0]:
                falls[row.place, deed] = self.sign * (whole - self.score(logits_NK))
        return falls, whole, count

    def _deeds(self, row: Traced) -> Iterator[str]:
        is_same_shape = not row.is_function and row.input_shape == row.output_shape
        if row.module is not self.model and (row.kind == "residual" or is_same_shape):
            yield "bypassed"
        if not row.is_function and any(p.numel() > 1 for p in row.module.parameters(recurse=False)):
            yield "shuffled"

    def _answer(self, count: int) -> Tensor:
        was_training = self.model.training
        self.model.eval()
        try:
            with torch.no_grad():
                return torch.cat([self.model(batch).float() for batch in torch.split(self.images[:count], _BATCH)])
        finally:
            self.model.train(was_training)

    @contextlib.contextmanager
    def _bypassed(self, module: nn.Module) -> Iterator[list[bool]]:
        """Let a module pass on what it takes; the list says whether the shapes allowed it."""
        done = [False]

        def pass_on(_: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
            done[0] = isinstance(output, Tensor) and bool(inputs) and inputs[0].shape == output.shape
            return inputs[0] if done[0] else output

        handle = module.register_forward_hook(pass_on)
        try:
            yield done
        finally:
            handle.remove()

    @contextlib.contextmanager
    def _shuffled(self, row: Traced) -> Iterator[list[bool]]:
        """Shuffle the numbers of each of a layer's own parameters, and put them back."""
        kept = {name: parameter.detach().clone() for name, parameter in row.module.named_parameters(recurse=False)}
        chance = torch.Generator().manual_seed(derive(0, "shuffle", row.name))
        try:
            with torch.no_grad():
                for name, parameter in row.module.named_parameters(recurse=False):
                    order = torch.randperm(parameter.numel(), generator=chance).to(parameter.device)
                    parameter.copy_(kept[name].flatten()[order].reshape(parameter.shape))
            yield [True]
        finally:
            with torch.no_grad():
                for name, parameter in row.module.named_parameters(recurse=False):
                    parameter.copy_(kept[name])
