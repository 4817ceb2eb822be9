"""The queue of updates: numbered, kept until confirmed, delivered to one poller or a webhook."""

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any

from emulators.telegram.errors import bad_request, conflict

Update = dict[str, Any]

_FIRST_IDS = (10**8, 9 * 10**8)
"""Start at a random id: a bot may meet this emulator again after a restart, and no id may come twice."""

_MOST = 100
_DEFAULT_KINDS = ("message", "edited_message", "callback_query", "my_chat_member")


class Updates:
    """`repeat`, `reorder` and `hold` are faults of delivery that also happen with the real Telegram, rarely."""

    def __init__(self) -> None:
        self._next_id = random.randrange(*_FIRST_IDS)
        self.pending: list[Update] = []
        self.known: list[Update] = []
        self.held = False
        self._repeated: list[Update] = []
        self._shuffle: random.Random | None = None
        self._kinds: Sequence[str] = _DEFAULT_KINDS
        self._arrived = asyncio.Event()
        self._poller: object | None = None
        self._ending = ""
        self.webhook_set = False

    def add(self, kind: str, content: dict[str, Any]) -> Update | None:
        """Queue an update; None if the bot did not ask for this kind."""
        if kind not in self._kinds:
            return None
        update = {"update_id": self._next_id, kind: content}
        self._next_id += 1
        self.pending.append(update)
        self.known.append(update)
        self._arrived.set()
        return update

    # Faults of delivery

    def repeat(self, update: Update) -> None:
        """Deliver an update again, even if it was confirmed."""
        self._repeated.append(update)
        self._arrived.set()

    def reorder(self, seed: int) -> None:
        """Deliver the next batch in another order."""
        self._shuffle = random.Random(seed)

    def hold(self) -> None:
        """Deliver nothing until `release`."""
        self.held = True

    def release(self) -> None:
        self.held = False
        self._arrived.set()

    # Delivery

    def allow(self, kinds: Sequence[str] | None) -> None:
        """Set the kinds to deliver. None changes nothing; an empty list means the default."""
        if kinds is not None:
            self._kinds = tuple(kinds) or _DEFAULT_KINDS

    @property
    def polled(self) -> bool:
        """Whether a bot is polling at this moment."""
        return self._poller is not None

    @property
    def allowed(self) -> Sequence[str]:
        return self._kinds

    def drop_pending(self) -> None:
        self.pending.clear()

    def waiting(self) -> list[Update]:
        """The updates that would be delivered now."""
        return [] if self.held else [*self._repeated, *self.pending]

    def take(self, limit: int) -> list[Update]:
        """The next batch; does not confirm it."""
        if self.held:
            return []
        batch = [*self._repeated, *self.pending][:limit]
        self._repeated = self._repeated[len(batch) :]
        if self._shuffle is not None and len(batch) > 1:
            self._shuffle.shuffle(batch)
            self._shuffle = None
        return batch

    def confirm(self, update_id: int) -> None:
        """Forget a delivered update."""
        self.pending = [update for update in self.pending if update["update_id"] != update_id]

    def confirm_below(self, offset: int) -> None:
        if offset < 0:
            self.pending = self.pending[offset:]
        elif offset > 0:
            self.pending = [update for update in self.pending if update["update_id"] >= offset]

    def take_of(self, chat_id: int, chat_of: Callable[[Update], int]) -> list[Update]:
        """The next updates of one chat."""
        if self.held:
            return []
        repeated = [update for update in self._repeated if chat_of(update) == chat_id]
        self._repeated = [update for update in self._repeated if chat_of(update) != chat_id]
        return [*repeated, *(update for update in self.pending if chat_of(update) == chat_id)]

    async def wait_changed(self) -> None:
        """Wait until an update has arrived or was released since the last call."""
        await self._arrived.wait()
        self._arrived.clear()

    async def poll(self, offset: int, limit: int, timeout: float) -> list[Update]:
        """getUpdates. Raises ApiError 409 if a webhook is set or another poller takes over."""
        if self.webhook_set:
            raise conflict(
                "can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"
            )
        if not 1 <= limit <= _MOST:
            raise bad_request("limit must be between 1 and 100")
        self.end_polling("terminated by other getUpdates request; make sure that only one bot instance is running")
        me = self._poller = object()
        self.confirm_below(offset)
        try:
            return await self._polled(me, limit, timeout)
        finally:
            if self._poller is me:
                self._poller = None

    def end_polling(self, reason: str) -> None:
        """End the current poll with a conflict."""
        if self._poller is not None:
            self._poller, self._ending = None, reason
            self._arrived.set()

    async def _polled(self, me: object, limit: int, timeout: float) -> list[Update]:
        deadline = asyncio.get_running_loop().time() + timeout
        while True:
            if self._poller is not me:
                raise conflict(self._ending)
            if batch := self.take(limit):
                return batch
            left = deadline - asyncio.get_running_loop().time()
            if left <= 0:
                return []
            self._arrived.clear()
            try:
                async with asyncio.timeout(left):
                    await self._arrived.wait()
            except TimeoutError:
                continue
