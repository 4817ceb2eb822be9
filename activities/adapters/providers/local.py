"""Containers of this machine that are servers: made, made anew with nothing on them, and removed."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from activities.adapters.release.directory import write_private
from activities.adapters.runs.file_lock import file_lock
from activities.adapters.servers.remote_shell import ServerAccess
from activities.ports import Progress
from contracts.errors import ErrorCode, OrchestratorError
from contracts.servers.providers import MachineRef, ProviderAction, ProviderMachine, ProviderOrder
from contracts.states import ProviderActionKind, ProviderActionState, ProviderKind


class ContainerMachines(Protocol):
    """What `LocalServers` does."""

    async def access(self, handle: str) -> ServerAccess: ...

    async def remove(self, handle: str) -> None: ...

    async def handles(self) -> list[str]: ...


@dataclass(frozen=True)
class LocalMachines:
    """`place` is a directory of the platform, for a note on each machine: its last order, and whether that is done.

    Without the note, an order that is repeated after a crash would remove once more what is on the machine by then.
    """

    containers: ContainerMachines
    place: Path

    async def machines(self) -> list[ProviderMachine]:
        return [
            self._known(MachineRef(provider=ProviderKind.LOCAL, server_handle=handle))
            for handle in await self.containers.handles()
        ]

    async def machine(self, ref: MachineRef) -> ProviderMachine:
        if ref.id_there not in await self.containers.handles():
            raise _unknown(ref.id_there)
        return self._known(ref)

    async def order(self, order: ProviderOrder) -> ProviderAction:
        """It takes seconds, and is over when this returns. Interrupted, the same order begins it again: until it is
        done, nothing has been put on the machine."""
        if order.kind is ProviderActionKind.RESET_PASSWORD:
            raise OrchestratorError(
                ErrorCode.PROVIDER_CANNOT, f"{order.ref.server_handle} has a key and no password: log in with the key."
            )
        async with file_lock(self.place / f".{order.ref.id_there}.lock"):
            if self._noted(order.ref) != (order.order_id, "done"):
                await self._carry_out(order)
        return ProviderAction(ref=order.ref, kind=order.kind, order_id=order.order_id, action_id=order.order_id)

    async def _carry_out(self, order: ProviderOrder) -> None:
        name = order.ref.id_there
        begun = self._noted(order.ref) == (order.order_id, "begun")
        if not begun and name not in await self.containers.handles():
            raise _unknown(name)
        self._note(order, "begun")
        await self.containers.remove(name)
        if order.kind is ProviderActionKind.REINSTALL:
            await self.containers.access(name)
        self._note(order, "done")

    async def progress(self, action: ProviderAction) -> Progress:
        if self._noted(action.ref) == (action.order_id, "done"):
            return Progress(ProviderActionState.DONE, f"The container {action.ref.id_there} is as ordered")
        return Progress(ProviderActionState.FAILED, f"Another order for {action.ref.id_there} has come since")

    def _known(self, ref: MachineRef) -> ProviderMachine:
        can = [ProviderActionKind.REINSTALL, ProviderActionKind.DESTROY]
        return ProviderMachine(ref=ref, name=ref.id_there, can=can)

    def _noted(self, ref: MachineRef) -> tuple[str, str] | None:
        """The last order, and how far it is."""
        try:
            note = json.loads(self._file(ref).read_text())
        except FileNotFoundError:
            return None
        return note["order"], note["state"]

    def _note(self, order: ProviderOrder, state: str) -> None:
        write_private(self._file(order.ref), json.dumps({"order": order.order_id, "state": state}))

    def _file(self, ref: MachineRef) -> Path:
        return self.place / f"{ref.id_there}.json"


def _unknown(name: str) -> OrchestratorError:
    return OrchestratorError(ErrorCode.NOT_FOUND, f"This machine has no server container {name}.")
