"""What is counted, in the form that Prometheus reads."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class Metrics:
    """The counts of one server; nothing is shared with other servers of the process."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self.requests = Counter(
            "etude_requests_total", "Requests answered", ["route", "status"], registry=self._registry
        )
        self.seconds = Histogram(
            "etude_request_seconds", "Seconds to answer", ["route"], buckets=_SECONDS, registry=self._registry
        )
        self.pictures = Counter(
            "etude_pictures_total", "Pictures by model and outcome", ["model", "outcome"], registry=self._registry
        )
        self.refused = Counter(
            "etude_refused_total", "Requests refused, by reason", ["reason"], registry=self._registry
        )  # fmt: skip
        self.waiting = Gauge("etude_waiting_pictures", "Pictures that wait", registry=self._registry)
        self.batches = Histogram(
            "etude_batch_pictures", "Pictures answered at a time", buckets=(1, 2, 4, 8, 16, 32), registry=self._registry
        )
        self.reloads = Counter("etude_reloads_total", "Reloads of the bundles", ["outcome"], registry=self._registry)

    def text(self) -> bytes:
        """Return all counts."""
        return generate_latest(self._registry)
