"""Whether the proxy works, and on request whether vendors take the keys: it asks for their models, which is free."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import httpx
from starlette.types import Scope, Send

from api.model_proxy import http
from api.model_proxy.accounts import Account, Accounts
from api.model_proxy.apis import ANTHROPIC
from api.model_proxy.keys import Keys

_AGAIN_S = 10.0
_CHECK_S = 5.0


@dataclass
class Checks:
    """What `/health` answers. Only programs of this machine are told about accounts, not the containers of agents."""

    client: httpx.AsyncClient
    keys: Keys
    accounts: Accounts
    _checked: dict[str, tuple[float, str]] = field(default_factory=dict)
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
        limited = account.limit.model_dump(mode="json") if account.limit and account.left_s > 0 else None
        told: dict[str, Any] = {"key": key is not None, "base_url": account.base_url, "limit": limited}
        if check and key is not None:
            async with self._one:
                told["checked"] = await self._check(account, key)
        return told

    async def _check(self, account: Account, key: str) -> str:
        """`ok`, or what is wrong in a few words."""
        now = asyncio.get_running_loop().time()
        asked, said = self._checked.get(account.name, (-_AGAIN_S, ""))
        if now - asked >= _AGAIN_S:
            said = await self._ask(account, key)
            self._checked[account.name] = now, said
        return said

    async def _ask(self, account: Account, key: str) -> str:
        path, headers = "/models", {"authorization": f"Bearer {key}"}
        if account.name == ANTHROPIC:
            path, headers = "/v1/models", {"x-api-key": key, "anthropic-version": "2023-06-01"}
        try:
            reply = await self.client.get(f"{account.base_url}{path}", headers=headers, timeout=_CHECK_S)
        except httpx.HTTPError as error:
            return f"no answer ({type(error).__name__})"
        if reply.status_code in {401, 403}:
            return f"the key is refused (status {reply.status_code})"
        # A gateway need not list models: what matters is that it answers and does not refuse the key.
        return "ok" if reply.status_code < 500 else f"it answers with status {reply.status_code}"
