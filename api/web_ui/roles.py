"""Roles of people who use the Web UI, remembered for two seconds: not each file of a page reads the users table."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable

from api.database import Sessions
from api.users import queries
from contracts.states import Role

REMEMBERED_S = 2.0
"""A page consists of four hundred files, which are requested at once."""


class RoleCache:
    """The roles of people, at most two seconds old. `clock` is monotonic, in seconds."""

    def __init__(self, sessions: Sessions, clock: Callable[[], float] = time.monotonic) -> None:
        self._sessions = sessions
        self._clock = clock
        self._known: dict[int, tuple[float, Role | None]] = {}
        self._locks: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def role(self, user_id: int, *, fresh: bool) -> Role | None:
        """The person's role, None when there is no such person. `fresh` reads the table in any case."""
        async with self._locks[user_id]:
            read_at, role = self._known.get(user_id, (float("-inf"), None))
            if fresh or self._clock() - read_at > REMEMBERED_S:
                async with self._sessions() as session:
                    row = await queries.find(session, user_id)
                role = None if row is None else Role(row.role)
                self._known[user_id] = (self._clock(), role)
            return role
