"""The outermost layer: request ids, a limit on bodies, and text that PostgreSQL cannot hold."""

import json
import re
import time
import uuid

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.problems import problem_response
from contracts.errors import ErrorCode
from runtime.settings import GIT_PATH, WEB_UI_PATH

MAX_BODY_BYTES = 1_000_000
MAX_INTERNAL_BODY_BYTES = 8_000_000
"""For batches of 500 fine events with 4,000 characters each, and for a page of payloads that the Web UI decodes."""
_LARGE = ("/internal/", "/codec/")
_QUIET = ("/internal/", "/health", "/codec/", f"{WEB_UI_PATH}/")

_REQUEST_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}\Z")
# An escaped NUL or surrogate, or enough digits for a number beyond bigint: only then the document is parsed.
_SUSPICIOUS = re.compile(rb"\\u0000|\\u[dD][89a-fA-F]|[0-9]{19}")
_BIGINT = 2**63
_SUBJECT = re.compile(r"/(?:internal/)?(projects|tasks|questions)/([A-Za-z0-9][A-Za-z0-9._:-]{0,199})(?:/|\Z)")
_SUBJECTS = {"projects": "project_id", "tasks": "task_id", "questions": "question_id"}

log = structlog.get_logger(__name__)


class RequestContext:
    """Gives each request an id (a valid X-Request-ID of the caller is kept) and answers unexpected errors."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

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
                MutableHeaders(scope=message)["X-Request-ID"] = request_id
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
    """Reads the body once. Refuses too large bodies, NUL characters, lone surrogates and numbers beyond bigint."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # What Git sends is no JSON, is streamed, and has a limit of its own.
        is_git = scope["type"] == "http" and scope["path"].startswith(f"{GIT_PATH}/")
        if scope["type"] != "http" or is_git or scope["method"] in {"GET", "HEAD", "OPTIONS"}:
            await self._app(scope, receive, send)
            return
        limit = MAX_INTERNAL_BODY_BYTES if scope["path"].startswith(_LARGE) else MAX_BODY_BYTES
        body = await _read(scope, receive, limit)
        request_id = str(scope.get("request_id", ""))
        if body is None:
            refusal = problem_response(
                ErrorCode.PAYLOAD_TOO_LARGE, f"The body may have at most {limit} bytes.", request_id
            )
            await refusal(scope, receive, send)
        elif (where := _unstorable(body)) is not None:
            detail = "The request contains a NUL character, half of a surrogate pair, or a number beyond 64 bits."
            refusal = problem_response(
                ErrorCode.INVALID_INPUT, detail, request_id, errors=[{"field": where, "message": detail}]
            )
            await refusal(scope, receive, send)
        else:
            await self._app(scope, _replay(body, receive), send)


async def _read(scope: Scope, receive: Receive, limit: int) -> bytes | None:
    """The whole body; None when it is too large, which the announced length may already say."""
    announced = Headers(scope=scope).get("content-length", "")
    if announced.isdigit() and int(announced[:20]) > limit:
        return None
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b"".join(chunks)
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > limit:
            return None
        if not message.get("more_body"):
            return b"".join(chunks)


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
