"""The Temporal Web UI behind a login, at the API's own address: so its scripts reach the codec with the cookie."""

import html
from collections.abc import AsyncIterator
from urllib.parse import quote

import httpx
import structlog
from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.background import BackgroundTask
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from api.auth import Admin
from api.problems import permanent, problem_response
from api.state import Platform, ThePlatform
from api.web_access import SECRET_HEADER, require_own_page, require_viewer
from api.web_sessions import SESSION_TTL
from contracts.errors import ErrorCode, OrchestratorError
from contracts.nouns import WebUiTicket
from runtime.settings import Settings

router = APIRouter(tags=["platform"])

log = structlog.get_logger(__name__)

HOME = "/namespaces/default/workflows"
PATHS = ("/namespaces", "/api/v1", "/_app", "/i18n", "/select-namespace", "/import", "/nexus", "/render")
"""Where the Web UI lives; none of them is a route of the API."""

_TIMEOUT = httpx.Timeout(30, read=120)
"""In seconds. A page is hundreds of small requests, all at once, and a busy machine takes its time to connect."""
_TRIES = 3
# Belong to one connection, or are for this side only.
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


def connection(settings: Settings) -> httpx.AsyncClient:
    """To the Web UI on this host. An open page holds a request or two while it waits for news."""
    limits = httpx.Limits(max_connections=500, max_keepalive_connections=50)
    return httpx.AsyncClient(base_url=settings.ui_url, timeout=_TIMEOUT, limits=limits, trust_env=False)


@router.post("/web-ui-tickets", status_code=201)
async def create_ticket(platform: ThePlatform, caller: Admin) -> WebUiTicket:
    """A link that logs one browser in to the Web UI with readable payloads; it works once, within 30 minutes.

    Whoever opens it reads the payloads of every project, so only an admin gets one.
    """
    ticket, expires_at = platform.web_sessions.new_ticket(caller.user_id)
    log.info("a link to the readable Web UI was made", user_id=caller.user_id)
    return WebUiTicket(url=f"{platform.settings.web_ui_url}/ui-login?ticket={ticket}", expires_at=expires_at)


async def login(request: Request) -> Response:
    """Exchange a ticket for the cookie, and go to the Web UI (or to its page `next`)."""
    platform: Platform = request.app.state.platform
    sessions = platform.web_sessions
    session = sessions.redeem(request.query_params.get("ticket", ""))
    if session is None and not await _is_in(request):
        raise permanent(
            ErrorCode.NOT_AUTHENTICATED,
            "This link is too old or was used already. `orchestrator web-ui` prints a new one.",
        )
    wanted = request.query_params.get("next", "")
    target = quote(wanted, safe="/%?=&") if wanted.startswith("/namespaces/") else HOME
    reply = RedirectResponse(target, 303, {"Cache-Control": "no-store"})
    if session is not None:
        # Lax: a link in a chat leads to a readable page, while another site's scripts are never logged in.
        age = int(SESSION_TTL.total_seconds())
        reply.set_cookie(
            sessions.cookie, session, max_age=age, path="/", httponly=True, samesite="lax", secure=sessions.is_secure
        )
    return reply


async def _is_in(request: Request) -> bool:
    try:
        await require_viewer(request)
    except OrchestratorError as error:
        if error.code not in {ErrorCode.NOT_AUTHENTICATED, ErrorCode.NOT_ALLOWED}:
            raise
        return False
    return True


async def home(request: Request) -> Response:
    """A person who opens the bare address, or the logo's link, wants the Web UI; for programs there is nothing here."""
    if not _is_person(request):
        raise HTTPException(404)
    return RedirectResponse(HOME, 303)


async def forward(request: Request) -> Response:
    """Pass a request on to the Web UI; without a login, say how to get one."""
    platform: Platform = request.app.state.platform
    try:
        viewer = await require_viewer(request)
    except OrchestratorError as error:
        if error.code not in _PAGES or not _is_person(request):
            raise
        return _page(request, platform, error)
    if request.method != "GET":
        require_own_page(request, viewer)
    return await _forwarded(request, platform)


async def _forwarded(request: Request, platform: Platform) -> Response:
    # The raw path: workflow ids contain escaped slashes.
    target = request.scope["raw_path"] + (b"?" + request.scope["query_string"] if request.url.query else b"")
    built = platform.web_ui.build_request(
        request.method,
        httpx.URL(platform.settings.ui_url).copy_with(raw_path=target),
        headers=_headers(request, platform),
        content=await request.body(),
    )
    try:
        reply = await _answered(platform.web_ui, built)
    except httpx.HTTPError as error:
        log.warning("the Web UI does not answer", cause=type(error).__name__)
        return problem_response(
            ErrorCode.TEMPORAL_UNREACHABLE,
            "The Temporal Web UI does not answer. See `orchestrator status`.",
            _id(request),
        )
    streamed = StreamingResponse(_content(reply), reply.status_code, background=BackgroundTask(reply.aclose))
    pairs = reply.headers.multi_items()
    kept_pairs = [(k.encode(), v.encode("latin-1")) for k, v in pairs if k.lower() not in _NOT_RETURNED]
    # No page elsewhere may show the Web UI's buttons under its own: a proxy's login is sent from there, too.
    streamed.raw_headers = [*kept_pairs, (b"x-frame-options", b"SAMEORIGIN")]
    return streamed


async def _answered(web_ui: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
    """The beginning of the reply. What only reads is asked for again: one missing script breaks a page."""
    async for attempt in AsyncRetrying(
        retry=retry_if_exception_type(httpx.TransportError),
        stop=stop_after_attempt(_TRIES if request.method == "GET" else 1),
        wait=wait_exponential(0.1),
        reraise=True,
    ):
        with attempt:
            return await web_ui.send(request, stream=True)
    raise AssertionError("unreachable: the last attempt returns or raises")


def _headers(request: Request, platform: Platform) -> list[tuple[str, str]]:
    """What the Web UI is told: nothing that a login here is made of."""
    ours = {"cookie", "authorization", SECRET_HEADER.lower(), platform.settings.proxy_user_header.lower()}
    headers = [(name, value) for name, value in request.headers.items() if name not in _NOT_FORWARDED | ours]
    cookies = request.cookies.items()
    kept = "; ".join(f"{name}={value}" for name, value in cookies if name != platform.web_sessions.cookie)
    return [*headers, *([("cookie", kept)] if kept else [])]


async def _content(reply: httpx.Response) -> AsyncIterator[bytes]:
    async for chunk in reply.aiter_bytes():
        yield chunk


def _page(request: Request, platform: Platform, refusal: OrchestratorError) -> Response:
    """What a person reads instead of the Web UI. The one without a login is on the platform's own host only."""
    status, page = _PAGES[refusal.code]
    query = f"?{request.url.query}" if request.url.query else ""
    sealed = f"{platform.settings.ui_url}{request.scope['raw_path'].decode('latin-1')}{query}"
    go_on = _GO_ON.format(sealed=html.escape(sealed, quote=True)) if platform.settings.public_url is None else ""
    text = page.format(reason=html.escape(refusal.message), go_on=go_on)
    return HTMLResponse(_STYLE + text, status, {"Cache-Control": "no-store"})


def _is_person(request: Request) -> bool:
    return "text/html" in request.headers.get("accept", "")


def _id(request: Request) -> str:
    return str(request.scope.get("request_id", ""))


_STYLE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Log in to the Web UI</title>
<style>body { font: 16px/1.6 sans-serif; max-width: 40rem; margin: 4rem auto; padding: 0 1rem }</style>
"""
_NOT_LOGGED_IN = """<h1>This browser is not logged in</h1>
<p>On the platform's host, run <code>orchestrator web-ui</code> (with Compose:
<code>docker-compose exec api orchestrator web-ui</code>). Open the link that it prints in this browser, then come back
to this page.</p>
{go_on}"""
_NOT_ALLOWED = """<h1>You may not read here</h1>
<p>{reason}</p>"""
_GO_ON = """<p><a href="{sealed}">Go on without a login</a>: ids, stages and times are readable, everything else is
encrypted.</p>
"""
_PAGES = {ErrorCode.NOT_AUTHENTICATED: (401, _NOT_LOGGED_IN), ErrorCode.NOT_ALLOWED: (403, _NOT_ALLOWED)}

router.add_route("/ui-login", login, methods=["GET"])
router.add_route("/", home, methods=["GET"])
for _path in PATHS:
    for _route in (_path, f"{_path}/{{rest:path}}"):
        router.add_route(_route, forward, methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
