"""Who may read decrypted payloads in a browser: one-time tickets, and the cookie that a ticket is exchanged for."""

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
    """Tickets live in this process and are used once; a session is a signed cookie, so it outlives a restart.

    `key_hash` is of a key that only this installation has: another key ends every session. Without one nobody can
    log in. `clock` gives seconds since the epoch.
    """

    def __init__(self, settings: Settings, key_hash: str | None, clock: Callable[[], float] = time.time) -> None:
        # Cookies do not tell ports apart: the name does, so that two installations on one host get on.
        self.cookie = f"orchestrator_ui_{settings.api_port}"
        hosts = {settings.api_host, "127.0.0.1", "localhost"}
        self._origins = {f"http://{host}:{settings.api_port}" for host in hosts}
        seed = key_hash or secrets.token_hex(32)
        self._key = hashlib.sha256(f"web ui session {seed}".encode()).digest()
        self._tickets: dict[str, float] = {}
        self._clock = clock

    def new_ticket(self) -> tuple[str, datetime]:
        """A ticket, and when it expires. The oldest give way when there are a thousand."""
        now = self._clock()
        self._tickets = {known: until for known, until in self._tickets.items() if until > now}
        while len(self._tickets) >= _MAX_TICKETS:
            self._tickets.pop(next(iter(self._tickets)))
        ticket, until = secrets.token_urlsafe(32), now + TICKET_TTL.total_seconds()
        self._tickets[_digest(ticket)] = until
        return ticket, datetime.fromtimestamp(until, UTC)

    def redeem(self, ticket: str) -> str | None:
        """The value of the session cookie; None when the ticket is unknown, expired or was used before."""
        until = self._tickets.pop(_digest(ticket), 0.0)
        now = self._clock()
        if until <= now:
            return None
        expires = str(int(now + SESSION_TTL.total_seconds()))
        return f"{expires}.{self._seal(expires)}"

    def is_open(self, request: Request) -> bool:
        """Whether this browser is logged in."""
        return self.knows(request.cookies.get(self.cookie, ""))

    def knows(self, session: str) -> bool:
        """Whether `session` was made here and has not expired."""
        expires, _, seal = session.partition(".")
        # Compared as bytes: a cookie may hold what is no ASCII.
        genuine = hmac.compare_digest(self._seal(expires).encode(), seal.encode("utf-8", "surrogatepass"))
        return genuine and int(expires) > self._clock()

    def is_own_origin(self, request: Request) -> bool:
        """Whether a script of the Web UI that is served here sent this, and no other page on this host or elsewhere."""
        return request.headers.get("origin") in self._origins

    def _seal(self, expires: str) -> str:
        digest = hmac.digest(self._key, expires.encode("utf-8", "surrogatepass"), "sha256")
        return base64.urlsafe_b64encode(digest).decode().rstrip("=")


def _digest(ticket: str) -> str:
    return hashlib.sha256(ticket.encode("utf-8", "surrogatepass")).hexdigest()
