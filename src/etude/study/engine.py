"""Who does the runs: a small protocol, so that another engine can take them later."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from etude.core.errors import DivergenceError, ModelError, sentence
from etude.core.run_record import RunRecord
from etude.study.plan import Order

Perform = Callable[[Order], RunRecord]


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    order: Order
    record: RunRecord | None
    failure: str = ""
    """The sentence of the error, where there is no record."""


class Engine(Protocol):
    """Does runs, in any order and number at once."""

    def do(self, orders: Iterable[Order], perform: Perform) -> Iterator[Outcome]:
        """Perform each order and give its outcome as soon as it is there.

        A run that fails by its own fault is an outcome; what would stop every other run too is raised.
        """


class InProcess:
    """One run after the other, in this process."""

    def do(self, orders: Iterable[Order], perform: Perform) -> Iterator[Outcome]:
        """Perform the orders in turn."""
        for order in orders:
            try:
                yield Outcome(order, perform(order))
            except (DivergenceError, ModelError) as error:
                yield Outcome(order, None, str(error))
            except (MemoryError, RuntimeError) as error:
                if not _is_out_of_memory(error):
                    raise
                remedy = (
                    "Give it a smaller train.batch, train.accumulate, smaller pictures or, of masks, train.crop_px."
                )
                told = sentence(
                    "train", order.candidate, "small enough for the memory at hand", "out of memory", remedy
                )
                yield Outcome(order, None, told)


def _is_out_of_memory(error: Exception) -> bool:
    """Whether a run asked for more memory than there is, of a device or of the machine."""
    import torch

    told = str(error)
    is_of_cpu = "DefaultCPUAllocator" in told or "not enough memory" in told
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or is_of_cpu
