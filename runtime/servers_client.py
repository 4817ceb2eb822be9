"""The API as those see it who work with servers: people, and the Temporal workers that set machines up."""

from __future__ import annotations

from pydantic import SecretStr

from contracts.nouns import PortAllocationDTO, PortAllocationList, ServerDTO
from contracts.servers.providers import ProviderMachine
from contracts.servers.registry import (
    HostKey,
    ProviderLoginValue,
    ServerCredentialDTO,
    ServerCredentialList,
    ServerCredentialValue,
    ServerCredentialWrite,
    ServerManagement,
)
from contracts.states import ProviderKind
from runtime.api_client import ApiClient, path_part


class ServersApi(ApiClient):
    """Servers, what opens them, and by which keys they are known."""

    async def reserve_server(self, handle: str) -> ServerDTO:
        return await self._post(f"/servers/{path_part(handle)}/reserve", ServerDTO, None)

    async def release_server(self, handle: str) -> ServerDTO:
        return await self._post(f"/servers/{path_part(handle)}/release", ServerDTO, None)

    async def manage_server(self, handle: str, *, managed: bool) -> ServerDTO:
        body = ServerManagement(managed=managed)
        return await self._request("PUT", f"/servers/{path_part(handle)}/management", ServerDTO, body)

    async def set_host_key(self, handle: str, host_key: str) -> ServerDTO:
        body = HostKey(host_key=host_key)
        return await self._request("PUT", f"/servers/{path_part(handle)}/host-key", ServerDTO, body)

    async def server_credentials(self, handle: str) -> list[ServerCredentialDTO]:
        return (await self._get(f"/servers/{path_part(handle)}/credentials", ServerCredentialList)).items

    async def set_server_credential(self, handle: str, name: str, value: SecretStr) -> ServerCredentialDTO:
        body = ServerCredentialWrite(value=value)
        place = f"/servers/{path_part(handle)}/credentials/{path_part(name)}"
        return await self._request("PUT", place, ServerCredentialDTO, body)

    async def allocations(self) -> list[PortAllocationDTO]:
        """Which projects have which ports, on which servers."""
        return [item async for page in self._pages("/allocations", PortAllocationList) for item in page.items]

    # Platform only

    async def keep_credential(self, handle: str, name: str, value: str) -> None:
        body = ServerCredentialWrite(value=SecretStr(value))
        place = f"/internal/servers/{path_part(handle)}/credentials/{path_part(name)}"
        await self._request("PUT", place, ServerCredentialDTO, body)

    async def reveal_credential(self, handle: str, name: str) -> str:
        place = f"/internal/servers/{path_part(handle)}/credentials/{path_part(name)}/reveal"
        return (await self._post(place, ServerCredentialValue, None)).value

    async def pin_host_key(self, handle: str, host_key: str) -> ServerDTO:
        body = HostKey(host_key=host_key)
        return await self._request("PUT", f"/internal/servers/{path_part(handle)}/host-key", ServerDTO, body)

    async def record_machine(self, machine: ProviderMachine) -> ServerDTO:
        place = f"/internal/servers/{path_part(machine.ref.server_handle)}/machine"
        return await self._request("PUT", place, ServerDTO, machine)

    async def provider_login(self, provider: ProviderKind) -> ProviderLoginValue:
        return await self._post(f"/internal/providers/{provider.value}/login", ProviderLoginValue, None)
