"""Traces, when somebody collects them: OTEL_EXPORTER_OTLP_ENDPOINT turns them on, and nothing is needed without it.

OpenTelemetry's own variables are understood (OTEL_SERVICE_NAME, OTEL_EXPORTER_OTLP_HEADERS, OTEL_TRACES_SAMPLER, …).
"""

from __future__ import annotations

import os
from collections.abc import MutableMapping
from functools import cache
from typing import TYPE_CHECKING, Any

from contracts.errors import ErrorClass, ErrorCode, OrchestratorError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from temporalio.client import Interceptor

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_FLUSH_MS = 2_000
"""A short program waits no longer than this for a collector that does not answer."""


def is_on() -> bool:
    """Whether the environment names a collector, and does not disable OpenTelemetry as a whole."""
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    return not disabled and any(os.environ.get(name) for name in ENDPOINTS)


def client_interceptors(service: str) -> list[Interceptor]:
    """What makes a Temporal client, and the workers that use it, trace; empty when nobody collects.

    Raises OrchestratorError SETTINGS_INVALID when the exporter is not installed.
    """
    if not is_on():
        return []
    from temporalio.contrib.opentelemetry import TracingInterceptor

    return [TracingInterceptor(_provider(service).get_tracer("codegen-orchestrator"))]


def flush() -> None:
    """Send what has not been sent yet: a program that ends by itself must not take its spans with it."""
    if is_on() and _provider.cache_info().currsize:
        from opentelemetry import trace

        provider = trace.get_tracer_provider()
        force = getattr(provider, "force_flush", None)
        if force is not None:
            force(_FLUSH_MS)


def add_trace_ids(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:  # noqa: ANN401 - structlog's processor signature
    """structlog processor: names the span in which a record was written, so that logs and traces find each other."""
    if not is_on():
        return event
    from opentelemetry import trace

    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"], event["span_id"] = f"{context.trace_id:032x}", f"{context.span_id:016x}"
    return event


@cache
def _provider(service: str) -> TracerProvider:
    """One provider for the process: it has a thread that sends."""
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise OrchestratorError(
            ErrorCode.SETTINGS_INVALID,
            f"{ENDPOINTS[0]} is set, and the exporter is not installed: pip install 'codegen-orchestrator[telemetry]', "
            "or unset the variable.",
            error_class=ErrorClass.PERMANENT,
        ) from error
    # OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES win over our own name
    given = os.environ.get("OTEL_SERVICE_NAME")
    provider = TracerProvider(resource=Resource.create({"service.name": given or f"orchestrator-{service}"}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return provider
