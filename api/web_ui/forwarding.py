"""Passes requests on to the Temporal Web UI, and its answers back."""

from collections.abc import AsyncIterator

import httpx
import structlog
from fastapi import Request
from fastapi.responses import Response, StreamingResponse
from starlette.background import BackgroundTask
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from api.edge.addresses import SECRET_HEADER
from api.problems import problem_response
from api.web_ui.list_columns import with_columns
from api.web_ui.parts import WebUi
from api.web_ui.script_policy import script_policy
from contracts.errors import ErrorCode
from runtime.settings import WEB_UI_PATH

_TRIES = 3
_MARKDOWN_PATH = f"{WEB_UI_PATH}/render".encode()
_POLICY = "content-security-policy"
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
_NOT_RETURNED = {
    "connection",
    "content-length",
    "content-encoding",
    "transfer-encoding",
    "keep-alive",
    "date",  # this server adds its own
    "server",
    "x-frame-options",  # set below
}

log = structlog.get_logger(__name__)


async def forwarded(request: Request, web_ui: WebUi) -> Response:
    """The Web UI's answer to this request; 503 TEMPORAL_UNREACHABLE when there is none."""
    try:
        reply = await _reply(request, web_ui)
        return await _page(reply) if _is_page(reply) else _streamed(reply)
    except httpx.HTTPError as error:
        log.warning("the Web UI does not answer", cause=type(error).__name__)
        return problem_response(
            ErrorCode.TEMPORAL_UNREACHABLE,
            "The Temporal Web UI does not answer. See `orchestrator status`.",
            str(request.scope.get("request_id", "")),
        )


async def _reply(request: Request, web_ui: WebUi) -> httpx.Response:
    """The beginning of the reply."""
    # The raw path: workflow ids contain escaped slashes.
    path: bytes = request.scope["raw_path"]
    reply = await _answer(web_ui.upstream, await _request(request, web_ui, path))
    if path == _MARKDOWN_PATH and "sandbox" not in reply.headers.get(_POLICY, ""):
        # Up to 2.54 the Web UI renders Markdown below its public path twice; here it answers with its start page.
        await reply.aclose()
        reply = await _answer(web_ui.upstream, await _request(request, web_ui, WEB_UI_PATH.encode() + path))
    return reply


async def _request(request: Request, web_ui: WebUi, path: bytes) -> httpx.Request:
    target = path + (b"?" + request.scope["query_string"] if request.url.query else b"")
    return web_ui.upstream.build_request(
        request.method,
        httpx.URL(web_ui.settings.ui_origin).copy_with(raw_path=target),
        headers=_headers(request, web_ui),
        content=await request.body(),
    )


def _is_page(reply: httpx.Response) -> bool:
    """Whether this is a page that does not say which scripts it may run."""
    is_html = reply.headers.get("content-type", "").startswith("text/html")
    return is_html and "script-src" not in reply.headers.get(_POLICY, "")


async def _page(reply: httpx.Response) -> Response:
    content = await reply.aread()
    if "sandbox" not in reply.headers.get(_POLICY, ""):
        content = with_columns(content)
    page = Response(content, reply.status_code)
    policy = (_POLICY.encode(), script_policy(content).encode())
    page.raw_headers = [*_returned_headers(reply), policy, (b"content-length", str(len(content)).encode())]
    return page


def _streamed(reply: httpx.Response) -> Response:
    streamed = StreamingResponse(_content(reply), reply.status_code, background=BackgroundTask(reply.aclose))
    streamed.raw_headers = _returned_headers(reply)
    return streamed


def _returned_headers(reply: httpx.Response) -> list[tuple[bytes, bytes]]:
    pairs = reply.headers.multi_items()
    kept_pairs = [(k.encode(), v.encode("latin-1")) for k, v in pairs if k.lower() not in _NOT_RETURNED]
    # Other sites must not show the Web UI in a frame: a proxy's login would come with its requests, too.
    return [*kept_pairs, (b"x-frame-options", b"SAMEORIGIN")]


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
    """The request's headers without those that log a person in here."""
    ours = {"cookie", "authorization", SECRET_HEADER.lower(), web_ui.settings.proxy_user_header.lower()}
    headers = [(name, value) for name, value in request.headers.items() if name not in _NOT_FORWARDED | ours]
    cookies = request.cookies.items()
    kept = "; ".join(f"{name}={value}" for name, value in cookies if name != web_ui.sessions.cookie)
    return [*headers, *([("cookie", kept)] if kept else [])]


async def _content(reply: httpx.Response) -> AsyncIterator[bytes]:
    async for chunk in reply.aiter_bytes():
        yield chunk
