"""One-time tickets, and the session for which a ticket is exchanged: it logs in the person who asked for the ticket."""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from datetime import timedelta

from fastapi import Request
from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import Caller, find_credential, hash_secret
from api.credentials.queries import Made, make
from api.database import Sessions
from api.edge.addresses import session_cookie
from api.tables import UserRow
from contracts.base import utc_now
from contracts.states import CredentialKind, Role, UserState
from runtime.settings import Settings

TICKET_TTL = timedelta(minutes=30)
SESSION_TTL = timedelta(hours=12)
REMEMBERED_S = 2.0
"""A page consists of four hundred files, which are requested at once: not each of them reads the database."""
_MAX_REMEMBERED = 1000

Visitor = tuple[int, Role]
"""Whose login this is, and their role now."""


@dataclass
class _Look:
    """What the database said, and when; the lock lets one of many equal requests ask it."""

    lock: asyncio.Lock
    at: float = float("-inf")
    found: Visitor | None = None


class WebSessions:
    """Logins of browsers, in the database: they survive a restart, are listed, and can be ended.

    What is known of one is at most two seconds old. `clock` is monotonic, in seconds.
    """

    def __init__(self, settings: Settings, sessions: Sessions, clock: Callable[[], float] = time.monotonic) -> None:
        self.cookie = session_cookie(settings)
        # Where people use https, the browser must not send it without.
        self.is_secure = settings.site_url.startswith("https:")
        self._sessions = sessions
        self._clock = clock
        self._looks: OrderedDict[Hashable, _Look] = OrderedDict()

    async def visitor_of(self, request: Request, *, fresh: bool) -> Visitor | None:
        """Who is logged in with this browser; None without a login. `fresh` reads the database in any case."""
        digest = hash_secret(request.cookies.get(self.cookie, ""))
        return await self._look(digest, lambda session: _by_session(session, digest), fresh=fresh)

    async def visitor_named(self, user_id: int, *, fresh: bool) -> Visitor | None:
        """The same for a person whom a trusted proxy has named."""
        return await self._look(user_id, lambda session: _by_id(session, user_id), fresh=fresh)

    async def _look(
        self, key: Hashable, read: Callable[[AsyncSession], Awaitable[Visitor | None]], *, fresh: bool
    ) -> Visitor | None:
        look = self._looks.setdefault(key, _Look(asyncio.Lock()))
        async with look.lock:
            if fresh or self._clock() - look.at > REMEMBERED_S:
                async with self._sessions() as session:
                    look.found = await read(session)
                look.at = self._clock()
        self._looks.move_to_end(key)
        while len(self._looks) > _MAX_REMEMBERED:
            self._looks.popitem(last=False)
        return look.found


async def new_ticket(session: AsyncSession, caller: Caller) -> Made:
    """A ticket for the caller. It ends with the key with which it was asked for, and so does its session."""
    return await make(session, CredentialKind.TICKET, caller.user_id, ttl=TICKET_TTL, made_with=caller.credential)


async def redeem(session: AsyncSession, ticket: str, address: str) -> Made | None:
    """The session for a ticket; None when the ticket is unknown, has expired, was ended or used before."""
    found = await find_credential(session, hash_secret(ticket), {CredentialKind.TICKET}, lock=True)
    if found is None or found[1].state != UserState.ACTIVE:
        return None
    used, user = found
    used.ended_at = utc_now()
    return await make(
        session,
        CredentialKind.SESSION,
        user.user_id,
        ttl=SESSION_TTL,
        made_with=used.made_with,
        address=address,
    )


async def _by_session(session: AsyncSession, digest: str) -> Visitor | None:
    found = await find_credential(session, digest, {CredentialKind.SESSION})
    return None if found is None else _active(found[1])


async def _by_id(session: AsyncSession, user_id: int) -> Visitor | None:
    user = await session.get(UserRow, user_id)
    return None if user is None else _active(user)


def _active(user: UserRow) -> Visitor | None:
    return (user.user_id, Role(user.role)) if user.state == UserState.ACTIVE else None
