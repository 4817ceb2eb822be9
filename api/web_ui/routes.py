"""The Temporal Web UI behind a login, below a path of the API's own address, so that its scripts reach the codec."""

from urllib.parse import quote

import structlog
from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import RedirectResponse, Response

from api.auth import Admin
from api.problems import permanent
from api.web_ui.access import is_viewer, require_own_page, require_viewer
from api.web_ui.codec import decode
from api.web_ui.forwarding import forwarded
from api.web_ui.pages import is_person, refusal_page
from api.web_ui.parts import WebUiDep, web_ui_of
from api.web_ui.sessions import SESSION_TTL
from contracts.errors import ErrorCode, OrchestratorError
from contracts.nouns import WebUiTicket
from runtime.settings import WEB_UI_PATH

router = APIRouter(tags=["platform"])

log = structlog.get_logger(__name__)

HOME = f"{WEB_UI_PATH}/namespaces/default/workflows"
_OLD_PATH = "/namespaces"
"""Links of earlier versions begin with this."""


@router.post("/web-ui-tickets", status_code=201)
async def create_ticket(web_ui: WebUiDep, caller: Admin) -> WebUiTicket:
    """A link that logs one browser in to the Web UI with readable payloads; it works once, within 30 minutes.

    Whoever opens it reads the payloads of every project, so only an admin gets one.
    """
    ticket, expires_at = web_ui.sessions.new_ticket(caller.user_id)
    log.info("a link to the readable Web UI was made", user_id=caller.user_id)
    return WebUiTicket(url=f"{web_ui.settings.site_url}/ui-login?ticket={ticket}", expires_at=expires_at)


async def login(request: Request) -> Response:
    """Exchange a ticket for the cookie, and go to the Web UI (or to its page `next`)."""
    sessions = web_ui_of(request).sessions
    session = sessions.redeem(request.query_params.get("ticket", ""))
    if session is None and not await is_viewer(request):
        raise permanent(
            ErrorCode.NOT_AUTHENTICATED,
            "This link has expired or was already used. `orchestrator web-ui` prints a new one.",
        )
    reply = RedirectResponse(_page_after_login(request), 303, {"Cache-Control": "no-store"})
    if session is not None:
        # Lax: a link in a chat leads to a readable page, while another site's scripts are never logged in.
        age = int(SESSION_TTL.total_seconds())
        reply.set_cookie(
            sessions.cookie, session, max_age=age, path="/", httponly=True, samesite="lax", secure=sessions.is_secure
        )
    return reply


def _page_after_login(request: Request) -> str:
    wanted = request.query_params.get("next", "")
    if wanted.startswith(f"{_OLD_PATH}/"):
        wanted = WEB_UI_PATH + wanted
    return quote(wanted, safe="/%?=&") if wanted.startswith(f"{WEB_UI_PATH}/") else HOME


async def home(request: Request) -> Response:
    """A person who opens the bare address is sent to the Web UI; for programs there is nothing here."""
    if not is_person(request):
        raise HTTPException(404)
    return RedirectResponse(HOME, 303)


async def redirect_old_link(request: Request) -> Response:
    """The same page below the path of the Web UI."""
    query = f"?{request.url.query}" if request.url.query else ""
    return RedirectResponse(f"{WEB_UI_PATH}{request.scope['raw_path'].decode('latin-1')}{query}", 308)


async def forward(request: Request) -> Response:
    """Pass a request on to the Web UI. A person who may not see it gets a page that says why."""
    web_ui = web_ui_of(request)
    try:
        viewer = await require_viewer(request)
    except OrchestratorError as error:
        page = refusal_page(request, web_ui.settings, error) if is_person(request) else None
        if page is None:
            raise
        return page
    if request.method != "GET":
        require_own_page(request, viewer)
    return await forwarded(request, web_ui)


# Plain routes: they speak Temporal's protocols, not the API's, and a cookie opens them instead of a key.
router.add_route("/codec/decode", decode, methods=["POST"])
router.add_route("/ui-login", login, methods=["GET"])
router.add_route("/", home, methods=["GET"])
for _suffix in ("", "/{rest:path}"):
    router.add_route(_OLD_PATH + _suffix, redirect_old_link, methods=["GET"])
    router.add_route(WEB_UI_PATH + _suffix, forward, methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
