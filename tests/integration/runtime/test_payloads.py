"""Payloads on a real server: limits fail once and clearly, everything is encrypted, keys rotate under way."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle, WorkflowUpdateFailedError
from temporalio.exceptions import ActivityError, ApplicationError
from temporalio.worker import Replayer, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from contracts.errors import ErrorCode, OrchestratorError
from runtime import keyring, private_files
from runtime.keyring import KeyRing
from runtime.settings import Settings
from runtime.temporal import client as temporal_client
from runtime.temporal.converter import build_data_converter
from runtime.temporal.payload_limit import PayloadLimitInterceptor
from tests.support.eventually import eventually
from tests.support.workflows.runtime_workflows import (
    NO_SPACE_IN_HISTORY,
    ConversationWorkflow,
    OversizedWorkflow,
    echo,
    fail_with_a_huge_message,
    return_too_much,
)
from tests.support.workflows.temporal_server import running_temporal_server

WORKFLOWS = [OversizedWorkflow, ConversationWorkflow]


@dataclass
class Platform:
    client: Client
    key_file: Path
    queue: str

    async def start(self, workflow: str, argument: str) -> WorkflowHandle[object, object]:
        return await self.client.start_workflow(workflow, argument, id=f"test/{uuid4()}", task_queue=self.queue)


def sandbox() -> SandboxedWorkflowRunner:
    passed = SandboxRestrictions.default.with_passthrough_modules("tests.support", "contracts", "pydantic")
    return SandboxedWorkflowRunner(restrictions=passed)


@asynccontextmanager
async def connected(address: str, key_file: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Client]:
    monkeypatch.setenv("TEMPORAL_ADDRESS", address)
    yield await temporal_client.connect(Settings(), keyring=KeyRing.load(key_file))


@pytest.fixture(scope="module")
async def platform(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Platform]:
    directory = tmp_path_factory.mktemp("payloads")
    key_file = directory / "keys" / "payload.json"
    keyring.create_if_absent(key_file)
    with pytest.MonkeyPatch.context() as patch:
        async with (
            running_temporal_server(directory) as address,
            connected(address, key_file, patch) as client,
            connected(address, key_file, patch) as worker_client,
            Worker(
                worker_client,
                task_queue=f"queue-{uuid4()}",
                workflows=WORKFLOWS,
                activities=[echo, return_too_much, fail_with_a_huge_message],
                workflow_runner=sandbox(),
            ) as worker,
        ):
            yield Platform(client, key_file, worker.task_queue)


async def failure_of(handle: WorkflowHandle[object, object]) -> BaseException:
    with pytest.raises(WorkflowFailureError) as caught:
        await handle.result()
    return caught.value.cause


async def test_a_start_with_a_too_large_input_is_refused_before_it_leaves(platform: Platform) -> None:
    with pytest.raises(OrchestratorError, match="262,146 bytes is above the limit of 262,144") as caught:
        await platform.start("test.conversation", NO_SPACE_IN_HISTORY)
    assert caught.value.code == ErrorCode.PAYLOAD_TOO_LARGE
    assert not caught.value.retryable


async def test_an_activity_with_a_too_large_result_fails_once(platform: Platform) -> None:
    handle = await platform.start("test.oversized", "activity-result")
    failure = await failure_of(handle)
    assert isinstance(failure, ActivityError)
    assert isinstance(failure.cause, ApplicationError)
    assert failure.cause.type == "PAYLOAD_TOO_LARGE"
    assert "artifact store" in failure.cause.message
    history = await handle.fetch_history()
    attempts = [
        event.activity_task_started_event_attributes.attempt
        for event in history.events
        if event.HasField("activity_task_started_event_attributes")
    ]
    assert attempts == [1]


@pytest.mark.parametrize("what", ["argument", "child", "workflow-result", "continue-as-new"])
async def test_a_workflow_that_passes_on_too_much_fails_instead_of_retrying_endlessly(
    platform: Platform, what: str
) -> None:
    handle = await platform.start("test.oversized", what)
    failure = await failure_of(handle)
    assert isinstance(failure, ApplicationError)
    assert failure.type == "PAYLOAD_TOO_LARGE"
    history = await handle.fetch_history()
    assert not any(event.HasField("workflow_task_failed_event_attributes") for event in history.events)


async def test_an_update_with_a_too_large_answer_fails_and_the_workflow_continues(platform: Platform) -> None:
    handle = await platform.start("test.conversation", "hello")
    with pytest.raises(WorkflowUpdateFailedError) as caught:
        await handle.execute_update("repeat_too_much", "please")
    assert isinstance(caught.value.cause, ApplicationError)
    assert caught.value.cause.type == "PAYLOAD_TOO_LARGE"
    await handle.signal("say", "stop")
    assert await handle.result() == ["hello"]


async def test_a_failure_with_a_huge_message_is_cut_and_reported(platform: Platform) -> None:
    failure = await failure_of(await platform.start("test.oversized", "failure"))
    assert isinstance(failure, ActivityError)
    assert isinstance(failure.cause, ApplicationError)
    assert failure.cause.type == "HUGE"
    assert failure.cause.message.startswith("start of the message")
    assert len(failure.cause.message) < 20_000
    assert failure.cause.details == ({"dropped_bytes": 262_146, "limit_bytes": 262_144},)


async def test_neither_values_nor_failures_are_readable_in_the_raw_history(platform: Platform) -> None:
    handle = await platform.start("test.conversation", "the plain opening")
    await handle.signal("say", "fail: the plain reason")
    failure = await failure_of(handle)
    assert isinstance(failure, ApplicationError)
    assert failure.message == "fail: the plain reason"
    raw = b"".join(event.SerializeToString() for event in (await handle.fetch_history()).events)
    assert b"binary/encrypted" in raw
    for plain in (b"plain opening", b"plain reason", b"runtime_workflows.py"):
        assert plain not in raw


async def test_a_key_rotated_under_way_leaves_the_run_readable_and_finishing(platform: Platform) -> None:
    old_key, _ = KeyRing.load(platform.key_file).active
    handle = await platform.start("test.conversation", "before")
    await eventually(lambda: _transcript_is(handle, ["before"]))

    new_key = keyring.rotate(platform.key_file)
    await handle.signal("say", "after")
    await handle.signal("say", "stop")

    assert await handle.result() == ["before", "after"]
    history = await handle.fetch_history()
    started, *_, completed = history.events
    assert _key_of(started.workflow_execution_started_event_attributes.input) == old_key
    assert _key_of(completed.workflow_execution_completed_event_attributes.result) == new_key
    replayer = Replayer(
        workflows=WORKFLOWS,
        data_converter=build_data_converter(KeyRing.load(platform.key_file)),
        workflow_runner=sandbox(),
        interceptors=[PayloadLimitInterceptor()],
    )
    await replayer.replay_workflow(history)


async def _transcript_is(handle: WorkflowHandle[object, object], expected: list[str]) -> bool:
    return await handle.query("transcript") == expected


def _key_of(payloads: object) -> str:
    return payloads.payloads[0].metadata["encryption-key-id"].decode()


async def test_a_client_without_the_key_is_told_so(platform: Platform, tmp_path: Path) -> None:
    handle = await platform.start("test.conversation", "stop")
    await handle.result()
    foreign = tmp_path / "other.json"
    keyring.create_if_absent(foreign)
    config = platform.client.config()
    config["data_converter"] = build_data_converter(KeyRing.load(foreign))
    with pytest.raises(OrchestratorError, match="key file") as caught:
        await Client(**config).get_workflow_handle(handle.id).result()
    assert caught.value.code == ErrorCode.PAYLOAD_KEY_UNKNOWN


async def test_a_worker_without_the_key_waits_for_the_key_file_and_then_continues(
    platform: Platform, tmp_path: Path
) -> None:
    restored = tmp_path / "payload.json"
    keyring.create_if_absent(restored)
    config = platform.client.config()
    config["data_converter"] = build_data_converter(KeyRing.load(restored))
    handle = await platform.client.start_workflow(
        "test.conversation",
        "stop",
        id=f"test/{uuid4()}",
        task_queue=f"queue-{uuid4()}",
        task_timeout=timedelta(seconds=1),  # also the pause after a failed task
    )
    description = await handle.describe()
    async with Worker(
        Client(**config), task_queue=description.task_queue, workflows=WORKFLOWS, workflow_runner=sandbox()
    ):
        await eventually(lambda: _has_failed_task(handle), message="the workflow task's failure")
        private_files.replace(restored, platform.key_file.read_text())
        assert await handle.result() == []


async def _has_failed_task(handle: WorkflowHandle[object, object]) -> bool:
    events = (await handle.fetch_history()).events
    return any(event.HasField("workflow_task_failed_event_attributes") for event in events)
