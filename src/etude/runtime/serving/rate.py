"""How often one caller may ask: a bucket of tokens for each, refilled evenly."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass

_MOST_CALLERS = 10_000  # those that asked longest ago are forgotten: their buckets are full again anyway


@dataclass
class _Bucket:
    tokens: float
    at: float


class RateLimit:
    """A limit of requests for each caller.

    Args:
        per_minute: requests a minute; 0: no limit.
        burst: requests that may come at once.
    """

    def __init__(self, per_minute: float, burst: int) -> None:
        self._per_s, self._burst = per_minute / 60, burst
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def wait_s(self, caller: str, now: float) -> int:
        """Take a token of a caller's.

        Returns:
            0 where the request may go on; else the whole seconds until it may.
        """
        if self._per_s == 0:
            return 0
        bucket = self._buckets.setdefault(caller, _Bucket(float(self._burst), now))
        self._buckets.move_to_end(caller)
        if len(self._buckets) > _MOST_CALLERS:
            self._buckets.popitem(last=False)
        bucket.tokens = min(float(self._burst), bucket.tokens + (now - bucket.at) * self._per_s)
        bucket.at = now
        if bucket.tokens >= 1:
            bucket.tokens -= 1
            return 0
        return max(1, math.ceil((1 - bucket.tokens) / self._per_s))
