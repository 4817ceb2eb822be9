"""The pages for people who may not see the Web UI."""

from fastapi import Request
from fastapi.responses import HTMLResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined

from api.edge.security_headers import PAGE_POLICY, POLICY
from contracts.errors import ErrorCode, OrchestratorError
from runtime.settings import Settings

_TEMPLATES = Environment(
    loader=PackageLoader("api.web_ui"), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
)
_PAGES = {
    ErrorCode.NOT_AUTHENTICATED: (401, _TEMPLATES.get_template("not_logged_in.html")),
    ErrorCode.NOT_ALLOWED: (403, _TEMPLATES.get_template("not_allowed.html")),
}


def is_person(request: Request) -> bool:
    """Whether the request wants an HTML page, as a browser's does; programs ask for data."""
    return "text/html" in request.headers.get("accept", "")


def refusal_page(request: Request, settings: Settings, refusal: OrchestratorError) -> Response | None:
    """The page for this refusal; None when there is none."""
    if refusal.code not in _PAGES:
        return None
    status, template = _PAGES[refusal.code]
    text = template.render(reason=refusal.message, encrypted_url=_encrypted_url(request, settings))
    return HTMLResponse(text, status, {"Cache-Control": "no-store", POLICY: PAGE_POLICY})


def _encrypted_url(request: Request, settings: Settings) -> str | None:
    """The same page without a login. It is on the platform's own host, so None where people use a public address."""
    if settings.public_url is not None:
        return None
    query = f"?{request.url.query}" if request.url.query else ""
    return f"{settings.ui_origin}{request.scope['raw_path'].decode('latin-1')}{query}"


def log_in_page(ticket: str, following: str) -> Response:
    """The page of a login link: a person presses its button."""
    text = _TEMPLATES.get_template("log_in.html").render(ticket=ticket, next=following)
    return HTMLResponse(text, 200, {"Cache-Control": "no-store", POLICY: PAGE_POLICY})
