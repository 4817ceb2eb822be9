"""What a person reads instead of the Web UI when they may not see it."""

import html

from fastapi import Request
from fastapi.responses import HTMLResponse, Response

from contracts.errors import ErrorCode, OrchestratorError
from runtime.settings import Settings

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


def is_person(request: Request) -> bool:
    """Whether a browser asks for a page, and not a program for data."""
    return "text/html" in request.headers.get("accept", "")


def refusal_page(request: Request, settings: Settings, refusal: OrchestratorError) -> Response | None:
    """The page for this refusal; None when there is none.

    The encrypted Web UI is on the platform's own host only, so a public address does not link to it.
    """
    if refusal.code not in _PAGES:
        return None
    status, page = _PAGES[refusal.code]
    query = f"?{request.url.query}" if request.url.query else ""
    sealed = f"{settings.ui_url}{request.scope['raw_path'].decode('latin-1')}{query}"
    go_on = _GO_ON.format(sealed=html.escape(sealed, quote=True)) if settings.public_url is None else ""
    text = page.format(reason=html.escape(refusal.message), go_on=go_on)
    return HTMLResponse(_STYLE + text, status, {"Cache-Control": "no-store"})
