"""What a run that fails means for the others."""

from __future__ import annotations

import pytest
import torch

from etude.study.engine import InProcess
from etude.study.plan import Order


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"),
        MemoryError(),
    ],
)
def test_a_run_that_does_not_fit_is_an_outcome_and_the_others_go_on(error: Exception) -> None:
    def perform(order: Order) -> str:
        if order.candidate == "large":
            raise error
        return "done"

    orders = [Order(name, 0, None, name) for name in ("small", "large", "last")]
    found = list(InProcess().do(orders, perform))
    assert [outcome.record for outcome in found] == ["done", None, "done"]
    assert "out of memory" in found[1].failure
    assert "train.batch" in found[1].failure


def test_any_other_fault_is_raised() -> None:
    def perform(order: Order) -> str:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes"):
        list(InProcess().do([Order("a", 0, None, "a")], perform))
