"""Machines that you own: the platform knows them from its own table, and nobody installs them anew but you."""

from dataclasses import dataclass

from activities.ports import Progress, Servers
from contracts.errors import ErrorCode, OrchestratorError
from contracts.servers.providers import MachineRef, ProviderAction, ProviderMachine, ProviderOrder


@dataclass(frozen=True)
class StaticMachines:
    servers: Servers

    async def machines(self) -> list[ProviderMachine]:
        """None: nobody but the table of servers knows which there are."""
        return []

    async def machine(self, ref: MachineRef) -> ProviderMachine:
        row = await self.servers.server(ref.server_handle)
        return ProviderMachine(
            ref=ref, name=row.handle, public_ip=row.public_ip, ram_mb=row.ram_mb, disk_mb=row.disk_mb, can=[]
        )

    async def order(self, order: ProviderOrder) -> ProviderAction:
        raise OrchestratorError(
            ErrorCode.PROVIDER_CANNOT,
            f"{order.ref.server_handle} is your own machine, which the platform cannot install anew. Do it yourself, "
            f"then tell the platform its new host key: orchestrator server host-key {order.ref.server_handle}",
        )

    async def progress(self, action: ProviderAction) -> Progress:
        raise OrchestratorError(ErrorCode.NOT_FOUND, f"Nothing was ordered for {action.ref.server_handle}.")
