"""One layer left out of a forward pass: a module, or one operation of a module's own code."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from etude.explain.kinds import plain_operation
from etude.explain.tracing import Traced, heard


@contextlib.contextmanager
def bypassed(model: nn.Module, row: Traced, rows: Sequence[Traced]) -> Iterator[list[bool]]:
    """Leave a layer out of the passes that follow; the list says, after them, whether that could be done.

    Args:
        model: the network.
        row: the layer.
        rows: all layers of the network, among which an operation is known by its place.
    """
    if not row.is_function:
        with _module_bypassed(row.module) as done:
            yield done
        return
    without = _WithoutOne(model, row, rows)
    with heard(model, without.enter, without.leave), without:
        yield without.done


@contextlib.contextmanager
def _module_bypassed(module: nn.Module) -> Iterator[list[bool]]:
    """Let a module pass on what it takes; the list says whether the shapes allowed it."""
    done = [False]
    taken: list[Tensor] = []

    def keep(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        # What works in place, as activations do, has changed its input by the time it is through.
        taken[:] = [inputs[0].clone()] if inputs and isinstance(inputs[0], Tensor) else []

    def pass_on(_: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        done[0] = isinstance(output, Tensor) and bool(taken) and taken[0].shape == output.shape
        return taken.pop() if done[0] else output

    handles = [module.register_forward_pre_hook(keep), module.register_forward_hook(pass_on)]
    try:
        yield done
    finally:
        for handle in handles:
            handle.remove()


class _WithoutOne(TorchDispatchMode):  # type: ignore[no-untyped-call,unused-ignore]
    """Passes on, at one operation of a module's own code, what it skips.

    The operation is known by its number among those of its name that this module calls itself in a forward pass. Where
    a pass has more or fewer of them than layers were told apart, it is not known which is meant: it is not done.
    """

    def __init__(self, model: nn.Module, row: Traced, rows: Sequence[Traced]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        alike = [other for other in rows if other.is_function and (other.module, other.op) == (row.module, row.op)]
        self.done = [False]
        self._model, self._row = model, row
        self._number, self._expected = alike.index(row), len(alike)
        self._open: list[nn.Module] = []
        self._count, self._failed = 0, False

    def enter(self, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        """Hear that a module begins; a pass begins with the whole network."""
        if module is self._model:
            self._count = 0
        self._open.append(module)

    def leave(self, module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:  # noqa: ANN401
        """Hear that a module is through."""
        self._open.pop()
        if module is self._model:
            self._failed |= self._count != self._expected
            self.done[0] = not self._failed

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401
        """Do an operation, or leave it out."""
        name = func.overloadpacket.__name__
        if not self._is_alike(name, args):
            return func(*args, **(kwargs or {}))
        self._count += 1
        if self._count - 1 != self._number:
            return func(*args, **(kwargs or {}))
        assert self._row.skip is not None
        skipped = args[self._row.skip]
        if name.endswith("_"):  # in place: its first argument is its output
            return args[0] if self._row.skip == 0 else args[0].copy_(skipped)
        output = func(*args, **(kwargs or {}))
        first = output[0] if isinstance(output, tuple | list) else output
        if skipped.shape != first.shape:
            self._failed = True
            return output
        passed = skipped.to(first.dtype, copy=True)
        return (passed, *output[1:]) if isinstance(output, tuple | list) else passed

    def _is_alike(self, name: str, args: Any) -> bool:  # noqa: ANN401 - what torch hands over
        """Whether an operation is one of those that the layer is one of."""
        if not self._open or self._open[-1] is not self._row.module or plain_operation(name) != self._row.op:
            return False
        if self._row.kind not in ("residual", "gate"):
            return True
        both = [arg for arg in args[:2] if isinstance(arg, Tensor) and not isinstance(arg, nn.Parameter)]
        return len(both) == 2 and (self._row.kind == "gate" or both[0].shape == both[1].shape)
