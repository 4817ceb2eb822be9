"""What the users table says about a person who looks at the Web UI, without asking it for each of a page's files."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable

from api.database import Sessions
from api.tables import UserRow
from contracts.states import Role

REMEMBERED_S = 2.0
"""A page is four hundred files, which come at once."""


class WebRights:
    """The roles of people, at most two seconds old. `clock` is monotonic, in seconds."""

    def __init__(self, sessions: Sessions, clock: Callable[[], float] = time.monotonic) -> None:
        self._sessions = sessions
        self._clock = clock
        self._known: dict[int, tuple[float, Role | None]] = {}
        self._asking: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def role(self, user_id: int, *, now: bool) -> Role | None:
        """The person's role, None when there is no such person. `now` asks the table in any case."""
        async with self._asking[user_id]:
            asked_at, role = self._known.get(user_id, (float("-inf"), None))
            if now or self._clock() - asked_at > REMEMBERED_S:
                async with self._sessions() as session:
                    row = await session.get(UserRow, user_id)
                role = None if row is None else Role(row.role)
                self._known[user_id] = (self._clock(), role)
            return role
