"""The API as the command line sees it: with the people, what they come in with, and the audit trail."""

from __future__ import annotations

from contracts.access import (
    AuditEntry,
    AuditList,
    CredentialDTO,
    CredentialList,
    KeyRequest,
    UserRemoval,
    UserRemoved,
    UserUpdate,
)
from contracts.nouns import UserCreated, UserDTO
from runtime.servers_client import ServersApi


class AccessApi(ServersApi):
    """Most of it is for administrators; one's own credentials are everybody's."""

    async def replace_key(self, user_id: int, body: KeyRequest) -> UserCreated:
        return await self._post(f"/users/{user_id}/keys", UserCreated, body, repeatable=False)

    async def update_user(self, user_id: int, body: UserUpdate) -> UserDTO:
        return await self._request("PATCH", f"/users/{user_id}", UserDTO, body)

    async def remove_user(self, user_id: int, body: UserRemoval) -> UserRemoved:
        return await self._post(f"/users/{user_id}/remove", UserRemoved, body, repeatable=False)

    async def credentials(self, *, include_ended: bool = False, **wanted: str | None) -> list[CredentialDTO]:
        """One's own, of an administrator everybody's, newest first; `wanted` may name `user_id` and `kind`."""
        params = {name: value for name, value in wanted.items() if value is not None}
        params["include_ended"] = str(include_ended).lower()
        return [item async for page in self._pages("/credentials", CredentialList, params) for item in page.items]

    async def end_credential(self, credential_id: str) -> CredentialDTO:
        return await self._request("DELETE", f"/credentials/{credential_id}", CredentialDTO, None)

    async def audit(self, limit: int, **wanted: str | None) -> list[AuditEntry]:
        """The newest entries; `wanted` may name `user_id`, `action`, `target` and `since`."""
        params = {name: value for name, value in wanted.items() if value is not None}
        found: list[AuditEntry] = []
        async for page in self._pages("/audit", AuditList, params):
            found += page.items
            if len(found) >= limit:
                break
        return found[:limit]
