"""Work done ahead by threads: pieces on all cores, whole things in order, never more than a bounded number at once.

Threads are enough, and spare the copies between processes: decoders and tensor operations leave Python's lock.
"""

from __future__ import annotations

import dataclasses
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

import torch

T = TypeVar("T")

_torch_threads = threading.Lock()


@dataclasses.dataclass(frozen=True)
class Work(Generic[T]):
    """One thing to be made: pieces in any order and by any threads, then its end, once."""

    pieces: Sequence[Callable[[], None]]
    finish: Callable[[], T]

    def do(self) -> T:
        """Do all of it here and now."""
        for piece in self.pieces:
            piece()
        return self.finish()


def run_ahead(works: Iterable[Work[T]], *, workers: int, in_flight: int) -> Iterator[T]:
    """Yield what the works make, in their order, made ahead by threads.

    A fault in a thread is raised here, in its turn. When the caller stops early, what has not begun is dropped and
    the threads are gone before this returns.

    Args:
        works: taken one by one, as room for them is free.
        workers: threads; 0 does everything in the thread of the caller, when it is asked for.
        in_flight: works that are begun and not yet taken, at most; 1 or more.
    """
    if workers == 0:
        for work in works:
            yield work.do()
        return
    pool = start_workers(workers)
    try:
        coming: deque[Future[T]] = deque()
        for work in works:
            coming.append(_submit(pool, work))
            if len(coming) == in_flight:
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def start_workers(workers: int) -> ThreadPoolExecutor:
    """Start threads in each of which torch uses one core: several that used all would be in each other's way.

    PyTorch keeps its number of threads for each thread that has asked for it, and gives new threads the latest one:
    so the workers ask while it is 1, and it is set back before any other thread can.
    """
    pool = ThreadPoolExecutor(workers, "etude-loader")
    ready = threading.Barrier(workers + 1)

    def begin() -> None:
        torch.set_num_threads(1)
        torch.get_num_threads()
        ready.wait()

    with _torch_threads:
        before = torch.get_num_threads()
        for _ in range(workers):
            pool.submit(begin)
        ready.wait()
        torch.set_num_threads(before)
    return pool


def _submit(pool: ThreadPoolExecutor, work: Work[T]) -> Future[T]:
    """Hand the pieces of a work to the pool; whoever does the last of them does its end."""
    result: Future[T] = Future()
    left = len(work.pieces)
    lock = threading.Lock()

    def fail(error: BaseException) -> None:
        with lock:
            if not result.done():
                result.set_exception(error)

    def run(piece: Callable[[], None]) -> None:
        nonlocal left
        try:
            if not result.done():
                piece()
        except BaseException as error:  # whatever it is, the caller must hear of it
            fail(error)
        with lock:
            left -= 1
            is_last = left == 0 and not result.done()
        if is_last:
            try:
                result.set_result(work.finish())
            except BaseException as error:
                fail(error)

    for piece in work.pieces:
        pool.submit(run, piece)
    return result
