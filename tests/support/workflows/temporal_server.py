"""Temporal servers for tests: the one that the product embeds, and one that skips time."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.testing import WorkflowEnvironment

from contracts.names import SearchAttribute
from runtime.embedded import dev_server
from runtime.settings import WEB_UI_PATH
from tests.support.patience import patience, within
from tests.support.ports import any_free

_STOP_TIMEOUT_S = 10.0


@asynccontextmanager
async def running_temporal_server(
    directory: Path, *, port: int | None = None, ui_port: int | None = None, ready_timeout: float = 30.0
) -> AsyncIterator[str]:
    """Run the embedded server with its database in `directory`; yields its address `127.0.0.1:port`.

    Its output is in `directory/temporal.log`. A second use with the same directory finds the same data.
    """
    directory.mkdir(parents=True, exist_ok=True)
    options = dev_server.DevServerOptions(
        port=port or any_free(),
        db_file=directory / "temporal.db",
        ui_port=ui_port,
        ui_codec_endpoint="/codec",
        ui_public_path=WEB_UI_PATH,
        synchronous="NORMAL",
    )
    with (directory / "temporal.log").open("ab") as log:
        process = await asyncio.create_subprocess_exec(
            *dev_server.command(options), env=dev_server.environment(), stdout=log, stderr=log
        )
        try:
            await _healthy(options, process, directory / "temporal.log", ready_timeout)
            yield options.address
        finally:
            await stop_process(process)


@asynccontextmanager
async def running_time_skipping_server() -> AsyncIterator[WorkflowEnvironment]:
    """Run Temporal's test server, whose clock stops or jumps: `sleep` of what is yielded lets time pass.

    It knows no worker heartbeats, and skips no time while any activity runs.
    """
    program = Path(sys.executable).with_name("temporal-test-server")
    started = timedelta(seconds=patience(15))
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=str(program), test_server_startup_timeout=started
    ) as server:
        attributes = dict.fromkeys(SearchAttribute.ALL, IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD)
        request = AddSearchAttributesRequest(namespace=server.client.namespace, search_attributes=attributes)
        await server.client.operator_service.add_search_attributes(request)
        yield server


async def _healthy(
    options: dev_server.DevServerOptions, process: asyncio.subprocess.Process, log: Path, timeout: float
) -> None:
    waiter = asyncio.ensure_future(dev_server.wait_healthy(options.address, timeout, web_ui=options.web_ui))
    ended = asyncio.ensure_future(process.wait())
    await asyncio.wait({waiter, ended}, return_when=asyncio.FIRST_COMPLETED)
    if waiter.done():
        ended.cancel()
        waiter.result()
        return
    waiter.cancel()
    raise RuntimeError(f"the Temporal server ended with {process.returncode}: {log.read_text()[-2000:]}")


async def stop_process(process: asyncio.subprocess.Process) -> None:
    """SIGTERM, then SIGKILL after ten seconds; nothing when it has ended already."""
    if process.returncode is not None:
        return
    with suppress(ProcessLookupError):
        process.terminate()
    try:
        await within(process.wait(), _STOP_TIMEOUT_S)
    except TimeoutError:
        process.kill()
        await process.wait()
