"""Measures requests."""

import time

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.metrics.registry import ApiMetrics


class RequestMetrics:
    """Measures each HTTP request until its answer begins: a stream that is read for long is not slow."""

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
                self._metrics.observe(scope["method"], route, message["status"], time.monotonic() - begin)
            await send(message)

        await self._app(scope, receive, measured)
