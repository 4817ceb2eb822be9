"""A stand-in for the Docker Engine on a unix socket: it writes down every byte that reaches it, and agrees.

`test_engine_proxy.py` makes the same calls to a real one.
"""

import asyncio
import base64
import json
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)
_VERSION = {"ApiVersion": "1.41", "MinAPIVersion": "1.12", "Version": "20.10"}
_ONE = {"Id": "0" * 64, "State": {"Status": "created", "ExitCode": 0, "OOMKilled": False, "Pid": 0,
        "StartedAt": "0001-01-01T00:00:00Z", "FinishedAt": "0001-01-01T00:00:00Z"},
        "Config": {"Labels": {"codegen-orchestrator.mark": "1"}, "Tty": False},
        "Labels": {"codegen-orchestrator.mark": "1"},
        "Names": ["/venv-1"], "NCPU": 2}  # fmt: skip

_FILE = {"name": "x", "size": 3, "mode": 0o644, "mtime": "2026-01-01T00:00:00Z", "linkTarget": ""}


@dataclass
class RecordingEngine:
    """`calls`: the request line of each call that reached it, with its body. `reply` answers instead, if set.

    `looks` are calls that no caller can make: the proxy itself looks whose something is. What is named in `foreign` is
    somebody else's, what is in `missing` does not exist.
    """

    looks: list[str] = field(default_factory=list)
    foreign: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)
    calls: list[tuple[str, bytes]] = field(default_factory=list)
    raw: bytearray = field(default_factory=bytearray)
    reply: bytes | None = None

    @property
    def lines(self) -> list[str]:
        return [line for line, _ in self.calls]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = _LENGTH.search(head)
            body = await reader.readexactly(int(length[1])) if length else b""
            line = head.split(b"\r\n")[0].decode()
            if line.startswith(("GET /containers/", "GET /volumes/")):
                writer.write(self._seen(line.split()[1]))
                await writer.drain()
                return
            self.raw += head + body
            self.calls.append((line.removesuffix(" HTTP/1.1"), body))
            writer.write(self.reply or _answer(line))
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    def _seen(self, path: str) -> bytes:
        self.looks.append(path)
        name = path.split("/")[2]
        if name in self.missing:
            return _json("404 Not Found", {"message": "no such thing"})
        # As Docker describes what has no labels.
        unmarked: dict[str, str] | None = {} if "/containers/" in path else None
        labels = unmarked if name in self.foreign else {"codegen-orchestrator.mark": "1"}
        return _json("200 OK", {"Labels": labels, "Config": {"Labels": labels}})


def _json(status: str, value: object) -> bytes:
    content = json.dumps(value).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    return head.encode() + content


def _answer(line: str) -> bytes:
    path = line.split()[1].partition("?")[0]
    known: object = _VERSION if path.endswith("/version") else [_ONE] if path.endswith("/containers/json") else _ONE
    content = b"OK" if path.endswith("/_ping") else json.dumps(known).encode()
    kind = b"text/plain" if path.endswith("/_ping") else b"application/json"
    head = b"HTTP/1.1 200 OK\r\nContent-Type: " + kind + b"\r\nContent-Length: %d\r\n" % len(content)
    head += b"X-Docker-Container-Path-Stat: " + base64.b64encode(json.dumps(_FILE).encode()) + b"\r\n\r\n"
    return head if line.startswith("HEAD") else head + content


Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def proxied_engine(
    directory: Path, serve: Serve | None = None
) -> AsyncIterator[tuple[str, int, RecordingEngine]]:
    """The proxy's program as a process before a recording engine (or `serve`): where it listens, and the engine."""
    engine, socket = RecordingEngine(), directory / "engine.sock"
    server = await asyncio.start_unix_server(serve or engine.serve, socket)
    proxy = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "infra.engine_proxy", "127.0.0.1:0", str(socket),
        cwd=ROOT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        assert proxy.stdout is not None
        said = (await proxy.stdout.readline()).decode()
        host, _, port = said.removeprefix("listening on ").strip().rpartition(":")
        yield host, int(port), engine
    finally:
        proxy.terminate()
        await proxy.wait()
        server.close()
