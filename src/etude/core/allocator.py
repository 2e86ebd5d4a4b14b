"""The C library's memory: keeping what a training step frees, for the next step.

A step allocates and frees maps of tens of megabytes. The GNU C library gives such blocks back to the system at once
and asks for them anew in the next step, where the kernel clears them page by page. Keeping them spares that, in a step
(`benchmarks/airnet_step.py`) and in the augmentation of large pictures (`benchmarks/loading.py`).
"""

from __future__ import annotations

import ctypes
import sys

# Numbers of the parameters of mallopt, from the GNU C library's malloc.h.
_TRIM_THRESHOLD = -1
_MMAP_MAX = -4
_NEVER = -1  # as an unsigned size: the largest there is; 2**31 - 1 would give back what is free beyond 2 GiB


def keep_freed_memory() -> bool:
    """Have the C library keep the memory that is freed, from now on and in the whole process.

    The peak of memory is the same; what is kept is given back by `release_freed_memory` or at the end of the process.

    Returns:
        Whether the C library can: the GNU one (most Linux) does; elsewhere nothing is changed.
    """
    library = _c_library()
    if library is None:
        return False
    # Large blocks come from the one heap instead of a mapping each, and the heap's free end is not given back.
    return bool(library.mallopt(_MMAP_MAX, 0)) and bool(library.mallopt(_TRIM_THRESHOLD, _NEVER))


def release_freed_memory() -> bool:
    """Give the memory that is free back to the system, as before a new measure of peak memory.

    Returns:
        Whether the C library can.
    """
    library = _c_library()
    if library is None:
        return False
    library.malloc_trim(0)
    return True


def _c_library() -> ctypes.CDLL | None:
    """Return the C library of this process where it is the GNU one."""
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return library if hasattr(library, "gnu_get_libc_version") and hasattr(library, "malloc_trim") else None
