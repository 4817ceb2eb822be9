"""Orders from end to end: the gate, the provider and the store of credentials, each the real one or its fake."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from uuid import uuid4

import pytest
import pytest_asyncio
from temporalio.testing import ActivityEnvironment

from activities.ports import ServerCredentials
from activities.providers import ProviderActivities
from contracts.errors import ErrorCode, OrchestratorError
from contracts.servers.approvals import ApprovalDecision, ApprovalRequest
from contracts.servers.providers import ROOT_PASSWORD, MachineRef, ProviderOrder, ProviderProgress
from contracts.states import ProviderActionKind, ProviderActionState, ProviderKind, ServerAct
from emulators.time4vps.faults import Fault, Kind
from runtime.access_client import AccessApi
from runtime.servers_client import ServersApi
from tests.integration.activities.providers.worlds import Rented, rented
from tests.integration.api.servers.test_registry import added, call
from tests.support.api import Api, running_api, served
from tests.support.workflows.fake_servers import FakeServerCredentials


@dataclass
class Gate:
    """Where orders are admitted and credentials kept."""

    credentials: ServerCredentials
    handle: str

    async def approval(self) -> tuple[str, str]:
        """Of a reinstallation: its id, and the hash of its plan."""
        raise NotImplementedError

    async def kept(self) -> str | None:
        raise NotImplementedError


@dataclass
class FakeGate(Gate):
    fake: FakeServerCredentials

    async def approval(self) -> tuple[str, str]:
        self.fake.approved.add("a-1")
        return "a-1", "0" * 64

    async def kept(self) -> str | None:
        return self.fake.kept.get((self.handle, ROOT_PASSWORD))


@dataclass
class RealGate(Gate):
    api: Api
    people: AccessApi

    async def approval(self) -> tuple[str, str]:
        body = ApprovalRequest(approval_id=f"a-{uuid4().hex[:8]}", act=ServerAct.REINSTALL)
        made = await self.people.request_approval(self.handle, body)
        decision = ApprovalDecision(approved=True, plan_hash=made.plan_hash)
        await self.people.decide_approval(self.handle, made.id, decision)
        return made.id, made.plan_hash

    async def kept(self) -> str | None:
        place = f"/internal/servers/{self.handle}/credentials/{ROOT_PASSWORD}/reveal"
        reply = await call(self.api, "POST", place, headers=self.api.platform)
        return str(reply.json()["value"]) if reply.status_code == 200 else None


@pytest_asyncio.fixture(scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Api, str]]:
    async with running_api(tmp_path_factory.mktemp("api")) as running, served(running.app) as url:
        yield running, url


@pytest_asyncio.fixture(params=["fake", "real"])
async def gate(request: pytest.FixtureRequest, api: tuple[Api, str]) -> AsyncIterator[Gate]:
    if request.param == "fake":
        fake = FakeServerCredentials()
        yield FakeGate(fake, "vps-1001", fake)
        return
    running, url = api
    handle = await added(running, provider="time4vps", machine_id="1001", managed=True)
    platform, admin = (
        headers["Authorization"].removeprefix("Bearer ") for headers in (running.platform, running.admin)
    )
    async with ServersApi(url, platform) as machines, AccessApi(url, admin) as people:
        yield RealGate(machines, handle, running, people)


@pytest_asyncio.fixture
async def vps() -> AsyncIterator[Rented]:
    async with rented() as made:
        yield made


def activities(gate: Gate, vps: Rented) -> ProviderActivities:
    return ProviderActivities({ProviderKind.TIME4VPS: vps.provider}, gate.credentials)


def order(gate: Gate, kind: ProviderActionKind = ProviderActionKind.REINSTALL, **more: str) -> ProviderOrder:
    ref = MachineRef(provider=ProviderKind.TIME4VPS, server_handle=gate.handle, machine_id="1001")
    return ProviderOrder(ref=ref, kind=kind, order_id="o-1").model_copy(update=more)


async def done(work: ProviderActivities, wanted: ProviderOrder) -> ProviderProgress:
    """As a workflow does it: with a look now and then."""
    action = await ActivityEnvironment().run(work.order, wanted)
    for _ in range(20):
        try:
            found = await ActivityEnvironment().run(work.progress, action)
        except OrchestratorError as error:
            if not error.retryable:
                raise
            continue
        if found.state is not ProviderActionState.RUNNING:
            return found
        await asyncio.sleep(0)
    raise AssertionError("it does not end")


async def test_an_order_without_an_approval_does_not_reach_the_provider(gate: Gate, vps: Rented) -> None:
    with pytest.raises(OrchestratorError) as refused:
        await ActivityEnvironment().run(activities(gate, vps).order, order(gate))
    assert refused.value.code is ErrorCode.APPROVAL_MISSING
    assert vps.machine.installations == []


@pytest.mark.parametrize(
    "faults",
    [
        [],
        [Fault(Kind.ERROR_AFTER, path="/reinstall")],
        [Fault(Kind.THROTTLED, path="/1001", skip=1), Fault(Kind.THROTTLED, times=3, skip=4)],
    ],
    ids=["well", "error-after", "throttled"],
)
async def test_the_machine_is_installed_once_and_its_password_is_what_the_platform_keeps(
    gate: Gate, vps: Rented, faults: list[Fault]
) -> None:
    approval_id, plan_hash = await gate.approval()
    wanted = order(gate, approval_id=approval_id, plan_hash=plan_hash)
    for fault in faults:
        vps.faults.plan(fault)
    for _ in range(5):
        try:
            found = await done(activities(gate, vps), wanted)
            break
        except OrchestratorError as error:
            if not error.retryable:
                raise
    assert (found.state, found.credential) == (ProviderActionState.DONE, ROOT_PASSWORD)
    assert len(vps.machine.installations) == 1
    password = await gate.kept()
    assert password == vps.machine.passwords[-1]
    assert password not in found.model_dump_json(), "it goes into no history"


async def test_an_approval_that_was_used_is_none_for_another_order(gate: Gate, vps: Rented) -> None:
    approval_id, plan_hash = await gate.approval()
    work = activities(gate, vps)
    await done(work, order(gate, approval_id=approval_id, plan_hash=plan_hash))
    again = order(gate, approval_id=approval_id, plan_hash=plan_hash, order_id="o-2")
    with pytest.raises(OrchestratorError) as refused:
        await ActivityEnvironment().run(work.order, again)
    assert refused.value.code is ErrorCode.APPROVAL_STALE
    assert len(vps.machine.installations) == 1


async def test_a_password_that_cannot_be_kept_now_is_kept_by_the_next_look(vps: Rented) -> None:
    fake = FakeServerCredentials(away=3)
    gate = FakeGate(fake, "vps-1001", fake)
    found = await done(activities(gate, vps), order(gate, ProviderActionKind.RESET_PASSWORD))
    assert (found.credential, await gate.kept()) == (ROOT_PASSWORD, vps.machine.passwords[-1])


async def test_a_provider_without_access_is_refused_with_a_sentence(vps: Rented) -> None:
    fake = FakeServerCredentials()
    with pytest.raises(OrchestratorError, match="no access to static"):
        await ActivityEnvironment().run(
            activities(FakeGate(fake, "own-1", fake), vps).look,
            MachineRef(provider=ProviderKind.STATIC, server_handle="own-1"),
        )
