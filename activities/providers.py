"""Machines at their providers: what there is, what is ordered, and how far that is.

An order waits for nothing: the workflow asks by a timer how far it is, so that no activity runs for minutes.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from temporalio import activity

from activities.following import beating
from activities.ports import ServerCredentials, ServerProvider
from contracts.errors import ErrorCode, OrchestratorError
from contracts.names import ActivityName
from contracts.servers.providers import (
    ROOT_PASSWORD,
    MachineList,
    MachineRef,
    ProviderAction,
    ProviderList,
    ProviderMachine,
    ProviderOrder,
    ProviderProgress,
)
from contracts.states import ProviderKind


@dataclass(frozen=True)
class ProviderActivities:
    providers: Mapping[ProviderKind, ServerProvider]
    credentials: ServerCredentials

    @activity.defn(name=ActivityName.PROVIDER_LIST)
    async def list_machines(self, wanted: ProviderList) -> MachineList:
        """All machines of an account. A second run reads again."""
        return MachineList(machines=await beating(self._of(wanted.provider).machines()))

    @activity.defn(name=ActivityName.PROVIDER_LOOK)
    async def look(self, ref: MachineRef) -> ProviderMachine:
        """What the provider says of a machine now. A second run reads again."""
        return await beating(self._of(ref.provider).machine(ref))

    @activity.defn(name=ActivityName.PROVIDER_ORDER)
    async def order(self, order: ProviderOrder) -> ProviderAction:
        """Order what a person has allowed; a second run finds what the first has begun.

        The approval is used here, as the last step before the effect, and nowhere else: whatever the workflow
        believes, the table of servers has the last word.
        """
        return await beating(self._admitted(order))

    @activity.defn(name=ActivityName.PROVIDER_PROGRESS)
    async def progress(self, action: ProviderAction) -> ProviderProgress:
        """How far it is. A password that came with it is stored before anybody hears of it; a second run reads and
        stores it again."""
        return await beating(self._kept(action))

    async def _admitted(self, order: ProviderOrder) -> ProviderAction:
        provider = self._of(order.ref.provider)
        await self.credentials.admit(order)
        return await provider.order(order)

    async def _kept(self, action: ProviderAction) -> ProviderProgress:
        found = await self._of(action.ref.provider).progress(action)
        credential = None
        if found.password is not None:
            await self.credentials.keep_credential(action.ref.server_handle, ROOT_PASSWORD, found.password)
            credential = ROOT_PASSWORD
        return ProviderProgress(action=action, state=found.state, detail=found.detail[:500], credential=credential)

    def _of(self, kind: ProviderKind) -> ServerProvider:
        if kind not in self.providers:
            raise OrchestratorError(ErrorCode.PROVIDER_CANNOT, f"This installation has no access to {kind.value}.")
        return self.providers[kind]
