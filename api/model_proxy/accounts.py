"""The accounts with vendors: how many requests each answers at once, and until when one answers none."""

import asyncio
from collections.abc import AsyncIterator, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from api.model_proxy.admission.places import Places
from api.model_proxy.ledger import Ledger
from contracts.base import utc_now
from contracts.models import ModelLimit

SHORT_WAIT_S = 5.0
"""So long a limited request is held here; what lasts longer stops the turn, and the workflow waits."""
_REFUSED_KEY_S = 30.0
"""For so long nobody tries a key again that the vendor has refused."""


@dataclass
class Account:
    """`limit` is in force until `until`."""

    name: str
    base_url: str
    places: Places
    limit: ModelLimit | None = None
    until: datetime | None = None

    @property
    def left_s(self) -> float:
        """How long the account answers nothing yet, in seconds."""
        return 0.0 if self.until is None else max(0.0, (self.until - utc_now()).total_seconds())


@dataclass
class Accounts:
    """All accounts of the installation, by name."""

    ledger: Ledger
    accounts: dict[str, Account] = field(default_factory=dict)

    def add(self, name: str, base_url: str, requests: int) -> None:
        self.accounts[name] = Account(name, base_url.rstrip("/"), Places(requests))

    async def remember(self) -> None:
        """Take over what a process before this one has heard."""
        for name, (limit, until) in (await self.ledger.account_limits()).items():
            if name in self.accounts:
                self.accounts[name].limit, self.accounts[name].until = limit, until

    @asynccontextmanager
    async def one_request(self, name: str, turn: Hashable) -> AsyncIterator[ModelLimit | None]:
        """A place among the requests of the account, or what limits it. A short limit is waited for."""
        account = self.accounts[name]
        async with account.places.one(turn):
            left = account.left_s
            if 0 < left <= SHORT_WAIT_S:
                await asyncio.sleep(left)
            yield account.limit if account.left_s > 0 else None

    async def hear(self, name: str, limit: ModelLimit, status: int) -> None:
        """A vendor has limited the account: until it ends, no further request of it is sent."""
        until = limit.until
        if limit.kind == "auth" and status == 401:
            until = utc_now() + timedelta(seconds=_REFUSED_KEY_S)
        if until is None or limit.kind not in {"auth", "rate", "window"}:
            return
        account = self.accounts[name]
        if account.until is None or until > account.until or account.left_s == 0:
            account.limit, account.until = limit, until
            await self.ledger.limit_account(limit, until)
