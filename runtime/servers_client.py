"""The API as those see it who work with servers: people, and the Temporal workers that set machines up."""

from __future__ import annotations

from pydantic import SecretStr

from contracts.nouns import PortAllocationDTO, PortAllocationList, ServerDTO
from contracts.servers.approvals import (
    ApprovalDecision,
    ApprovalDTO,
    ApprovalList,
    ApprovalRequest,
    OrderAdmitted,
    RecordedDecision,
    ServerRemoval,
)
from contracts.servers.providers import ProviderMachine, ProviderOrder
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

    async def request_approval(self, handle: str, body: ApprovalRequest) -> ApprovalDTO:
        return await self._post(f"/servers/{path_part(handle)}/approvals", ApprovalDTO, body)

    async def approvals(self, handle: str) -> list[ApprovalDTO]:
        """What was asked for on a server, newest first."""
        place = f"/servers/{path_part(handle)}/approvals"
        return [item async for page in self._pages(place, ApprovalList) for item in page.items]

    async def approval(self, handle: str, approval_id: str) -> ApprovalDTO:
        return await self._get(f"/servers/{path_part(handle)}/approvals/{path_part(approval_id)}", ApprovalDTO)

    async def decide_approval(self, handle: str, approval_id: str, body: ApprovalDecision) -> ApprovalDTO:
        place = f"/servers/{path_part(handle)}/approvals/{path_part(approval_id)}/decision"
        return await self._post(place, ApprovalDTO, body)

    async def remove_server(self, handle: str, body: ServerRemoval) -> ServerDTO:
        return await self._post(f"/servers/{path_part(handle)}/remove", ServerDTO, body, repeatable=False)

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

    async def admit(self, order: ProviderOrder) -> None:
        """Let an order out to its provider; see `ServerCredentials` in the activities' ports."""
        await self._post(f"/internal/servers/{path_part(order.ref.server_handle)}/orders", OrderAdmitted, order)

    async def ask_for_approval(self, handle: str, body: ApprovalRequest) -> ApprovalDTO:
        """For a workflow that asks a person next."""
        return await self._post(f"/internal/servers/{path_part(handle)}/approvals", ApprovalDTO, body)

    async def record_decision(self, handle: str, approval_id: str, body: RecordedDecision) -> ApprovalDTO:
        """What a person has answered to a workflow."""
        place = f"/internal/servers/{path_part(handle)}/approvals/{path_part(approval_id)}/decision"
        return await self._post(place, ApprovalDTO, body)

    async def pin_host_key(self, handle: str, host_key: str) -> ServerDTO:
        body = HostKey(host_key=host_key)
        return await self._request("PUT", f"/internal/servers/{path_part(handle)}/host-key", ServerDTO, body)

    async def record_machine(self, machine: ProviderMachine) -> ServerDTO:
        place = f"/internal/servers/{path_part(machine.ref.server_handle)}/machine"
        return await self._request("PUT", place, ServerDTO, machine)

    async def provider_login(self, provider: ProviderKind) -> ProviderLoginValue:
        return await self._post(f"/internal/providers/{provider.value}/login", ProviderLoginValue, None)
