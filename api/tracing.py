"""A span for each request, below that of whoever asked. Loaded only where a collector is named."""

from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from runtime import tracing

_QUIET = ("/health", "/metrics", "/codec/", "/namespaces", "/api/v1", "/_app", "/i18n", "/render")
"""Asked every few seconds, or for a page by the dozen: nobody looks for these in a trace."""


class TraceRequests:
    """Names the span after the route: paths hold ids, queries hold what people typed."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith(_QUIET):
            await self._app(scope, receive, send)
            return
        with tracing.span("api", str(scope["method"]), SpanKind.SERVER, Headers(scope=scope)) as span:

            async def noting(message: Message) -> None:
                if message["type"] == "http.response.start":
                    _describe(span, scope, int(message["status"]))
                await send(message)

            await self._app(scope, receive, noting)


def _describe(span: Span, scope: Scope, status: int) -> None:
    route = str(getattr(scope.get("route"), "path", "none"))
    span.update_name(f"{scope['method']} {route}")
    span.set_attributes(
        {"http.request.method": str(scope["method"]), "http.route": route, "http.response.status_code": status}
    )
    if request_id := scope.get("request_id"):
        span.set_attribute("orchestrator.request_id", str(request_id))
    if status >= 500:
        span.set_status(Status(StatusCode.ERROR))
