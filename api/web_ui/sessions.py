"""One-time tickets, and the cookie for which a ticket is exchanged: it logs in the person who asked for the ticket."""

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from fastapi import Request

from runtime.settings import Settings

TICKET_TTL = timedelta(minutes=30)
SESSION_TTL = timedelta(hours=12)
_MAX_TICKETS = 1000


class WebSessions:
    """Tickets are kept in this process and work once. A session is a signed cookie, so it survives a restart.

    `key_hash` is of a key that only this installation has: with another key every session ends. Without one, sessions
    end with the process. `clock` gives seconds since the epoch.
    """

    def __init__(self, settings: Settings, key_hash: str | None, clock: Callable[[], float] = time.time) -> None:
        # Browsers send cookies to every port of a host; the name keeps two installations on one host apart.
        self.cookie = f"orchestrator_ui_{settings.api_port}"
        # Where people use https, the browser must not send it without.
        self.is_secure = settings.site_url.startswith("https:")
        seed = key_hash or secrets.token_hex(32)
        self._key = hashlib.sha256(f"web ui session {seed}".encode()).digest()
        self._tickets: dict[str, tuple[float, int]] = {}
        self._clock = clock

    def new_ticket(self, user_id: int) -> tuple[str, datetime]:
        """A ticket, and when it expires. When there are a thousand, the oldest are dropped."""
        now = self._clock()
        self._tickets = {known: ticket for known, ticket in self._tickets.items() if ticket[0] > now}
        while len(self._tickets) >= _MAX_TICKETS:
            self._tickets.pop(next(iter(self._tickets)))
        ticket, until = secrets.token_urlsafe(32), now + TICKET_TTL.total_seconds()
        self._tickets[_digest(ticket)] = (until, user_id)
        return ticket, datetime.fromtimestamp(until, UTC)

    def redeem(self, ticket: str) -> str | None:
        """The value of the session cookie; None when the ticket is unknown, expired or was used before."""
        until, user_id = self._tickets.pop(_digest(ticket), (0.0, 0))
        now = self._clock()
        if until <= now:
            return None
        session = f"{user_id}.{int(now + SESSION_TTL.total_seconds())}"
        return f"{session}.{self._seal(session)}"

    def user_of(self, request: Request) -> int | None:
        """Who is logged in with this browser; None without a login."""
        return self.owner(request.cookies.get(self.cookie, ""))

    def owner(self, session: str) -> int | None:
        """Whose `session` this is; None when it was not made here or has expired."""
        content, _, seal = session.rpartition(".")
        # Compared as bytes: a cookie may hold characters beyond ASCII.
        if not hmac.compare_digest(self._seal(content).encode(), seal.encode("utf-8", "surrogatepass")):
            return None
        user_id, _, expires = content.partition(".")
        return int(user_id) if int(expires) > self._clock() else None

    def _seal(self, content: str) -> str:
        digest = hmac.digest(self._key, content.encode("utf-8", "surrogatepass"), "sha256")
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _digest(ticket: str) -> str:
    return hashlib.sha256(ticket.encode("utf-8", "surrogatepass")).hexdigest()
