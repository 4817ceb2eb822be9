"""The HTTP server: uvicorn, and a limit to how long the head of a request may take."""

import asyncio
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

from runtime.settings import Settings

_SHUTDOWN_S = 5
_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


def serve(app: FastAPI, settings: Settings) -> None:
    """Answer HTTP until SIGTERM or SIGINT; open streams are given five seconds to end."""
    uvicorn.run(
        app,
        host=settings.api_host,
        port=settings.api_port,
        http=protocol(settings.header_timeout_s),
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
            if not self.transport.is_closing():
                self.transport.write(_TOO_SLOW)
                self.transport.close()

    return BoundedProtocol
