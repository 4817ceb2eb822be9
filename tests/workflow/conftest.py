"""One Temporal server for the suite; a world and Temporal workers of its own for each test."""

import contextlib
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import Client
from temporalio.service import RPCError

from activities import following
from runtime import keyring
from runtime.temporal.authenticity import AuthenticityInterceptor
from runtime.temporal.converter import build_data_converter
from runtime.temporal.payload_limit import PayloadLimitInterceptor
from tests.support.workflows.temporal_server import running_temporal_server
from tests.support.workflows.workflow_world import World, working
from workers import interceptors, wiring


@pytest.fixture(scope="session")
def options(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """How the product's clients connect: payloads are encrypted and bounded."""
    key_file = tmp_path_factory.mktemp("keys") / "payload-keys.json"
    keyring.create_if_absent(key_file)
    converter = build_data_converter(keyring.KeyRing.load(key_file))
    return {"data_converter": converter, "interceptors": [PayloadLimitInterceptor(), AuthenticityInterceptor()]}


@pytest.fixture(scope="session")
async def client(options: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Client]:
    async with running_temporal_server(tmp_path_factory.mktemp("temporal")) as address:
        yield await Client.connect(address, **options)


@pytest.fixture(scope="session", autouse=True)
def quick_paces() -> Iterator[None]:
    """Hearts beat ten times as fast, so that a cancel is heard sooner, and failures are tried again much sooner.

    The paces themselves are proven by `tests/unit/workers` and by the cancels of `tests/e2e`.
    """
    with pytest.MonkeyPatch.context() as paces:
        paces.setattr(following, "_BEAT_S", 0.1)
        paces.setattr(wiring, "_HEARTBEAT_THROTTLE", timedelta(seconds=0.1))
        paces.setattr(interceptors, "_jittered", lambda seconds: seconds / 100)
        yield


@pytest.fixture
async def world(client: Client, max_cached_workflows: int) -> AsyncIterator[World]:
    world = World(client)
    async with working(world, max_cached_workflows=max_cached_workflows):
        yield world
    # All tests share the server and its queues: what one leaves running would be worked on in the world of the next.
    async for left in client.list_workflows("ExecutionStatus = 'Running'"):
        with contextlib.suppress(RPCError):  # it has ended meanwhile
            await client.get_workflow_handle(left.id, run_id=left.run_id).terminate("its test is over")
