"""Whether the proxy works, and on request whether vendors take the keys: it asks for their models, which is free."""

import asyncio
import json
from dataclasses import asdict, dataclass, field
from typing import Any

import httpx
from starlette.types import Scope, Send

from api.model_proxy import http
from api.model_proxy.accounts import Account, Accounts
from api.model_proxy.keys import Keys
from runtime.model_vendors import KeyCheck, check_key

_AGAIN_S = 10.0


@dataclass
class Checks:
    """What `/health` answers. Only programs of this machine are told about accounts, not the containers of agents."""

    client: httpx.AsyncClient
    keys: Keys
    accounts: Accounts
    _checked: dict[str, tuple[float, KeyCheck]] = field(default_factory=dict)
    _one: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def answer(self, scope: Scope, send: Send) -> None:
        """`?check=1` asks the vendors, at most every ten seconds."""
        document: dict[str, Any] = {"status": "ok"}
        # A client on the socket has no address.
        if scope.get("client") is not None:
            wanted = b"check=1" in scope.get("query_string", b"")
            document["accounts"] = {
                name: await self._account(account, check=wanted) for name, account in self.accounts.accounts.items()
            }
        await http.reply(send, 200, json.dumps(document).encode())

    async def _account(self, account: Account, *, check: bool) -> dict[str, Any]:
        key = await self.keys.key(account.name)
        limit = account.any_limit()
        limited = None if limit is None else limit.model_dump(mode="json")
        told: dict[str, Any] = {"key": key is not None, "base_url": account.base_url, "limit": limited}
        if check and key is not None:
            async with self._one:
                told["check"] = asdict(await self._check(account, key))
        return told

    async def _check(self, account: Account, key: str) -> KeyCheck:
        now = asyncio.get_running_loop().time()
        if (known := self._checked.get(account.name)) is not None and now - known[0] < _AGAIN_S:
            return known[1]
        found = await check_key(self.client, account.name, account.base_url, key)
        self._checked[account.name] = now, found
        return found
