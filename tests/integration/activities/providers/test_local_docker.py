"""A real container of this machine as a provider's machine: installed anew once, and destroyed."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from activities.adapters.containers import command as docker
from activities.adapters.providers.local import LocalMachines
from activities.adapters.servers.container import LocalServers
from contracts.errors import ErrorCode, OrchestratorError
from contracts.servers.providers import MachineRef, ProviderOrder
from contracts.states import ProviderActionKind, ProviderActionState, ProviderKind
from tests.support.services.container_service import no_engine
from tests.support.services.engine import on_server

pytestmark = [pytest.mark.deep, pytest.mark.containers, pytest.mark.timeout(1200)]
BOX = "provided"
REF = MachineRef(provider=ProviderKind.LOCAL, server_handle=BOX)


@pytest_asyncio.fixture
async def servers(tmp_path: Path) -> AsyncIterator[LocalServers]:
    if (obstacle := no_engine()) is not None:
        pytest.skip(obstacle)
    made = LocalServers(tmp_path)
    await made.access(BOX)
    yield made
    with contextlib.suppress(OrchestratorError):
        await made.remove(BOX)


async def marked(servers: LocalServers) -> bool:
    return await on_server(servers.container(BOX), "cat", "/srv/mark") == "here"


async def mark(servers: LocalServers) -> None:
    await docker.run("exec", servers.container(BOX), "sh", "-c", "printf here > /srv/mark")


async def test_a_container_is_installed_anew_by_an_order_once_and_then_destroyed(
    servers: LocalServers, tmp_path: Path
) -> None:
    machines = LocalMachines(servers, tmp_path / "orders")
    assert [one.ref for one in await machines.machines()] == [REF]
    await mark(servers)
    order = ProviderOrder(ref=REF, kind=ProviderActionKind.REINSTALL, order_id="o-1")
    action = await machines.order(order)
    assert (await machines.progress(action)).state is ProviderActionState.DONE
    assert not await marked(servers), "nothing is left on it"
    assert await on_server(servers.container(BOX), "systemctl", "is-active", "ssh.service") == "active"
    await mark(servers)
    await machines.order(order)
    assert await marked(servers), "a repetition removes nothing"
    await machines.order(order.model_copy(update={"order_id": "o-2", "kind": ProviderActionKind.DESTROY}))
    with pytest.raises(OrchestratorError) as gone:
        await machines.machine(REF)
    assert gone.value.code is ErrorCode.NOT_FOUND
    assert await machines.machines() == []
