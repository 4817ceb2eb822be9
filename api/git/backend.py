"""Runs `git http-backend`, Git's own server of its HTTP protocol, for one request."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog
from fastapi.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from api.git import push_rules
from api.problems import permanent
from contracts.errors import ErrorCode, OrchestratorError

_AT_ONCE = 8
_LASTS_S = 600.0
_HEADER_BYTES = 16_384
_CHUNK = 65_536
_MAX_PUSH = "100m"
_CONFIG = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "safe.directory": "*",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "receive.autogc": "false",
    "transfer.fsckObjects": "true",
    "receive.maxInputSize": _MAX_PUSH,
    "http.getanyfile": "false",
    "uploadpack.hideRefs": "refs/orchestrator",
    "pack.threads": "1",
}
_ONLY_TASKS = ("receive.hideRefs=refs", f"receive.hideRefs=!{push_rules.ALLOWED}")

_NO_ANSWER = (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError)

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class GitRequest:
    """`path` is the repository's path below the forge and what is asked of it, as `/u1/notes.git/info/refs`."""

    path: str
    method: str
    query: str = ""
    content_type: str = ""
    encoding: str = ""
    protocol: str = ""
    user: str = ""


class GitBackend:
    """Serves the repositories below `root`; at most eight requests at once, each for at most ten minutes."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._gate = asyncio.Semaphore(_AT_ONCE)

    async def answer(self, request: GitRequest, body: AsyncIterator[bytes]) -> Response:
        """Git's reply, as a stream. Git and what it has started end with the request."""
        await self._gate.acquire()
        try:
            process = await self._start(request)
        except BaseException as error:
            self._gate.release()
            if isinstance(error, OSError):
                raise _failed() from error
            raise
        running = _Running(process, body, self._gate)
        try:
            async with asyncio.timeout(_LASTS_S):
                status, headers = await running.head()
        except _NO_ANSWER as error:
            await running.end()
            raise _failed() from error
        except BaseException:
            await running.end()
            raise
        return _Streamed(running, status, headers)

    async def _start(self, request: GitRequest) -> asyncio.subprocess.Process:
        options = [*(f"{name}={value}" for name, value in _CONFIG.items()), *_ONLY_TASKS]
        return await asyncio.create_subprocess_exec(
            "git", *(word for option in options for word in ("-c", option)), "http-backend",
            cwd=self._root, env=self._environment(request), limit=_HEADER_BYTES, start_new_session=True,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip

    def _environment(self, request: GitRequest) -> Mapping[str, str]:
        return {
            "PATH": os.environ.get("PATH", os.defpath),
            "LC_ALL": "C",
            "HOME": "/nonexistent",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_PROJECT_ROOT": str(self._root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": request.path,
            "REQUEST_METHOD": request.method,
            "QUERY_STRING": request.query,
            "CONTENT_TYPE": request.content_type,
            "HTTP_CONTENT_ENCODING": request.encoding,
            "GIT_PROTOCOL": request.protocol,
            # With a user, Git takes pushes.
            "REMOTE_USER": request.user,
            "REMOTE_ADDR": "",
        }


class _Running:
    """One Git process, what goes in, and what comes out."""

    def __init__(
        self, process: asyncio.subprocess.Process, body: AsyncIterator[bytes], gate: asyncio.Semaphore
    ) -> None:
        self._process = process
        self._gate = gate
        self._feeding = asyncio.create_task(self._feed(body))
        self._ended = False

    async def head(self) -> tuple[int, dict[str, str]]:
        """Status and headers, once Git has the whole request: while a reply is sent, nobody else may read from it."""
        stdout = self._process.stdout
        assert stdout is not None
        await self._feeding
        return _parsed(await stdout.readuntil(b"\r\n\r\n"))

    async def output(self) -> AsyncIterator[bytes]:
        """What follows the headers."""
        stdout = self._process.stdout
        assert stdout is not None
        try:
            async with asyncio.timeout(_LASTS_S):
                while chunk := await stdout.read(_CHUNK):
                    yield chunk
        except TimeoutError:
            log.warning("git took too long, and was ended")

    async def end(self) -> None:
        """End git with everything that it has started."""
        if self._ended:
            return
        self._ended = True
        self._feeding.cancel()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._gate.release()
        await asyncio.gather(self._feeding, self._process.wait(), return_exceptions=True)

    async def _feed(self, body: AsyncIterator[bytes]) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        # Git may have read enough, and a client may leave.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            async for chunk in body:
                stdin.write(chunk)
                await stdin.drain()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            stdin.close()


class _Streamed(StreamingResponse):
    """Ends Git however the sending ends, also if it never begins."""

    def __init__(self, running: _Running, status: int, headers: dict[str, str]) -> None:
        super().__init__(running.output(), status, headers)
        self._running = running

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._running.end()


def _parsed(head: bytes) -> tuple[int, dict[str, str]]:
    headers: dict[str, str] = {}
    for line in head.decode("latin-1").splitlines():
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    status = headers.pop("status", "200").split()[0]
    return int(status), headers


def _failed() -> OrchestratorError:
    return permanent(ErrorCode.GIT_FAILED, "Git could not answer this request. Try again.")
