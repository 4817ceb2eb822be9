"""How many connections one peer may have open: a container on the socket, an address on loopback."""

import asyncio
import json
import socket
import struct
from collections import Counter
from pathlib import Path

from uvicorn.protocols.http.h11_impl import H11Protocol

MOST_OF_A_PEER = 64
"""Twice the requests that a turn may have open: agents keep some connections for later."""
MOST = 800
"""Of all peers: below what a process may open, with those to vendors and to the database."""
_CREDENTIALS = struct.Struct("3i")


def bounded(protocol: type[H11Protocol], most_of_a_peer: int = MOST_OF_A_PEER, most: int = MOST) -> type[H11Protocol]:
    """The protocol, which answers a connection too many with a refusal, and closes it."""
    held: Counter[str] = Counter()

    class CountedProtocol(protocol):  # type: ignore[valid-type, misc] # a class that is made at run time
        _peer: str | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:
            super().connection_made(transport)
            peer = _peer(transport)
            if held.total() >= most or (peer and held[peer] >= most_of_a_peer):
                transport.write(_refusal(most_of_a_peer))
                transport.close()
                return
            self._peer = peer
            held[peer] += 1

        def connection_lost(self, exc: Exception | None) -> None:
            if self._peer is not None:
                held[self._peer] -= 1
                if not held[self._peer]:
                    del held[self._peer]
                self._peer = None
            super().connection_lost(exc)

    return CountedProtocol


def _peer(transport: asyncio.Transport) -> str:
    """Who is at the other end; empty where that cannot be seen, as from within a container."""
    found = transport.get_extra_info("socket")
    if found is None or found.family != socket.AF_UNIX:
        address = transport.get_extra_info("peername")
        return str(address[0]) if address else ""
    pid, _, _ = _CREDENTIALS.unpack(found.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size))
    return _group(pid) if pid else ""


def _group(pid: int) -> str:
    """The control group of a container; the process itself for one that runs where the proxy does."""
    try:
        group, own = Path(f"/proc/{pid}/cgroup").read_text(), Path("/proc/self/cgroup").read_text()
    except OSError:
        return str(pid)
    return group if group != own else str(pid)


def _refusal(most: int) -> bytes:
    """In the shape of Anthropic's errors, of which OpenAI's clients read the message too: no path is known yet."""
    message = f"The platform's model proxy takes no more connections: {most} of one agent. Close some, or try later."
    body = json.dumps({"type": "error", "error": {"type": "rate_limit_error", "message": message}}).encode()
    head = f"HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n"
    return f"{head}connection: close\r\n\r\n".encode() + body
