"""Traces, if a collector is set: OTEL_EXPORTER_OTLP_ENDPOINT turns them on; without it nothing more is needed.

OpenTelemetry's own variables are understood (OTEL_SERVICE_NAME, OTEL_EXPORTER_OTLP_HEADERS, OTEL_TRACES_SAMPLER, …).
"""

from __future__ import annotations

import os
import sys
from collections.abc import MutableMapping
from contextlib import AbstractContextManager, nullcontext
from types import ModuleType
from typing import TYPE_CHECKING, Any

from contracts.errors import ErrorClass, ErrorCode, OrchestratorError

if TYPE_CHECKING:
    from temporalio.client import Interceptor

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_FLUSH_MS = 2_000
"""A short program waits no longer than this for a collector that does not answer."""


def is_on() -> bool:
    """Whether the environment names a collector, and does not disable OpenTelemetry as a whole."""
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true"
    return not disabled and any(os.environ.get(name) for name in ENDPOINTS)


def client_interceptors(service: str) -> list[Interceptor]:
    """Interceptors that trace a Temporal client and the workers that use it; empty without a collector.

    Raises OrchestratorError SETTINGS_INVALID when the exporter is not installed.
    """
    if not is_on():
        return []
    from temporalio.contrib.opentelemetry import TracingInterceptor

    return [TracingInterceptor(_tracing().tracer(service))]


def collect(service: str) -> None:
    """Send the spans that libraries of this process make of themselves; nothing at all without a collector.

    Raises OrchestratorError SETTINGS_INVALID when the exporter is not installed.
    """
    if is_on():
        _tracing().provider(service)


def command_span(name: str) -> AbstractContextManager[object]:
    """A span around one command of a person; nothing at all without a collector."""
    if not is_on():
        return nullcontext()
    from opentelemetry.trace import SpanKind

    span: AbstractContextManager[object] = _tracing().span("cli", name, SpanKind.CLIENT)
    return span


def add_trace_context(headers: MutableMapping[str, str]) -> None:
    """Put the current span into the headers of a request, so that the other side continues its trace."""
    if is_on():
        _tracing().inject(headers)


def name_failure(code: str) -> None:
    """Write a stable error code into the present span. Traces hold no error messages."""
    if is_on():
        from opentelemetry import trace

        trace.get_current_span().set_attribute("orchestrator.error_code", code)


def flush() -> None:
    """Send what has not been sent yet: a program that ends by itself must not take its spans with it."""
    if tracing := sys.modules.get("runtime.observability.tracing"):
        tracing.flush(_FLUSH_MS)


def add_trace_ids(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:  # noqa: ANN401 - structlog's processor signature
    """structlog processor: names the span in which a record was written, so that logs and traces find each other."""
    if not is_on():
        return event
    from opentelemetry import trace

    context = trace.get_current_span().get_span_context()
    if context.is_valid:
        event["trace_id"], event["span_id"] = f"{context.trace_id:032x}", f"{context.span_id:016x}"
    return event


def _tracing() -> ModuleType:
    """The module that needs the exporter."""
    try:
        from runtime.observability import tracing
    except ImportError as error:
        raise OrchestratorError(
            ErrorCode.SETTINGS_INVALID,
            f"{ENDPOINTS[0]} is set, but the exporter is not installed. Run `pip install "
            "'codegen-orchestrator[telemetry]'`, or unset the variable.",
            error_class=ErrorClass.PERMANENT,
        ) from error
    return tracing
