"""One look at a picture's way through a network: every operation, and the layer that it belongs to.

Modules without children are layers. So is what a module that holds others computes itself: an activation called as a
function, the sum of a residual block, the product of an attention. Shapes: B pictures, C channels, H and W pixels.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils.weak import WeakTensorKeyDictionary

from etude.explain.costs import count_op_macs
from etude.explain.kinds import called, kind_by_shapes, kind_of_function, kind_of_module, plain_operation
from etude.explain.receptive import Field, grow, no_picture, whole_picture
from etude.explain.records import Kind
from etude.explain.skips import find_skip

Watch = Callable[["Traced", Tensor], None]


@dataclass(eq=False)
class Traced:
    """One layer while it is looked at."""

    place: int
    name: str
    type: str
    kind: Kind | None
    module: nn.Module
    """The module itself, or the one that calls the function."""
    is_function: bool
    owner: str = ""
    """Dotted name of that module."""
    input_shape: tuple[int, ...] = ()
    output_shape: tuple[int, ...] = ()
    macs: int = 0
    seconds: float = 0.0
    field: Field | None = None
    joins: int | None = None
    sees_all: bool = False
    n_ops: int = 0
    kinds: list[Kind] = dataclasses.field(default_factory=list)
    first_of_module: bool = True
    source: int | None = None
    """The place of the layer that gave what it takes first; none for the picture."""
    sources: set[int | None] = dataclasses.field(default_factory=set)
    """While a picture goes through, the places of all layers that gave what it takes; none for the picture."""
    op: str = ""
    """Of a function, the operation as torch calls it, in place or not."""
    skip: int | None = None
    """Of a function, the place among the operation's arguments of what it passes on when it is left out; none where it
    cannot be."""


class Tracer(TorchDispatchMode):  # type: ignore[no-untyped-call,unused-ignore]
    """Hears every operation of a forward pass; `rows` are the layers in their order.

    Args:
        model: the network.
        watch: is given each layer and what it gave.
        wait: waits until the device has done what it was asked; without it an operation's time on a GPU is only
            that of asking for it.
    """

    def __init__(
        self, model: nn.Module, *, watch: Watch | None = None, wait: Callable[[], None] | None = None
    ) -> None:  # fmt: skip
        super().__init__()  # type: ignore[no-untyped-call]
        self.model = model
        self.rows: list[Traced] = []
        self._watch = watch
        self._wait = wait
        self._names = {module: name for name, module in model.named_modules()}
        self._open: list[tuple[nn.Module, Traced | None]] = []
        self._fields: Any = WeakTensorKeyDictionary()  # it has no types
        self._seen: set[nn.Module] = set()
        self._batch = 1
        self._last: tuple[nn.Module, Traced] | None = None

    def run(self, *given: Tensor, **options: Any) -> Any:  # noqa: ANN401 - whatever the network gives
        """Send examples through the network, in evaluation mode and without gradients; return what it gives.

        Args:
            given: what the network takes, each of B examples: pictures (B, C, H, W), or others such as latent vectors
                (B, Z) and class ids (B,), which have no places and so no receptive field.
            options: what else it is called with, by name.
        """
        self._batch = given[0].shape[0]
        with evaluating(self.model), heard(self.model, self._enter, self._leave), torch.no_grad():
            given = tuple(tensor.clone() for tensor in given)
            for tensor in given:
                self._fields[tensor] = (
                    whole_picture(tensor.shape[2], tensor.shape[3], self._batch)
                    if tensor.ndim == 4
                    else no_picture(self._batch)
                )
            with self:
                output = self.model(*given, **options)
        self.rows = [row for row in self.rows if _is_layer(row)]
        self._renumber()
        return output

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401
        """Do an operation, and book it to its layer."""
        if self._wait is not None:
            self._wait()
        started = time.perf_counter()
        output = func(*args, **(kwargs or {}))
        if self._wait is not None:
            self._wait()
        seconds = time.perf_counter() - started
        given = _tensors(args)
        fields = [known for tensor in given if (known := self._fields.get(tensor)) is not None]
        first = next(iter(_tensors((output,))), None)
        if not fields or first is None:
            return output
        name = func.overloadpacket.__name__
        row = self._row_for(name, given, first)
        grown = grow(plain_operation(name), args, first, fields)
        if row is not None:
            row.source = fields[0].row if row.n_ops == 0 else row.source
            if row.is_function and row.n_ops == 0:
                came_from = [entry.row for entry in fields]
                row.skip = find_skip(row.kind, args, kwargs or {}, first, came_from, lambda at: self.rows[at].sources)
            row.sources |= {entry.row for entry in fields}
            row.seconds += seconds
            row.macs += count_op_macs(name, args, first)
            row.n_ops += 1
            row.output_shape = tuple(first.shape)
            row.field = grown
            kind = kind_of_function(name)
            row.kinds += [kind] if kind else []
            if plain_operation(name) == "add" and row.kind == "residual":
                sources = [-1 if entry.row is None else entry.row for entry in fields]
                row.joins = min(sources) if min(sources) >= 0 else None
            if row.is_function:
                self._finish(row, first)
            if row.kind is not None or kind is not None:  # what only moves numbers passes on where they come from
                grown = dataclasses.replace(grown, row=row.place)
        for tensor in _tensors(output if isinstance(output, tuple | list) else (output,)):
            self._fields[tensor] = grown
        return output

    def _row_for(self, name: str, given: list[Tensor], output: Tensor) -> Traced | None:
        """Return the layer that an operation belongs to; none where it only moves numbers about."""
        if not self._open:
            return None
        module, row = self._open[-1]
        if row is not None:
            return row
        kind = self._kind_here(name, module, given, output)
        last = self._last[1] if self._last and self._last[0] is module else None
        if kind is None:
            return last if last is not None and last.kind == "attention" and last is self.rows[-1] else None
        if kind == "attention" and last is not None and last.kind == "attention" and last is self.rows[-1]:
            return last
        word = "attention" if kind == "attention" else called(name)
        new = self._add(module, f"{self._names[module]} · {word}".removeprefix(" · "), kind, is_function=True)
        new.type, new.op = word, plain_operation(name)
        new.input_shape = tuple(given[0].shape)
        self._last = (module, new)
        return new

    def _kind_here(self, name: str, module: nn.Module, given: list[Tensor], output: Tensor) -> Kind | None:
        plain = plain_operation(name)
        known = [tensor for tensor in given if tensor in self._fields]
        if plain == "add":
            return "residual" if len(known) == 2 and known[0].shape == known[1].shape else None
        if plain == "mul":
            return "gate" if len(known) == 2 else None
        if plain == "cat":
            return "join" if len(known) > 1 else None
        kind = kind_of_function(name)
        if kind == "dense" and isinstance(module, nn.MultiheadAttention):
            return "attention"
        if kind == "global pooling" and output.numel() * 2 > given[0].numel():
            return None
        if plain == "_softmax" and given[0].ndim < 3:
            return None
        return kind

    def _enter(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        row = None
        if _is_layer_itself(module):
            row = self._add(module, self._names[module], kind_of_module(module), is_function=False)
            row.first_of_module = module not in self._seen
            tensors = _tensors(inputs)
            row.input_shape = tuple(tensors[0].shape) if tensors else ()
            self._seen.add(module)
        self._open.append((module, row))

    def _leave(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:  # noqa: ANN401
        _, row = self._open.pop()
        tensors = _tensors(output if isinstance(output, tuple | list) else (output,))
        if row is not None and tensors:
            row.output_shape = tuple(tensors[0].shape)
            row.field = self._fields.get(tensors[0])
            self._finish(row, tensors[0])

    def _finish(self, row: Traced, output: Tensor) -> None:
        if self._watch is not None:
            with _disable_current_modes():
                self._watch(row, output)

    def _add(self, module: nn.Module, name: str, kind: Kind | None, *, is_function: bool) -> Traced:
        owner = self._names[module]
        called_type = type(module).__name__.removeprefix("Parametrized")
        row = Traced(len(self.rows), name, called_type, kind, module, is_function, owner)
        self.rows.append(row)
        return row

    def _renumber(self) -> None:
        """Number the layers that are left, and say what each is."""
        places = {row.place: place for place, row in enumerate(self.rows)}
        for place, row in enumerate(self.rows):
            row.joins = None if row.joins is None else _kept_place(row.joins, places)
            row.source = None if row.source is None else _kept_place(row.source, places)
            row.place = place
            row.kind = row.kind or next(iter(row.kinds), None) or "other"
            row.input_shape, row.output_shape = row.input_shape[1:], row.output_shape[1:]
            row.kind = kind_by_shapes(row.kind, row.input_shape, row.output_shape)
            row.macs //= self._batch
        self._name_apart()

    def _name_apart(self) -> None:
        """Number the functions of one name, such as the two sums of a block, from the second on."""
        counts: Counter[str] = Counter()
        for row in self.rows:
            if row.is_function:
                counts[row.name] += 1
                row.name += f" {counts[row.name]}" if counts[row.name] > 1 else ""


def _is_layer_itself(module: nn.Module) -> bool:
    """Whether a module holds no others but those that make its weights, such as a spectral norm."""
    return all(name == "parametrizations" for name, _ in module.named_children())


def own_parameters(module: nn.Module) -> dict[str, nn.Parameter]:
    """Return what a module itself learns, by name: what a parametrisation such as a spectral norm makes is its own."""
    return {
        name: parameter
        for name, parameter in module.named_parameters()
        if "." not in name or name.startswith("parametrizations.")
    }


def _kept_place(place: int, places: dict[int, int]) -> int | None:
    """Return the new place of a layer, or that of the last one before it that is left."""
    return next((places[before] for before in range(place, -1, -1) if before in places), None)


def _is_layer(row: Traced) -> bool:
    """Leave out what does nothing: identities, flattening, dropout of nothing."""
    if row.kind == "dropout":
        return any(getattr(row.module, name, 0) for name in ("p", "drop_prob"))
    if row.n_ops == 0:
        return False
    return row.kind is not None or bool(row.kinds) or row.macs > 0 or bool(own_parameters(row.module))


def _tensors(values: Any) -> list[Tensor]:  # noqa: ANN401
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, tuple | list):
            found += _tensors(value)
    return found


@contextlib.contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Hold a network in evaluation mode, without the fused path of attention, which hides what it computes."""
    was_training, was_fast = model.training, torch.backends.mha.get_fastpath_enabled()
    model.eval()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        model.train(was_training)
        torch.backends.mha.set_fastpath_enabled(was_fast)


@contextlib.contextmanager
def heard(model: nn.Module, enter: Callable[..., None], leave: Callable[..., None]) -> Iterator[None]:
    """Call `enter` and `leave` around every module."""
    handles = []
    for module in model.modules():
        handles.append(module.register_forward_pre_hook(enter))
        handles.append(module.register_forward_hook(leave))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
