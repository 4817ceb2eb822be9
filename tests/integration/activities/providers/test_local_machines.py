"""Containers of this machine as a provider's machines."""

from pathlib import Path

import pytest

from activities.adapters.providers.local import LocalMachines
from contracts.errors import OrchestratorError
from contracts.servers.providers import MachineRef, ProviderOrder
from contracts.states import ProviderActionKind, ProviderActionState, ProviderKind
from tests.integration.activities.providers.worlds import NotedContainers

REF = MachineRef(provider=ProviderKind.LOCAL, server_handle="box-1")
ORDER = ProviderOrder(ref=REF, kind=ProviderActionKind.REINSTALL, order_id="o-1")


async def test_a_reinstallation_that_was_interrupted_is_finished_by_the_same_order(tmp_path: Path) -> None:
    containers = NotedContainers({"box-1"}, breaks=True)
    with pytest.raises(OrchestratorError):
        await LocalMachines(containers, tmp_path).order(ORDER)
    assert containers.there == set()
    action = await LocalMachines(containers, tmp_path).order(ORDER)
    assert containers.there == {"box-1"}
    assert (await LocalMachines(containers, tmp_path).progress(action)).state is ProviderActionState.DONE


async def test_what_is_deployed_after_a_reinstallation_is_not_removed_by_its_repetition(tmp_path: Path) -> None:
    containers = NotedContainers({"box-1"})
    for _ in range(3):
        await LocalMachines(containers, tmp_path).order(ORDER)
    assert containers.removed == ["box-1"]


async def test_an_action_that_another_order_has_overtaken_is_not_done(tmp_path: Path) -> None:
    machines = LocalMachines(NotedContainers({"box-1"}), tmp_path)
    first = await machines.order(ORDER)
    await machines.order(ORDER.model_copy(update={"order_id": "o-2"}))
    assert (await machines.progress(first)).state is ProviderActionState.FAILED


async def test_a_destroyed_machine_is_gone(tmp_path: Path) -> None:
    containers = NotedContainers({"box-1"})
    machines = LocalMachines(containers, tmp_path)
    order = ORDER.model_copy(update={"kind": ProviderActionKind.DESTROY})
    for _ in range(2):
        assert (await machines.progress(await machines.order(order))).state is ProviderActionState.DONE
    assert (containers.there, containers.removed) == (set(), ["box-1"])
