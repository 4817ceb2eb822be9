"""Prometheus metrics of one API process: its requests, and the task queues as it watches them."""

import time
from collections.abc import Iterator, Sequence

from prometheus_client import CollectorRegistry, Histogram, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from sqlalchemy import case, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.queue_watch import QueueWatch
from api.tables import QuestionRow, TaskRow
from contracts.nouns import QueueDTO
from contracts.states import QuestionState, TaskState

_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)


class ApiMetrics:
    """A registry of its own, so that two applications in one process do not meet."""

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        self._requests = Histogram(
            "orchestrator_api_request_seconds",
            "Seconds until the answer begins",
            ("method", "route", "status"),
            buckets=_BUCKETS_S,
            registry=self._registry,
        )

    def watch(self, queues: QueueWatch) -> None:
        """Show what this watch sees, too."""
        self._registry.register(_Queues(queues))

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        """Count one request. `route` is the template: paths hold ids, which would make a series each."""
        self._requests.labels(method, route, str(status)).observe(seconds)

    def text(self, work: Sequence[Metric] = ()) -> bytes:
        """Everything in Prometheus' text format, with what `work_of` has counted."""
        counted = CollectorRegistry()
        counted.register(_Counted(work))
        return generate_latest(self._registry) + generate_latest(counted)


async def work_of(session: AsyncSession) -> list[Metric]:
    """Tasks and open questions as the database has them now; the same from every replica of the API."""
    tasks = GaugeMetricFamily(
        "orchestrator_tasks", "Tasks; a finished one without its stage", labels=("kind", "state", "stage")
    )
    open_ones = col(TaskRow.state).not_in([state.value for state in TaskState if state.is_final])
    stage = case((open_ones, col(TaskRow.stage)), else_="").label("stage")
    by = (col(TaskRow.kind), col(TaskRow.state), stage)
    for kind, state, where, count in await session.execute(select(*by, func.count()).group_by(*by)):
        tasks.add_metric((kind, state, where), count)
    questions = GaugeMetricFamily("orchestrator_open_questions", "Questions that wait for a person", labels=("kind",))
    asked = select(col(QuestionRow.kind), func.count()).where(col(QuestionRow.state) == QuestionState.OPEN.value)
    for kind, count in await session.execute(asked.group_by(col(QuestionRow.kind))):
        questions.add_metric((kind,), count)
    return [tasks, questions]


class _Counted(Collector):
    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        yield from self._metrics


class _Queues(Collector):
    def __init__(self, queues: QueueWatch) -> None:
        self._queues = queues

    def collect(self) -> Iterator[Metric]:
        """As of the last look."""
        report = self._queues.report()
        for name, what, value in (
            ("workers", "Temporal workers that live", lambda queue: queue.workers),
            ("pollers", "Pollers that the server remembers", lambda queue: queue.pollers),
            ("backlog", "Tasks that wait, estimated", lambda queue: queue.backlog),
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


class RequestMetrics:
    """Measures each HTTP request until its answer begins: a stream is not slow because somebody listens for long."""

    def __init__(self, app: ASGIApp, metrics: ApiMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begin = time.monotonic()

        async def measured(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "none")
                self._metrics.answered(scope["method"], route, message["status"], time.monotonic() - begin)
            await send(message)

        await self._app(scope, receive, measured)
