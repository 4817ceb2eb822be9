"""The outermost layer: request ids, a limit on bodies, and text that PostgreSQL cannot hold."""

import asyncio
import contextlib
import json
import re
import time
import uuid
from collections.abc import Awaitable, Callable

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.edge import security_headers
from api.problems import permanent, problem_response
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError
from runtime.settings import GIT_PATH, WEB_UI_PATH, Settings

_QUIET = ("/internal/", "/health", "/codec/", f"{WEB_UI_PATH}/")

_LINGER_S, _LINGER_BYTES = 2.0, 32_000_000

_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")
# An escaped NUL or surrogate, or enough digits for a number beyond bigint: only then the document is parsed.
_SUSPICIOUS = re.compile(rb"\\u0000|\\u[dD][89a-fA-F]|[0-9]{19}")
_BIGINT = 2**63
_SUBJECT = re.compile(r"/(?:internal/)?(projects|tasks|questions)/([A-Za-z0-9][A-Za-z0-9._:-]{0,199})(?:/|\Z)")
_SUBJECTS = {"projects": "project_id", "tasks": "task_id", "questions": "question_id"}

log = structlog.get_logger(__name__)


class RequestContext:
    """Gives each request an id (a valid X-Request-ID of the caller is kept), and answers unexpected errors.

    Every reply tells browsers what it may do.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        request_id = given if _REQUEST_ID.match(given) else str(uuid.uuid4())
        scope["request_id"] = request_id
        status = 0
        begin = time.monotonic()

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers["X-Request-ID"] = request_id
                security_headers.add(headers, str(scope["path"]), self._settings)
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id, **_subject(scope["path"])):
            try:
                await self._app(scope, receive, send_with_id)
            except Exception:
                log.exception("unexpected error", method=scope["method"], path=scope["path"][:300])
                if status:
                    raise
                await _internal(request_id)(scope, receive, send_with_id)
            _log_request(scope, status, time.monotonic() - begin)


def _subject(path: str) -> dict[str, str]:
    """The project, task or question in the request's path: every log record of the request has it."""
    found = _SUBJECT.match(path)
    return {_SUBJECTS[found[1]]: found[2]} if found else {}


def _log_request(scope: Scope, status: int, seconds: float) -> None:
    # The platform's own calls and the files of pages come by the hundred: they are logged for debugging only.
    quiet = status < 500 and scope["path"].startswith(_QUIET)
    write = log.debug if quiet else log.info
    write("request", method=scope["method"], path=scope["path"][:300], status=status, ms=round(seconds * 1000))


def _internal(request_id: str) -> ASGIApp:
    return problem_response(
        ErrorCode.INTERNAL, "Something went wrong in the platform. Give an admin this request id.", request_id
    )


class BodyGuard:
    """Reads the body once. Refuses too large and too slow bodies, NUL characters, lone surrogates and numbers beyond
    bigint.

    `largest_body` says how many bytes a caller may send; it is asked only for a body of more than `small` bytes.
    """

    def __init__(
        self, app: ASGIApp, largest_body: Callable[[Scope], Awaitable[int]], small: int, body_s: float
    ) -> None:
        self._app = app
        self._largest_body = largest_body
        self._small = small
        self._body_s = body_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # What Git sends is no JSON, is streamed, and has a limit of its own.
        is_git = scope["type"] == "http" and scope["path"].startswith(f"{GIT_PATH}/")
        if scope["type"] != "http" or is_git or scope["method"] in {"GET", "HEAD", "OPTIONS"}:
            await self._app(scope, receive, send)
            return
        request_id = str(scope.get("request_id", ""))
        try:
            body = await self._read(scope, receive)
        except OrchestratorError as error:
            # Its rest is not used, so the connection cannot be used again.
            refusal = problem_response(error.code, error.message, request_id, headers={"Connection": "close"})
            is_known = error.details.get("limit", str(self._small)) != str(self._small)
            await refusal(scope, receive, _lingering(receive, send) if is_known else send)
            return
        if (where := _unstorable(body)) is not None:
            detail = "The request contains a NUL character, half of a surrogate pair, or a number beyond 64 bits."
            refusal = problem_response(
                ErrorCode.INVALID_INPUT, detail, request_id, errors=[{"field": where, "message": detail}]
            )
            await refusal(scope, receive, send)
        else:
            await self._app(scope, _replay(body, receive), send)

    async def _read(self, scope: Scope, receive: Receive) -> bytes:
        """The whole body. Raises PAYLOAD_TOO_LARGE, which the announced length may already say, or REQUEST_TIMEOUT."""
        try:
            async with asyncio.timeout(self._body_s):
                return await self._read_limited(scope, receive)
        except TimeoutError:
            raise permanent(
                ErrorCode.REQUEST_TIMEOUT, f"The body did not arrive within {self._body_s:.0f} s. Send it again."
            ) from None

    async def _read_limited(self, scope: Scope, receive: Receive) -> bytes:
        limit = await self._limit(scope, _announced(scope), self._small)
        chunks: list[bytes] = []
        size = 0
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return b"".join(chunks)
            chunks.append(message.get("body", b""))
            size += len(chunks[-1])
            limit = await self._limit(scope, size, limit)
            if not message.get("more_body"):
                return b"".join(chunks)

    async def _limit(self, scope: Scope, size: int, limit: int) -> int:
        """The limit for a body of this size; the caller's own is looked up once the body is not small any more."""
        if size > limit == self._small:
            limit = await self._largest_body(scope)
        if size > limit:
            # Who shows no known key hears of the small limit.
            hint = " Without a key that the platform knows, nobody may send more." if limit == self._small else ""
            raise OrchestratorError(
                ErrorCode.PAYLOAD_TOO_LARGE,
                f"The body may have at most {limit} bytes.{hint}",
                error_class=ErrorClass.PERMANENT,
                details={"limit": limit},
            )
        return limit


def _lingering(receive: Receive, send: Send) -> Send:
    """For a known sender: ends a reply only when the body has been sent, or has gone on for too long.

    Programs read a reply once they have sent their body; a connection that is closed before takes the reply from them.
    """

    async def send_and_wait(message: Message) -> None:
        if message["type"] != "http.response.body":
            await send(message)
            return
        await send({**message, "more_body": True})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_S):
                await _drop(receive)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    return send_and_wait


async def _drop(receive: Receive) -> None:
    size = 0
    while size < _LINGER_BYTES:
        message = await receive()
        size += len(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body"):
            return


def _announced(scope: Scope) -> int:
    announced = Headers(scope=scope).get("content-length", "")
    return int(announced[:20]) if announced.isdecimal() and announced.isascii() else 0


def _replay(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def replayed() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replayed


def _unstorable(body: bytes) -> str | None:
    """Where in the JSON document is a value that the database cannot hold; None when there is none."""
    if not _SUSPICIOUS.search(body):
        return None
    try:
        return _first_bad(json.loads(body), "body")
    except (ValueError, RecursionError):
        # Not JSON: the framework refuses it with a better message.
        return None


def _first_bad(value: object, where: str) -> str | None:
    if isinstance(value, str):
        return where if not _is_text(value) else None
    if isinstance(value, int):
        return where if not -_BIGINT <= value < _BIGINT else None
    if isinstance(value, list):
        return next((bad for item in value if (bad := _first_bad(item, f"{where}[]")) is not None), None)
    if isinstance(value, dict):
        if not all(_is_text(key) for key in value):
            return where
        items = value.items()
        return next((bad for key, item in items if (bad := _first_bad(item, f"{where}.{key[:50]}")) is not None), None)
    return None


def _is_text(text: str) -> bool:
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
