"""Who may see the Web UI: an admin with the cookie of a link, or an admin whom a trusted proxy names."""

from dataclasses import dataclass
from urllib.parse import urlsplit

import structlog
from fastapi import Request

from api.audit.trail import record
from api.auth import hash_secret
from api.edge.addresses import client_address, is_trusted_proxy, own_origins
from api.problems import permanent
from api.web_ui.parts import web_ui_of
from api.web_ui.sessions import Visitor
from contracts.errors import ErrorCode, OrchestratorError
from contracts.states import Role
from runtime.settings import Settings

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Viewer:
    """An admin who uses a browser. `by_proxy`: a proxy has logged them in, and not a cookie."""

    user_id: int
    by_proxy: bool = False


async def require_viewer(request: Request) -> Viewer:
    """Who is asking. Raises NOT_AUTHENTICATED without a login, NOT_ALLOWED when the person is not an admin.

    A payload does not say which project it belongs to, so whoever reads one can read all. Therefore only admins may.
    """
    web_ui = web_ui_of(request)
    named = _named_by_proxy(request, web_ui.settings)
    if named is not None:
        user_id = _user_named(named, web_ui.settings)
        visitor = await web_ui.sessions.visitor_named(user_id, fresh=request.method != "GET")
        viewer = _admin(visitor, by_proxy=True)
        await _tell_sign_in(request, viewer)
        return viewer
    visitor = await web_ui.sessions.visitor_of(request, fresh=request.method != "GET")
    if visitor is None:
        raise permanent(ErrorCode.NOT_AUTHENTICATED, _not_logged_in(request, web_ui.settings))
    viewer = _admin(visitor, by_proxy=False)
    request.app.state.platform.admission.recognise(hash_secret(request.cookies[web_ui.sessions.cookie]))
    return viewer


async def _tell_sign_in(request: Request, viewer: Viewer) -> None:
    """A proxy names its user with each request: like the use of a key, the first one from an address is a sign-in."""
    platform = request.app.state.platform
    address = client_address(request.scope, platform.settings)
    if platform.admission.rates.signs_in(f"proxy/{viewer.user_id}", address):
        async with platform.sessions.begin() as session:
            await record(session, request, "sign_in.proxy", viewer.user_id)


async def is_viewer(request: Request) -> bool:
    """Whether `require_viewer` would let this request pass."""
    try:
        await require_viewer(request)
    except OrchestratorError as error:
        if error.code not in {ErrorCode.NOT_AUTHENTICATED, ErrorCode.NOT_ALLOWED}:
            raise
        return False
    return True


def require_own_page(request: Request, viewer: Viewer) -> None:
    """Only the Web UI's own scripts may change or decrypt something. Raises NOT_ALLOWED."""
    settings = web_ui_of(request).settings
    # With a proxy every request is logged in, also those that other pages send: then only the public address counts.
    known = {settings.public_url} if viewer.by_proxy else own_origins(settings)
    if request.headers.get("origin") not in known:
        raise permanent(ErrorCode.NOT_ALLOWED, "Only the Web UI of this address may do that.")


def _named_by_proxy(request: Request, settings: Settings) -> str | None:
    """The name in the header of a trusted proxy; None without one."""
    names = request.headers.getlist(settings.proxy_user_header)
    if not names or not is_trusted_proxy(request.scope, settings):
        return None
    if not _is_own_host(request, settings):
        raise permanent(
            ErrorCode.NOT_ALLOWED,
            "The host of the request is not the one in ORCHESTRATOR_PUBLIC_URL. If it is the right one, let the "
            "proxy pass on the Host header, or send X-Forwarded-Host.",
        )
    # Starlette reads headers as latin-1, while proxies write UTF-8.
    name = names[0].encode("latin-1").decode("utf-8", "replace").strip()
    if len(names) > 1 or not name:
        raise permanent(
            ErrorCode.NOT_AUTHENTICATED, f"The proxy must send exactly one {settings.proxy_user_header}, with a name."
        )
    return name


def _is_own_host(request: Request, settings: Settings) -> bool:
    asked = request.headers.get("x-forwarded-host") or request.headers.get("host", "")
    return asked.lower() in {urlsplit(origin).netloc for origin in own_origins(settings)}


def _user_named(name: str, settings: Settings) -> int:
    user_id = settings.proxy_users.get(name)
    if user_id is None:
        raise permanent(
            ErrorCode.NOT_ALLOWED,
            f"No user is known as {name[:100]!a}. An operator adds users to ORCHESTRATOR_PROXY_USERS.",
        )
    return user_id


def _admin(visitor: Visitor | None, *, by_proxy: bool) -> Viewer:
    """Looked up for each request: a person who was removed, or is no longer an admin, must not read any more."""
    if visitor is None:
        raise permanent(ErrorCode.NOT_AUTHENTICATED, "This login has ended, or its user may not come in any longer.")
    user_id, role = visitor
    if role is not Role.ADMIN:
        raise permanent(
            ErrorCode.NOT_ALLOWED,
            "Only an admin may read these pages, because they show everyone's work. "
            "Your own work is in `orchestrator task list` and `orchestrator task show`.",
        )
    return Viewer(user_id, by_proxy)


def _not_logged_in(request: Request, settings: Settings) -> str:
    if request.headers.get(settings.proxy_user_header) is None:
        return "Log in with the link that `orchestrator web-ui` prints."
    log.warning(
        "an address that is not a trusted proxy sent a user name", address=request.client and request.client.host
    )
    return f"{settings.proxy_user_header} is only accepted from the proxies in ORCHESTRATOR_TRUSTED_PROXIES."


def require_same_site(request: Request) -> None:
    """Refuse a form of another site's page, which would log its visitor in as somebody else. Raises NOT_ALLOWED.

    Browsers say where a form comes from. What says nothing is no browser, and has to know the ticket anyway.
    """
    origin = request.headers.get("origin")
    hosts = {request.headers.get("host", ""), request.headers.get("x-forwarded-host", "")}
    # A proxy need not pass on the host that the browser has asked for.
    is_own = (
        origin is None or origin in own_origins(web_ui_of(request).settings) or urlsplit(origin).netloc in hosts - {""}
    )
    if not is_own or request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        raise permanent(ErrorCode.NOT_ALLOWED, "Only the page of the link itself may log in. Open the link again.")
