"""The Docker Engine of this machine over its socket: for many small questions, each answered in milliseconds.

Standard library only: it runs on servers, where starting the `docker` program takes ten times longer than its answer.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from contracts.errors import ErrorCode, OrchestratorError, bounded

SOCKET = Path("/var/run/docker.sock")
_Query = Mapping[str, str | int]
_HEAD_END = b"\r\n\r\n"
_FIRST_ERROR = 400
_NOT_FOUND = 404


@dataclass(frozen=True)
class Answer:
    """What the engine said: an HTTP status and a value in JSON, None where it sent none."""

    status: int
    value: Any

    @property
    def ok(self) -> bool:
        return self.status < _FIRST_ERROR

    @property
    def error(self) -> str:
        """Why the engine refused the request."""
        said = self.value.get("message") if isinstance(self.value, dict) else self.value
        return bounded(str(said or f"the engine answered {self.status}").strip(), 1_000)


async def try_call(
    method: str, path: str, body: object = None, query: _Query | None = None, *, timeout_s: float = 60.0
) -> Answer:
    """One call of the Engine API, whatever it answers; cancelling it closes the connection.

    Raises OrchestratorError DOCKER_UNREACHABLE (transient) without an engine, or when it disconnects before it has
    answered, and PROCESS_FAILED (transient) after `timeout_s` seconds.
    """
    try:
        async with asyncio.timeout(timeout_s):
            return await _exchange(_request(method, path, body, query or {}))
    except TimeoutError:
        reason = f"The Docker Engine did not answer {method} {path} within {timeout_s:g} s."
        raise OrchestratorError.transient(ErrorCode.PROCESS_FAILED, reason) from None
    except (OSError, ValueError) as error:
        reason = f"The Docker Engine cannot be reached: {bounded(str(error) or type(error).__name__, 500)}"
        raise OrchestratorError.transient(ErrorCode.DOCKER_UNREACHABLE, reason) from None


async def call(method: str, path: str, query: _Query | None = None) -> Any:  # noqa: ANN401 - any JSON
    """The same; what it answered. Raises PROCESS_FAILED with what the engine said when it refuses."""
    return _granted(await try_call(method, path, query=query), f"{method} {path}")


async def find(path: str) -> dict[str, Any] | None:
    """The engine's description of an object; None if it does not exist. Raises as `call` does."""
    answer = await try_call("GET", path)
    return None if answer.status == _NOT_FOUND else _granted(answer, path)


def _granted(answer: Answer, request: str) -> Any:  # noqa: ANN401 - any JSON
    if not answer.ok:
        raise OrchestratorError(ErrorCode.PROCESS_FAILED, f"Docker refused {request}: {answer.error}")
    return answer.value


def _request(method: str, path: str, body: object, query: _Query) -> bytes:
    content = b"" if body is None else json.dumps(body).encode()
    target = f"{path}?{urlencode(query)}" if query else path
    # Without a version in the path the engine takes its own. HTTP/1.0: the end of the answer is the end of the stream.
    head = f"{method} {target} HTTP/1.0\r\nContent-Type: application/json\r\nContent-Length: {len(content)}"
    return head.encode() + _HEAD_END + content


async def _exchange(request: bytes) -> Answer:
    """Raises OSError, and ValueError for an answer that was cut."""
    reader, writer = await asyncio.open_unix_connection(SOCKET)
    try:
        writer.write(request)
        await writer.drain()
        head, end, content = (await reader.read()).partition(_HEAD_END)
    finally:
        writer.close()
    if not end:
        raise ValueError("the connection was closed without an answer")
    return Answer(int(head.split()[1]), json.loads(content) if content.strip() else None)
