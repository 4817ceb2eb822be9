"""What the routes of the Web UI share."""

from dataclasses import dataclass
from typing import Annotated, Self

import httpx
from fastapi import Depends, Request

from api.database import Sessions
from api.dependencies import part
from api.web_ui.sessions import WebSessions
from runtime.settings import Settings

_TIMEOUT = httpx.Timeout(30, read=120)
"""In seconds. A page is hundreds of small requests, all at once, and a busy machine takes its time to connect."""


@dataclass(frozen=True)
class WebUi:
    """`upstream` is connected to the Temporal Web UI, which has no login of its own."""

    settings: Settings
    sessions: WebSessions
    upstream: httpx.AsyncClient

    @classmethod
    def open(cls, settings: Settings, sessions: Sessions) -> Self:
        """`sessions` are the database's."""
        # An open page holds a request or two while it waits for news.
        limits = httpx.Limits(max_connections=500, max_keepalive_connections=50)
        upstream = httpx.AsyncClient(base_url=settings.ui_origin, timeout=_TIMEOUT, limits=limits, trust_env=False)
        return cls(settings, WebSessions(settings, sessions), upstream)

    async def close(self) -> None:
        await self.upstream.aclose()


WebUiDep = Annotated[WebUi, Depends(part("web_ui"))]


def web_ui_of(request: Request) -> WebUi:
    """The same for routes that FastAPI's dependencies do not reach."""
    web_ui: WebUi = request.app.state.platform.web_ui
    return web_ui
