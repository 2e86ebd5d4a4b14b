"""The threads that decode and answer, and the bounded queue before them.

A thread takes what waits, up to a batch, and never waits for more: under load batches form by themselves, and a lone
request is answered at once. Each thread does the whole way of its pictures; Pillow and onnxruntime leave Python's lock.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

Finish = Callable[[Any], Any]
"""Turns an answer into what is sent."""


class Asked(Protocol):
    """A model that answers in two steps: what is wanted becomes an array, and a batch of arrays answers."""

    def at_once(self, most: int, /) -> int:
        """Return how many of a batch it takes: `most`, or fewer where they are large."""
        ...

    def read(self, content: Any, /) -> tuple[Any, Any]:  # noqa: ANN401 - a picture's bytes, or a generator's wish
        """Return the array, and what belongs to it."""
        ...

    def answer(self, arrays: Any, beside: Any, /) -> Sequence[Any]:  # noqa: ANN401 - as `read` gave them
        """Answer a batch."""
        ...


class BusyError(Exception):
    """No more can be taken now; the server answers 503."""


class LateError(Exception):
    """A picture waited longer than it may; the server answers 503."""


@dataclass(eq=False)
class Job:
    """One picture that waits: to be answered, or to be made."""

    model: Asked
    content: Any
    """The bytes of a picture, or what a generator is asked for."""
    finish: Finish
    """Turns the answer into what is sent; runs in the thread that answered."""
    deadline: float
    """Time of `time.monotonic` after which nobody waits any more."""
    future: Future[Any] = field(default_factory=Future)


class Pool:
    """Threads and their queue.

    Args:
        threads: how many.
        capacity: pictures that may wait.
        max_batch: pictures that are answered at a time, fewer where a model's are large.
        batched: hears the size of every batch.
    """

    def __init__(
        self, threads: int, capacity: int, max_batch: int, batched: Callable[[int], None] = lambda size: None
    ) -> None:
        self._capacity, self._max_batch, self._batched = capacity, max_batch, batched
        self._waiting: deque[Job] = deque()
        self._changed = threading.Condition()
        self._is_closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"answer-{number}", daemon=True) for number in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    def __len__(self) -> int:
        return len(self._waiting)

    def submit(self, jobs: Sequence[Job]) -> None:
        """Take all of these, or none.

        Raises:
            BusyError: if the queue has no room for them.
        """
        with self._changed:
            # More than the queue can ever hold is taken when nothing waits, or it would never be.
            if self._is_closed or (self._waiting and len(self._waiting) + len(jobs) > self._capacity):
                raise BusyError
            self._waiting.extend(jobs)
            self._changed.notify(len(jobs))

    def close(self) -> None:
        """Answer what was taken, then end."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (jobs := self._take()) is not None:
            self._answer([job for job in jobs if self._is_wanted(job)])

    def _take(self) -> list[Job] | None:
        """Wait for pictures, and take this thread's share of them, all of one model."""
        with self._changed:
            while not self._waiting:
                if self._is_closed:
                    return None
                self._changed.wait()
            most = self._waiting[0].model.at_once(self._max_batch)
            share = min(most, math.ceil(len(self._waiting) / len(self._threads)))
            jobs = [self._waiting.popleft()]
            while len(jobs) < share and self._waiting[0].model is jobs[0].model:
                jobs.append(self._waiting.popleft())
            return jobs

    @staticmethod
    def _is_wanted(job: Job) -> bool:
        if not job.future.set_running_or_notify_cancel():
            return False
        if time.monotonic() > job.deadline:
            job.future.set_exception(LateError())
            return False
        return True

    def _answer(self, jobs: list[Job]) -> None:
        """Decode, answer and finish; what fails, fails for its own picture alone."""
        read: list[tuple[Job, tuple[Any, Any]]] = []
        for job in jobs:
            try:
                read.append((job, job.model.read(job.content)))
            except BaseException as error:
                job.future.set_exception(error)
        if not read:
            return
        self._batched(len(read))
        try:
            arrays = np.stack([array for _, (array, _) in read])
            answers = jobs[0].model.answer(arrays, [beside for _, (_, beside) in read])
        except BaseException as error:
            for job, _ in read:
                job.future.set_exception(error)
            return
        for (job, _), answer in zip(read, answers, strict=True):
            try:
                job.future.set_result(job.finish(answer))
            except BaseException as error:
                job.future.set_exception(error)
