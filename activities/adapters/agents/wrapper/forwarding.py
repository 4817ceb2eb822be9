"""The way to the model: a port of the container's own loopback leads to the socket of the platform's proxy.

The container has no network. What passes is not read; only whether somebody waits for an answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket as sockets
import time
from dataclasses import dataclass, field

_CHUNK = 64 * 1024
_PATIENCE_S = 15.0
"""For a proxy that is being restarted; agents give up sooner than that."""
_AGAIN_S = 0.2


@dataclass
class Connection:
    """`waits`: something was sent, and no answer has come yet."""

    waits: bool = False


@dataclass
class Forwarder:
    """`listener` listens at the port already. `moved_at` is when a byte last passed, by the clock of
    `time.monotonic`."""

    socket: str
    port: int
    listener: sockets.socket | None = None
    moved_at: float = field(default_factory=time.monotonic)
    _connections: list[Connection] = field(default_factory=list)
    _server: asyncio.Server | None = None

    @property
    def waiting(self) -> int:
        """Requests without an answer so far."""
        return sum(one.waits for one in self._connections)

    async def open(self) -> int:
        """Listen; returns the port, which is another one only for port 0."""
        if self.listener is not None:
            self._server = await asyncio.start_server(self._serve, sock=self.listener)
        else:
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        return int(self._server.sockets[0].getsockname()[1])

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, down_in: asyncio.StreamReader, down_out: asyncio.StreamWriter) -> None:
        connection = Connection(waits=True)
        self._connections.append(connection)
        up_out: asyncio.StreamWriter | None = None
        try:
            up_in, up_out = await self._reached()
            connection.waits = False
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(down_in, up_out, connection, asks=True))
                both.create_task(self._pump(up_in, down_out, connection, asks=False))
        except* OSError:
            # One side has gone; the other one sees its connection end.
            pass
        finally:
            self._connections.remove(connection)
            for writer in (down_out, up_out):
                if writer is not None:
                    writer.close()

    async def _reached(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        until = time.monotonic() + _PATIENCE_S
        while True:
            try:
                return await asyncio.open_unix_connection(self.socket)
            except OSError:
                if time.monotonic() >= until:
                    raise
            await asyncio.sleep(_AGAIN_S)

    async def _pump(
        self, source: asyncio.StreamReader, target: asyncio.StreamWriter, connection: Connection, *, asks: bool
    ) -> None:
        while chunk := await source.read(_CHUNK):
            connection.waits = asks
            self.moved_at = time.monotonic()
            target.write(chunk)
            await target.drain()
        if not asks:
            # What has been answered is over, whatever the agent still keeps open.
            target.close()
            return
        with contextlib.suppress(OSError):
            target.write_eof()
