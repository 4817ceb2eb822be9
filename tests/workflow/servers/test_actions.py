"""A workflow that waits for a provider: by timers, with patience, and with no password in its history."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from uuid import uuid4

import pytest
import pytest_asyncio
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Worker

from activities.ports import Progress
from activities.providers import ProviderActivities
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError
from contracts.names import Queue
from contracts.servers.providers import (
    ROOT_PASSWORD,
    MachineRef,
    ProviderAction,
    ProviderMachine,
    ProviderOrder,
    ProviderProgress,
)
from contracts.states import ProviderActionKind, ProviderActionState, ProviderKind
from tests.support.workflows.fake_servers import FakeServerCredentials
from tests.support.workflows.machine_workflows import InstalledWorkflow
from tests.support.workflows.temporal_server import running_time_skipping_server
from workers.interceptors import ErrorTranslation
from workers.sandbox import build_runner
from workflows.failures import root_cause

PASSWORD = "hunter2-of-the-provider"
RUNNING = Progress(ProviderActionState.RUNNING)
DONE = Progress(ProviderActionState.DONE, "done", PASSWORD)
THROTTLED = OrchestratorError(
    ErrorCode.PROVIDER_THROTTLED, "Later.", error_class=ErrorClass.UPSTREAM, details={"retry_after_s": 24}
)


@dataclass
class Scripted:
    """A provider that says what it is told to, look by look, and the last word for good."""

    said: list[Progress | OrchestratorError] = field(default_factory=lambda: [DONE])
    of_password: list[Progress | OrchestratorError] = field(default_factory=lambda: [DONE])
    orders: list[ProviderActionKind] = field(default_factory=list)

    async def machines(self) -> list[ProviderMachine]:
        return []

    async def machine(self, ref: MachineRef) -> ProviderMachine:
        return ProviderMachine(ref=ref)

    async def order(self, order: ProviderOrder) -> ProviderAction:
        self.orders.append(order.kind)
        return ProviderAction(ref=order.ref, kind=order.kind, order_id=order.order_id, action_id="7")

    async def progress(self, action: ProviderAction) -> Progress:
        words = self.of_password if action.kind is ProviderActionKind.RESET_PASSWORD else self.said
        word = words.pop(0) if len(words) > 1 else words[0]
        if isinstance(word, OrchestratorError):
            raise word
        return word


@dataclass
class Place:
    client: Client
    provider: Scripted
    credentials: FakeServerCredentials

    async def started(self) -> WorkflowHandle[InstalledWorkflow, ProviderProgress]:
        ref = MachineRef(provider=ProviderKind.TIME4VPS, server_handle="vps-1", machine_id="1")
        order = ProviderOrder(ref=ref, kind=ProviderActionKind.REINSTALL, order_id="o-1", approval_id="a-1")
        name = f"install-{uuid4().hex[:8]}"
        return await self.client.start_workflow(
            InstalledWorkflow.run, order, id=name, task_queue=Queue.INFRA, result_type=ProviderProgress
        )

    async def failed(self) -> tuple[str, str]:
        """The code and the words with which it failed."""
        with pytest.raises(WorkflowFailureError) as caught:
            await (await self.started()).result()
        cause = root_cause(caught.value.cause)
        return str(getattr(cause, "type", "")), str(cause)


@pytest_asyncio.fixture(scope="module")
async def server() -> AsyncIterator[Client]:
    async with running_time_skipping_server() as running:
        config = running.client.config()
        config["data_converter"] = pydantic_data_converter
        yield Client(**config)


@asynccontextmanager
async def working(client: Client) -> AsyncIterator[Place]:
    provider, credentials = Scripted(), FakeServerCredentials(approved={"a-1"})
    work = ProviderActivities({ProviderKind.TIME4VPS: provider}, credentials)
    async with Worker(
        client,
        task_queue=Queue.INFRA,
        workflows=[InstalledWorkflow],
        activities=[work.order, work.progress],
        interceptors=[ErrorTranslation()],
        workflow_runner=build_runner(),
    ):
        yield Place(client, provider, credentials)


@pytest_asyncio.fixture
async def place(server: Client) -> AsyncIterator[Place]:
    async with working(server) as made:
        yield made


async def test_a_task_of_minutes_is_waited_for_and_its_password_is_in_no_history(place: Place) -> None:
    place.provider.said = [*[RUNNING] * 40, DONE]
    handle = await place.started()
    assert (await handle.result()).credential == ROOT_PASSWORD
    assert place.credentials.kept == {("vps-1", ROOT_PASSWORD): PASSWORD}
    assert PASSWORD not in (await handle.fetch_history()).to_json()
    assert place.provider.orders == [ProviderActionKind.REINSTALL]


async def test_a_throttled_look_is_no_verdict(place: Place) -> None:
    place.provider.said = [RUNNING, *[THROTTLED] * 8, DONE]
    assert (await (await place.started()).result()).credential == ROOT_PASSWORD
    assert place.provider.orders == [ProviderActionKind.REINSTALL]


async def test_a_task_without_an_end_is_given_up_with_words_for_a_person(place: Place) -> None:
    place.provider.said = [RUNNING]
    code, words = await place.failed()
    assert (code, "15 minutes" in words, "vps-1" in words) == (ErrorCode.PROVIDER_SILENT, True, True)


async def test_a_provider_that_never_answers_again_ends_with_the_patience_too(place: Place) -> None:
    place.provider.said = [RUNNING, THROTTLED]
    assert (await place.failed())[0] == ErrorCode.PROVIDER_SILENT


async def test_a_task_that_failed_fails_and_is_not_ordered_again(place: Place) -> None:
    place.provider.said = [RUNNING, Progress(ProviderActionState.FAILED, "It has ended with an error")]
    assert (await place.failed())[0] == ErrorCode.PROVIDER_FAILED
    assert place.provider.orders == [ProviderActionKind.REINSTALL]


async def test_a_machine_without_a_password_gets_one_ordered(place: Place) -> None:
    place.provider.said = [RUNNING, Progress(ProviderActionState.DONE)]
    place.provider.of_password = [RUNNING, THROTTLED, DONE]
    assert (await (await place.started()).result()).credential == ROOT_PASSWORD
    assert place.provider.orders == [ProviderActionKind.REINSTALL, ProviderActionKind.RESET_PASSWORD]


async def test_without_an_approval_nothing_is_ordered(place: Place) -> None:
    place.credentials.approved.clear()
    assert (await place.failed())[0] == ErrorCode.APPROVAL_MISSING
    assert place.provider.orders == []


async def test_a_login_that_is_refused_stops_at_once(place: Place) -> None:
    place.provider.said = [OrchestratorError(ErrorCode.PROVIDER_LOGIN_REFUSED, "Store the right one.")]
    assert (await place.failed())[0] == ErrorCode.PROVIDER_LOGIN_REFUSED
