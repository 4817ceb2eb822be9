"""The accounts with vendors: how many requests each answers at once, and until when it, or a model, does not."""

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
_WHOLE = ""
_MOST_MODELS = 200


@dataclass
class Account:
    """`limits`: what limits each model, and until when. With an empty name it limits all of them."""

    name: str
    base_url: str
    places: Places
    limits: dict[str, tuple[ModelLimit, datetime]] = field(default_factory=dict)

    def limit(self, model: str) -> tuple[ModelLimit, float] | None:
        """What limits this model now, and for how long yet, in seconds: the longer of its own and the account's."""
        now = utc_now()
        found = [self.limits[name] for name in {_WHOLE, model} if name in self.limits]
        last = max(found, key=lambda one: one[1], default=None)
        return None if last is None or last[1] <= now else (last[0], (last[1] - now).total_seconds())

    def any_limit(self) -> ModelLimit | None:
        """For people: what limits all of it, else one of its models."""
        in_force = {name: limit for name, (limit, until) in self.limits.items() if until > utc_now()}
        return in_force.get(_WHOLE, next(iter(in_force.values()), None))

    def limit_until(self, model: str, limit: ModelLimit, until: datetime) -> bool:
        """Limit a model, or with an empty name all. False if it is limited for longer already."""
        now = utc_now()
        self.limits = {name: one for name, one in self.limits.items() if one[1] > now}
        if model in self.limits and self.limits[model][1] >= until:
            return False
        if len(self.limits) >= _MOST_MODELS:
            # Names that agents have made up; a real account has fewer.
            self.limits.pop(next(name for name in self.limits if name != _WHOLE))
        self.limits[model] = limit, until
        return True


@dataclass
class Accounts:
    """All accounts of the installation, by name."""

    ledger: Ledger
    accounts: dict[str, Account] = field(default_factory=dict)

    def add(self, name: str, base_url: str, requests: int) -> None:
        self.accounts[name] = Account(name, base_url.rstrip("/"), Places(requests))

    async def remember(self) -> None:
        """Take over what a process before this one has heard."""
        for name, model, limit, until in await self.ledger.limits():
            if name in self.accounts:
                self.accounts[name].limit_until(model, limit, until)

    @asynccontextmanager
    async def one_request(self, name: str, turn: Hashable, model: str) -> AsyncIterator[ModelLimit | None]:
        """A place among the requests of the account, or what limits this model. A short limit is waited for."""
        account = self.accounts[name]
        async with account.places.one(turn):
            found = account.limit(model)
            if found is not None and found[1] <= SHORT_WAIT_S:
                await asyncio.sleep(found[1])
                found = account.limit(model)
            yield None if found is None else found[0]

    async def hear(self, name: str, model: str, limit: ModelLimit, status: int) -> None:
        """A vendor has limited a model, or with an empty name all: until that ends no further such request is sent."""
        until = limit.until
        if limit.kind == "auth" and status == 401:
            until = utc_now() + timedelta(seconds=_REFUSED_KEY_S)
        if until is None or limit.kind not in {"auth", "rate", "window"}:
            return
        if self.accounts[name].limit_until(model, limit, until):
            await self.ledger.limit(model, limit, until)
