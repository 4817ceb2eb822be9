"""Passes requests on to the Temporal Web UI, and its answers back."""

from collections.abc import AsyncIterator

import httpx
import structlog
from fastapi import Request
from fastapi.responses import Response, StreamingResponse
from starlette.background import BackgroundTask
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from api.problems import problem_response
from api.web_ui.access import SECRET_HEADER
from api.web_ui.parts import WebUi
from contracts.errors import ErrorCode

_TRIES = 3
# These belong to one connection, or are for this side only.
_NOT_FORWARDED = {
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "accept-encoding",
    "origin",
    "keep-alive",
}
_NOT_RETURNED = {"connection", "content-length", "content-encoding", "transfer-encoding", "keep-alive"}

log = structlog.get_logger(__name__)


async def forwarded(request: Request, web_ui: WebUi) -> Response:
    """The Web UI's answer to this request; 503 TEMPORAL_UNREACHABLE when there is none."""
    # The raw path: workflow ids contain escaped slashes.
    target = request.scope["raw_path"] + (b"?" + request.scope["query_string"] if request.url.query else b"")
    built = web_ui.upstream.build_request(
        request.method,
        httpx.URL(web_ui.settings.ui_url).copy_with(raw_path=target),
        headers=_headers(request, web_ui),
        content=await request.body(),
    )
    try:
        reply = await _answer(web_ui.upstream, built)
    except httpx.HTTPError as error:
        log.warning("the Web UI does not answer", cause=type(error).__name__)
        return problem_response(
            ErrorCode.TEMPORAL_UNREACHABLE,
            "The Temporal Web UI does not answer. See `orchestrator status`.",
            str(request.scope.get("request_id", "")),
        )
    streamed = StreamingResponse(_content(reply), reply.status_code, background=BackgroundTask(reply.aclose))
    pairs = reply.headers.multi_items()
    kept_pairs = [(k.encode(), v.encode("latin-1")) for k, v in pairs if k.lower() not in _NOT_RETURNED]
    # Other sites must not show the Web UI in a frame: a proxy's login would come with its requests, too.
    streamed.raw_headers = [*kept_pairs, (b"x-frame-options", b"SAMEORIGIN")]
    return streamed


async def _answer(upstream: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
    """The beginning of the reply. A GET is repeated when its connection breaks: one missing script breaks a page."""
    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type(httpx.TransportError),
        stop=stop_after_attempt(_TRIES if request.method == "GET" else 1),
        wait=wait_exponential(0.1),
        reraise=True,
    ):
        with attempt:
            return await upstream.send(request, stream=True)
    raise AssertionError("unreachable: the last attempt returns or raises")


def _headers(request: Request, web_ui: WebUi) -> list[tuple[str, str]]:
    """The request's headers without those with which a person logs in here."""
    ours = {"cookie", "authorization", SECRET_HEADER.lower(), web_ui.settings.proxy_user_header.lower()}
    headers = [(name, value) for name, value in request.headers.items() if name not in _NOT_FORWARDED | ours]
    cookies = request.cookies.items()
    kept = "; ".join(f"{name}={value}" for name, value in cookies if name != web_ui.sessions.cookie)
    return [*headers, *([("cookie", kept)] if kept else [])]


async def _content(reply: httpx.Response) -> AsyncIterator[bytes]:
    async for chunk in reply.aiter_bytes():
        yield chunk
