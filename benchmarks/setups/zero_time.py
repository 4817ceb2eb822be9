"""The real workflows over ports that take no time, on a real Temporal server: what remains is the platform itself."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from temporalio.client import Client

from contracts.progress import Projection, ProjectionAck
from runtime import keyring
from runtime.temporal.authenticity import AuthenticityInterceptor
from runtime.temporal.converter import build_data_converter
from runtime.temporal.payload_limit import PayloadLimitInterceptor
from tests.support.workflows.fake_acceptance import PromisingPlatform
from tests.support.workflows.temporal_server import running_temporal_server
from tests.support.workflows.workflow_world import World
from workers.wiring import build_workers

CACHED = 1000


class QuietPlatform(PromisingPlatform):
    """Takes every projection and remembers none: looking through thousands would take time."""

    async def apply_projection(self, projection: Projection) -> ProjectionAck:
        return ProjectionAck(accepted=True)


@dataclass(frozen=True)
class TemporalServer:
    """A running server and the keys of its payloads."""

    address: str
    key_file: Path

    async def client(self) -> Client:
        """A client with the product's codec."""
        return await Client.connect(
            self.address,
            data_converter=build_data_converter(keyring.KeyRing.load(self.key_file)),
            interceptors=[PayloadLimitInterceptor(), AuthenticityInterceptor()],
        )


@asynccontextmanager
async def temporal_server() -> AsyncIterator[TemporalServer]:
    """A server of its own, configured as `orchestrator up` does, but for the flush of each write to the disk."""
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        key_file = Path(directory) / "keys" / "payload-keys.json"
        keyring.create_if_absent(key_file)
        async with running_temporal_server(Path(directory) / "temporal") as address:
            yield TemporalServer(address, key_file)


@asynccontextmanager
async def temporal_client() -> AsyncIterator[Client]:
    """A client of a server of its own."""
    async with temporal_server() as server:
        yield await server.client()


@dataclass(frozen=True)
class Engineering:
    """Runs the product's engineering flow."""

    world: World

    async def flow(self) -> str:
        """One flow from start to result; returns the workflow id."""
        started = await self.world.gateway.start_engineering(self.world.engineering())
        await self.world.handle(started.workflow_id).result()
        return started.workflow_id


@asynccontextmanager
async def engineering(client: Client) -> AsyncIterator[Engineering]:
    """The product's Temporal workers over zero-time ports, until the block ends."""
    world = World(client, platform=QuietPlatform())
    async with AsyncExitStack() as stack:
        for worker in build_workers(client, world.ports(), max_cached_workflows=CACHED):
            await stack.enter_async_context(worker)
        yield Engineering(world)
