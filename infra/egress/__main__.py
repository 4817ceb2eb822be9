"""`egress serve SOCKET POLICY` in the gateway's container, `egress forward SOCKET PORT` in an agent's.

Beside SOCKET is `github.sock`: what is public at GitHub, to be read by the program `gh`, without a credential.

The agent's container has no network. Its programs find a proxy on its own loopback, which is only the way to the
socket; what may be reached is decided behind that, out of the agent's reach.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import ssl
import sys
from collections.abc import Awaitable, Callable, Set
from pathlib import Path
from urllib.parse import urlsplit

from .rules import Denied, Policy

_HEAD_BYTES = 64 * 1024
_HEAD_S = 30.0
_CONNECT_S = 15.0
_LINGER_S = 2.0
_CONNECTIONS = 100
GITHUB = "api.github.com"
GITHUB_SOCKET = "github.sock"
_DROPPED = {"proxy-authorization", "proxy-connection", "connection", "host"}
_NAMES = {"authorization", "cookie"}
_ONLY_READ = (
    "A turn reads public data of GitHub's REST API only: no changes, no GraphQL. Example: gh api repos/OWNER/NAME"
)

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Gateway:
    """An HTTP proxy for CONNECT and for plain http: names by the policy, addresses looked up here and used as found."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._places = asyncio.Semaphore(_CONNECTIONS)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with self._places:
            try:
                await self._pass_on(reader, writer)
            except Denied as denied:
                await _answer(reader, writer, "403 Forbidden", str(denied))
            except (OSError, TimeoutError) as error:
                await _answer(reader, writer, "502 Bad Gateway", f"The host cannot be reached: {type(error).__name__}.")
            except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
                await _answer(reader, writer, "400 Bad Request", "This is not a request that the gateway understands.")
            finally:
                writer.close()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(_HEAD_S):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *headers = head.split("\r\n")[:-2]
        method, target, version = line.split(" ")
        if method == "CONNECT":
            host, _, port = target.rpartition(":")
            there, back = await self.connected(host, int(port))
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            url = urlsplit(target)
            if url.scheme != "http" or not url.hostname:
                raise ValueError(target)
            there, back = await self.connected(url.hostname, url.port or 80)
            back.write(_as_origin(method, target, version, headers))
        try:
            await both_ways((reader, writer), (there, back))
        finally:
            back.close()

    async def connected(
        self, host: str, port: int, trust: ssl.SSLContext | None = None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection to a host that the policy allows, with TLS if it is to be trusted. Raises Denied, OSError."""
        name = self._policy.check_name(host, port)
        async with asyncio.timeout(_CONNECT_S):
            found = await asyncio.get_running_loop().getaddrinfo(name, port, type=socket.SOCK_STREAM)
            # All of them: a name with a private address among its public ones is a trap.
            addresses = [self._policy.check_address(name, str(one[4][0]), port) for one in found]
            failure: OSError = OSError("no address")
            for address in dict.fromkeys(addresses):
                try:
                    of = name if trust is not None else None
                    return await asyncio.open_connection(address, port, ssl=trust, server_hostname=of)
                except OSError as error:
                    failure = error
            raise failure


class GitHubReader:
    """GitHub's API for programs that speak plain HTTP over a socket, as `gh` can: GET and HEAD, and nobody's name.

    `connect` is how the host is reached.
    """

    def __init__(self, connect: Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]) -> None:
        self._connect = connect

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._read(reader, writer)
        except Denied as denied:
            await _answer_json(reader, writer, "403 Forbidden", str(denied))
        except (OSError, TimeoutError) as error:
            said = f"GitHub cannot be reached: {type(error).__name__}."
            await _answer_json(reader, writer, "502 Bad Gateway", said)
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            await _answer_json(reader, writer, "400 Bad Request", "This is not a request that the gateway understands.")
        finally:
            writer.close()

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(_HEAD_S):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *headers = head.split("\r\n")[:-2]
        method, path, version = line.split(" ")
        if method not in {"GET", "HEAD"} or not path.startswith("/") or path.startswith("/graphql"):
            raise Denied(_ONLY_READ)
        there, back = await self._connect()
        try:
            back.write(_as_origin(method, f"https://{GITHUB}{path}", version, headers, _DROPPED | _NAMES))
            await _copy(there, writer)
        finally:
            back.close()


async def both_ways(
    one: tuple[asyncio.StreamReader, asyncio.StreamWriter], other: tuple[asyncio.StreamReader, asyncio.StreamWriter]
) -> None:
    """Copy in both directions until both have ended."""
    await asyncio.gather(_copy(one[0], other[1]), _copy(other[0], one[1]))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(64 * 1024):
            writer.write(chunk)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.write_eof()


def _as_origin(method: str, target: str, version: str, headers: list[str], dropped: Set[str] = _DROPPED) -> bytes:
    """A request as the host itself gets it; one for each connection."""
    url = urlsplit(target)
    path = (url.path or "/") + (f"?{url.query}" if url.query else "")
    kept = [line for line in headers if line.partition(":")[0].strip().lower() not in dropped]
    host = url.netloc.rpartition("@")[2]
    lines = [f"{method} {path} {version}", f"Host: {host}", "Connection: close", *kept]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


async def _answer_json(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, status: str, text: str) -> None:
    """As GitHub refuses."""
    await _answer(reader, writer, status, json.dumps({"message": text}), "application/json")


async def _answer(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, status: str, text: str, kind: str = "text/plain"
) -> None:
    """The last words on a connection. What is still on its way is read: a reset would take the answer with it."""
    content = f"{text}\n".encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"
    with contextlib.suppress(OSError, TimeoutError):
        writer.write(head.encode() + content)
        writer.write_eof()
        async with asyncio.timeout(_LINGER_S):
            while await reader.read(_HEAD_BYTES):
                continue


async def serve(place: str, policy: Policy) -> None:
    gateway, beside = Gateway(policy), Path(place).with_name(GITHUB_SOCKET)
    for one in (Path(place), beside):
        one.unlink(missing_ok=True)
    trust = ssl.create_default_context()
    github = GitHubReader(lambda: gateway.connected(GITHUB, 443, trust))
    reading = await asyncio.start_unix_server(github.serve, beside, limit=_HEAD_BYTES)
    server = await asyncio.start_unix_server(gateway.serve, place, limit=_HEAD_BYTES)
    async with reading, server:
        await server.serve_forever()


async def forward(listening: socket.socket, place: str) -> None:
    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, back = await asyncio.open_unix_connection(place)
        except OSError:
            await _answer(
                reader, writer, "503 Service Unavailable", "The platform's gateway does not answer; try again."
            )
            writer.close()
            return
        try:
            await both_ways((reader, writer), (there, back))
        finally:
            back.close()
            writer.close()

    server = await asyncio.start_server(pass_on, sock=listening)
    async with server:
        await server.serve_forever()


def main() -> None:
    kind, place, rest = sys.argv[1:4]
    if kind == "serve":
        asyncio.run(serve(place, Policy.parse(rest)))
        return
    listening = socket.create_server(("127.0.0.1", int(rest)))
    # Whoever starts it goes on once it can be reached.
    if os.fork() == 0:
        asyncio.run(forward(listening, place))


if __name__ == "__main__":
    main()
