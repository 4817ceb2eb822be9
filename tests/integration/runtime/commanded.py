"""A platform in small for tests of who may command workflows: our client and Temporal worker, and a stranger's client.

The stranger reaches the same Temporal server and has no key.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from runtime import keyring
from runtime.keyring import KeyRing
from runtime.settings import Settings
from runtime.temporal import client as temporal_client
from tests.support.workflows.sealed_workflows import ACTIVITIES, WORKFLOWS
from tests.support.workflows.temporal_server import running_temporal_server
from workers.sandbox import KnownContextRunner

RESTRICTIONS = SandboxRestrictions.default.with_passthrough_modules("tests.support", "contracts", "pydantic")
Handle = WorkflowHandle[Any, Any]


@dataclass
class Place:
    """`ours` has the key ring, `enemy` has not."""

    address: str
    key_file: Path
    ours: Client
    enemy: Client
    queue: str

    async def start(self, opening: str, workflow_id: str = "") -> Handle:
        """Our own start of a commanded workflow."""
        return await self.ours.start_workflow(
            "test.commanded", opening, id=workflow_id or new_id(), task_queue=self.queue
        )

    async def enemy_starts(self, argument: object, workflow_id: str = "") -> Handle:
        """A stranger's start of the same; returns our handle of it."""
        handle = await self.enemy.start_workflow(
            "test.commanded", argument, id=workflow_id or new_id(), task_queue=self.queue
        )
        return self.ours.get_workflow_handle(handle.id)


def new_id() -> str:
    return f"test/{uuid4()}"


def sandbox() -> SandboxedWorkflowRunner:
    """The product's runner, for the workflows of tests."""
    return KnownContextRunner(restrictions=RESTRICTIONS)


@asynccontextmanager
async def place(directory: Path) -> AsyncIterator[Place]:
    """A Temporal server, our worker on it, and both clients."""
    key_file = directory / "keys" / "payload.json"
    keyring.create_if_absent(key_file)
    with pytest.MonkeyPatch.context() as patch:
        async with running_temporal_server(directory) as address:
            patch.setenv("TEMPORAL_ADDRESS", address)
            ours = await temporal_client.connect(Settings(), keyring=KeyRing.load(key_file))
            async with Worker(
                ours,
                task_queue=f"queue-{uuid4()}",
                workflows=WORKFLOWS,
                activities=ACTIVITIES,
                workflow_runner=sandbox(),
            ) as worker:
                yield Place(address, key_file, ours, await Client.connect(address), worker.task_queue)


async def stored(handle: Handle) -> list[Payload]:
    """Every payload of a history as the server has it, except what Temporal notes of local steps for itself."""
    events = (await handle.fetch_history()).events
    for event in events:
        if event.HasField("marker_recorded_event_attributes"):
            del event.marker_recorded_event_attributes.details["data"]
    return [payload for event in events for payload in payloads_of(event)]


def payloads_of(message: Message) -> list[Payload]:
    """Every payload within a message, except search attributes and headers, which are never sealed."""
    if isinstance(message, Payload):
        return [message]
    found: list[Payload] = []
    for field, value in message.ListFields():
        if field.message_type is None or field.name in {"search_attributes", "header"}:
            continue
        if field.message_type.GetOptions().map_entry:
            inside = [one for one in value.values() if isinstance(one, Message)]
        else:
            inside = list(value) if field.is_repeated else [value]
        found += [payload for one in inside for payload in payloads_of(one)]
    return found
