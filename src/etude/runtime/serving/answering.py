"""From the pictures of a request to their answers, through the pool."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from etude.core.errors import DataError
from etude.runtime.opening import Model
from etude.runtime.serving.config import ServeConfig
from etude.runtime.serving.guard import RETRY_S, RefusedError, busy
from etude.runtime.serving.metrics import Metrics
from etude.runtime.serving.pool import BusyError, Finish, Job, LateError, Pool


class Answering:
    """Hands pictures to the pool and waits for what comes back."""

    def __init__(self, pool: Pool, config: ServeConfig, metrics: Metrics) -> None:
        self._pool, self._config, self._metrics = pool, config, metrics

    async def answer(self, model: Model, contents: Sequence[Any], finish: Finish) -> list[Any | DataError]:
        """Return what `finish` makes of the answer to each picture, or the error of a picture that cannot be read.

        Args:
            model: a predictor, or a generator.
            contents: the bytes of pictures, or for a generator its wishes.
            finish: turns an answer into what is sent.

        Raises:
            RefusedError: if the queue is full, or an answer would come too late.
        """
        deadline = time.monotonic() + self._config.timeout_s
        jobs = [Job(model, content, finish, deadline) for content in contents]
        try:
            self._pool.submit(jobs)
        except BusyError:
            raise busy() from None
        try:
            async with asyncio.timeout(self._config.timeout_s + 1):
                found = await asyncio.gather(
                    *(asyncio.wrap_future(job.future) for job in jobs), return_exceptions=True
                )  # fmt: skip
        except TimeoutError:
            found = [LateError()]
        return [self._counted(model, entry) for entry in found]

    def _counted(self, model: Model, entry: Any) -> Any:  # noqa: ANN401 - what `finish` gave, or an error
        if isinstance(entry, LateError):
            self._metrics.pictures.labels(model.name, "late").inc()
            told = f"The answer would come too late. Ask again in {RETRY_S} s."
            raise RefusedError(503, "late", told, RETRY_S, facts={"seconds": RETRY_S})
        if isinstance(entry, DataError):
            self._metrics.pictures.labels(model.name, "refused").inc()
            return entry
        if isinstance(entry, BaseException):
            raise entry
        self._metrics.pictures.labels(model.name, "answered").inc()
        return entry
