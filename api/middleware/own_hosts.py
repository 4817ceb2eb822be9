"""Only requests for this API's own addresses are served, and only from pages of them.

A browser runs pages of everybody, and some of them send it here: by a name of theirs that they let point to this
machine (DNS rebinding), or across origins, with the cookies and the network of the person who opened them.
"""

from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from api.edge.addresses import own_origins
from api.problems import problem_response
from contracts.errors import ErrorCode
from runtime.settings import Settings

_HOST = (
    "The host of the request is not one of this API. If it is the right one, set ORCHESTRATOR_PUBLIC_URL to what people"
    " open, or add the name to ORCHESTRATOR_API_NAMES. A proxy passes on the Host header, or sends X-Forwarded-Host."
)
_ORIGIN = (
    "The request comes from a page of another address. If the address is yours, set ORCHESTRATOR_PUBLIC_URL to it."
)


class OwnHosts:
    """Refuses a request for a foreign host, or from a page of a foreign origin, before anything of it is read."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        public = urlsplit(settings.public_url or "").hostname or ""
        named = {"localhost", settings.api_host, settings.public_host, public, *settings.api_names}
        self._names = {name.lower() for name in named if name}
        self._origins = own_origins(settings)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(Headers(scope=scope)) if scope["type"] in {"http", "websocket"} else None
        if refusal is None:
            await self._app(scope, receive, send)
            return
        reply = problem_response(ErrorCode.NOT_ALLOWED, refusal, str(scope.get("request_id", "")))
        await reply(scope, receive, send)

    def _refusal(self, headers: Headers) -> str | None:
        hosts, origins = headers.getlist("host"), headers.getlist("origin")
        # Only old programs send no host, and no browser does.
        if len(hosts) > 1 or (hosts and not self._is_own(hosts[0])):
            return _HOST
        own = {f"{scheme}://{hosts[0].lower()}" for scheme in ("http", "https")} if hosts else set()
        return None if all(origin.lower() in self._origins | own for origin in origins) else _ORIGIN

    def _is_own(self, host: str) -> bool:
        """An address is always ours: no name was looked up on the way, so no page can have put another one there."""
        try:
            name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        except ValueError:
            return False
        return name in self._names or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
