"""Prometheus metrics of one API process: its requests, and the task queues as it watches them."""

from collections.abc import Iterator, Sequence
from typing import Annotated

from fastapi import Depends
from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from api.dependencies import part
from api.queues.watch import QueueWatch
from contracts.nouns import QueueDTO

_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class ApiMetrics:
    """Has a registry of its own, so that two applications in one process do not share metrics."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Histogram(
            "orchestrator_api_request_seconds",
            "Seconds until the response begins",
            ("method", "route", "status"),
            buckets=_BUCKETS_S,
            registry=self._registry,
        )

    def watch(self, queues: QueueWatch) -> None:
        """Add metrics of the task queues that this watch looks at."""
        self._registry.register(_Queues(queues))

    def observe(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request. `route` is the template: with paths, which hold ids, each would be a series of its own."""
        self._requests.labels(method, route, str(status)).observe(seconds)

    def text(self, work: Sequence[Metric] = ()) -> bytes:
        """Everything in Prometheus' text format. `work` is what `api.metrics.queries.count_work` has counted."""
        counted = CollectorRegistry()
        counted.register(_Counted(work))
        return generate_latest(self._registry) + generate_latest(counted)


MetricsDep = Annotated[ApiMetrics, Depends(part("metrics"))]


class _Counted(Collector):
    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        yield from self._metrics


class _Queues(Collector):
    def __init__(self, queues: QueueWatch) -> None:
        self._queues = queues

    def collect(self) -> Iterator[Metric]:
        """The metrics as last seen by the watch."""
        report = self._queues.report()
        for name, what, value in (
            ("workers", "Live Temporal workers", lambda queue: queue.workers),
            ("pollers", "Pollers known to the server", lambda queue: queue.pollers),
            ("backlog", "Waiting tasks, estimated", lambda queue: queue.backlog),
            ("oldest_waiting_seconds", "Age of the oldest waiting task", lambda queue: queue.oldest_waiting_s or 0.0),
            ("unserved", "1 while work waits and no worker lives", _unserved),
        ):
            family = GaugeMetricFamily(f"orchestrator_queue_{name}", what, labels=("queue",))
            for queue in report.items:
                family.add_metric((queue.name,), float(value(queue)))
            yield family
        away = any(alert.kind == "temporal_unreachable" for alert in report.alerts)
        yield GaugeMetricFamily(
            "orchestrator_temporal_reachable", "0 while the server does not answer", float(not away)
        )


def _unserved(queue: QueueDTO) -> bool:
    return queue.unserved_since is not None
