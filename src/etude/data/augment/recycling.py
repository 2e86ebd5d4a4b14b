"""Memory of batches, used again: fresh memory is cleared by the system page by page, which takes as long as a copy."""

from __future__ import annotations

import math
import weakref

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

KEPT_BYTES = 256 * 2**20
"""Free memory that is kept for the next batches, at most."""
_ALIGNED = 64  # bytes, as torch aligns its own


class RecycledMemory:
    """Gives memory on the CPU, and takes it back by itself when no tensor uses it any more."""

    def __init__(self) -> None:
        self._free: list[npt.NDArray[np.uint8]] = []
        self._free_bytes = 0

    def empty(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        """Return a tensor with any content; it and all its views may be kept for as long as they are wanted."""
        n_bytes = math.prod(shape) * dtype.itemsize
        block = self._take(n_bytes + _ALIGNED)
        start = -block.ctypes.data % _ALIGNED
        # Torch holds this very view until the last tensor on its memory is gone: its end is the end of the loan.
        loan = block[start : start + n_bytes]
        weakref.finalize(loan, self._give_back, block).atexit = False
        return torch.from_numpy(loan).view(dtype).view(shape)

    def _take(self, n_bytes: int) -> npt.NDArray[np.uint8]:
        for position, block in enumerate(self._free):
            if block.nbytes == n_bytes:
                del self._free[position]
                self._free_bytes -= n_bytes
                return block
        return np.empty(n_bytes, np.uint8)

    def _give_back(self, block: npt.NDArray[np.uint8]) -> None:
        if self._free_bytes + block.nbytes <= KEPT_BYTES:
            self._free.append(block)
            self._free_bytes += block.nbytes
