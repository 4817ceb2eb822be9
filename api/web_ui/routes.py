"""The Temporal Web UI behind a login, below a path of the API's own address, so that its scripts reach the codec."""

import re
from typing import Annotated
from urllib.parse import parse_qsl, quote

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import RedirectResponse, Response

from api.audit.trail import DONE, Act, audited, record
from api.auth import Admin
from api.database import Session
from api.edge.addresses import client_address
from api.problems import permanent
from api.web_ui.access import Viewer, is_viewer, require_own_page, require_same_site, require_viewer
from api.web_ui.codec import decode
from api.web_ui.forwarding import forwarded
from api.web_ui.pages import is_person, log_in_page, refusal_page
from api.web_ui.parts import WebUiDep, web_ui_of
from api.web_ui.sessions import SESSION_TTL, new_ticket, redeem
from contracts.errors import ErrorCode, OrchestratorError
from contracts.nouns import WebUiTicket
from runtime.settings import WEB_UI_PATH

router = APIRouter(tags=["platform"])

_READING = re.compile(r"/(?:query|queries)(?:/|\Z)")
"""Temporal takes a question to a workflow as a POST."""
_NOT_KEPT = {"Cache-Control": "no-store"}

HOME = f"{WEB_UI_PATH}/namespaces/default/workflows"
_OLD_PATH = "/namespaces"
"""Links of earlier versions begin with this."""


@router.post("/web-ui-tickets", status_code=201)
async def create_ticket(
    act: Annotated[Act, audited("web_ui.ticket")],
    web_ui: WebUiDep,
    session: Session,
    caller: Admin,
) -> WebUiTicket:
    """A link that logs one browser in to the Web UI with readable payloads; it works once, within 30 minutes.

    Whoever opens it reads the payloads of every project, so only an admin gets one.
    """
    made = await new_ticket(session, caller)
    act.on(made.row.id)
    assert made.row.expires_at is not None
    return WebUiTicket(url=f"{web_ui.settings.site_url}/ui-login?ticket={made.secret}", expires_at=made.row.expires_at)


async def ask_to_log_in(request: Request) -> Response:
    """The page of a link. It uses nothing up: programs open links, too, such as a chat's that shows a preview."""
    if await is_viewer(request):
        return RedirectResponse(_page_after_login(request.query_params.get("next", "")), 303, _NOT_KEPT)
    return log_in_page(request.query_params.get("ticket", ""), request.query_params.get("next", ""))


async def login(request: Request) -> Response:
    """Exchange the ticket of the page's form for the cookie, and go to the Web UI (or to its page `next`)."""
    require_same_site(request)
    form = await _form(request)
    web_ui = web_ui_of(request)
    cookie = await _redeemed(request, form.get("ticket", ""))
    if cookie is None and not await is_viewer(request):
        raise permanent(
            ErrorCode.NOT_AUTHENTICATED,
            "This link has expired or was already used. `orchestrator web-ui` prints a new one.",
        )
    reply = RedirectResponse(_page_after_login(form.get("next", "")), 303, _NOT_KEPT)
    if cookie is not None:
        # Lax: a link in a chat leads to a readable page, while another site's scripts are never logged in.
        age, secure = int(SESSION_TTL.total_seconds()), web_ui.sessions.is_secure
        name = web_ui.sessions.cookie
        reply.set_cookie(name, cookie, max_age=age, path="/", httponly=True, samesite="lax", secure=secure)
    return reply


async def _redeemed(request: Request, ticket: str) -> str | None:
    """The cookie's value for a ticket; None for one that opens nothing. Each login is in the audit trail."""
    platform = request.app.state.platform
    address = client_address(request.scope, platform.settings)
    async with platform.sessions.begin() as session:
        made = await redeem(session, ticket, address)
        if made is None:
            return None
        await record(session, request, "sign_in.web_ui", made.row.user_id, made.row.id, credential=made.row.made_with)
    return made.secret


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form; of a name that is given twice the first."""
    fields = parse_qsl((await request.body()).decode("latin-1"), max_num_fields=10)
    return dict(reversed(fields))


def _page_after_login(wanted: str) -> str:
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
    if request.method == "GET":
        return await forwarded(request, web_ui)
    require_own_page(request, viewer)
    reply = await forwarded(request, web_ui)
    if not _READING.search(request.url.path):
        await _tell_change(request, viewer, reply.status_code)
    return reply


async def _tell_change(request: Request, viewer: Viewer, status: int) -> None:
    """Who has ended, reset or signalled what in the Web UI; its path names the workflow."""
    failed = ErrorCode.TEMPORAL_UNREACHABLE if status >= 500 else ErrorCode.INVALID_INPUT
    path = request.scope["raw_path"].decode("latin-1").removeprefix(WEB_UI_PATH)
    async with request.app.state.platform.sessions.begin() as session:
        target = f"{request.method} {path}"
        result = DONE if status < 400 else failed.value
        await record(session, request, "web_ui.change", viewer.user_id, target, result=result)


# Plain routes: they speak Temporal's protocols, not the API's, and a cookie opens them instead of a key.
router.add_route("/codec/decode", decode, methods=["POST"])
router.add_route("/ui-login", ask_to_log_in, methods=["GET"])
router.add_route("/ui-login", login, methods=["POST"])
router.add_route("/", home, methods=["GET"])
for _suffix in ("", "/{rest:path}"):
    router.add_route(_OLD_PATH + _suffix, redirect_old_link, methods=["GET"])
    router.add_route(WEB_UI_PATH + _suffix, forward, methods=["GET", "POST", "PUT", "PATCH", "DELETE"])
