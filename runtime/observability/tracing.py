"""Spans for a collector. Loaded only where one is named: see `runtime.observability.telemetry`."""

from __future__ import annotations

import os
from collections.abc import MutableMapping, Sequence
from contextlib import AbstractContextManager
from functools import cache

from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Span, SpanKind, Status, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

_NAME = "codegen-orchestrator"
_KEPT_OF_EVENTS = frozenset({"exception.type"})
_DROPPED = frozenset({"url.query"})

_propagator = TraceContextTextMapPropagator()
_made: list[TracerProvider] = []


@cache
def provider(service: str) -> TracerProvider:
    """One provider for the process: it has a thread that sends."""
    # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win over our own name
    given = os.environ.get("OTEL_SERVICE_NAME")
    made = TracerProvider(resource=Resource.create({"service.name": given or f"orchestrator-{service}"}))
    made.add_span_processor(BatchSpanProcessor(WordlessExporter(OTLPSpanExporter())))
    trace.set_tracer_provider(made)
    _made.append(made)
    return made


def tracer(service: str) -> Tracer:
    return provider(service).get_tracer(_NAME)


def flush(timeout_ms: int) -> None:
    """Send what the process still holds, if it ever made a span."""
    for one in _made:
        one.force_flush(timeout_ms)


def span(service: str, name: str, kind: SpanKind) -> AbstractContextManager[Span]:
    """A span around a body."""
    return tracer(service).start_as_current_span(name, kind=kind, record_exception=False)


def inject(headers: MutableMapping[str, str]) -> None:
    """Put the present span into these headers."""
    _propagator.inject(headers)


class WordlessExporter(SpanExporter):
    """Exports spans without error messages and without what people ask for.

    These may quote what people and agents wrote, which is encrypted in Temporal's history: no collector gets it.
    """

    def __init__(self, next_: SpanExporter) -> None:
        self._next = next_

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._next.export([_wordless(one) for one in spans])

    def shutdown(self) -> None:
        self._next.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._next.force_flush(timeout_millis)


def _wordless(one: ReadableSpan) -> ReadableSpan:
    attributes = {name: value for name, value in (one.attributes or {}).items() if name not in _DROPPED}
    return ReadableSpan(
        name=one.name,
        context=one.context,
        parent=one.parent,
        resource=one.resource,
        attributes=attributes,
        events=[_bare(event) for event in one.events],
        links=one.links,
        kind=one.kind,
        instrumentation_scope=one.instrumentation_scope,
        status=Status(one.status.status_code),
        start_time=one.start_time,
        end_time=one.end_time,
    )


def _bare(event: Event) -> Event:
    kept = {name: value for name, value in (event.attributes or {}).items() if name in _KEPT_OF_EVENTS}
    return Event(event.name, kept, event.timestamp)
