"""The HTTP server: uvicorn, and a limit to how long the head of a request may take."""

import asyncio
from http import HTTPStatus
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from api.edge.security_headers import WITHOUT_A_PATH
from runtime.settings import Settings

_SHUTDOWN_S = 5


def serve(app: FastAPI, settings: Settings) -> None:
    """Answer HTTP until SIGTERM or SIGINT; open streams are given five seconds to end."""
    uvicorn.run(
        app,
        host=settings.api_host,
        port=settings.api_port,
        http=protocol(settings.header_timeout_s),
        # There are none here, and one would pass by what counts requests.
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        # Otherwise any program on this host could claim the address of a proxy.
        proxy_headers=False,
        timeout_graceful_shutdown=_SHUTDOWN_S,
    )


def protocol(header_s: float) -> type[H11Protocol]:
    """uvicorn's protocol, which waits for ever for a head of which a byte comes now and then; this waits `header_s`."""

    class BoundedProtocol(H11Protocol):
        _deadline: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as in uvicorn
            super().connection_made(transport)
            self._look()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self._look()

        def connection_lost(self, exc: Exception | None) -> None:
            self._disarm()
            super().connection_lost(exc)

        def _look(self) -> None:
            """The first byte of a head starts the time, and further bytes do not prolong it."""
            cycle: Any = self.cycle
            if cycle is not None and not cycle.response_complete:
                self._disarm()
            elif self._deadline is None:
                self._deadline = self.loop.call_later(header_s, self._give_up)

        def _disarm(self) -> None:
            if self._deadline is not None:
                self._deadline.cancel()
                self._deadline = None

        def _give_up(self) -> None:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)

        def send_400_response(self, msg: str) -> None:
            self._refuse(HTTPStatus.BAD_REQUEST, msg)

        def _refuse(self, status: HTTPStatus, text: str = "") -> None:
            if self.transport.is_closing():
                return
            cycle: Any = self.cycle
            if cycle is None or cycle.response_complete or not cycle.response_started:
                dated = {name.decode(): value.decode() for name, value in self.server_state.default_headers}
                self.transport.write(_refusal(status, text, dated))
            self.transport.close()

    return BoundedProtocol


def _refusal(status: HTTPStatus, text: str, dated: dict[str, str]) -> bytes:
    """A whole reply to what is no request."""
    content = text.encode("ascii", "replace")
    described = {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(content))}
    headers = {**dated, **WITHOUT_A_PATH, **described, "Connection": "close"}
    lines = [f"HTTP/1.1 {status.value} {status.phrase}", *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode() + content
