"""The embedded Temporal server, started the way `up` starts it."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client, WorkflowExecutionStatus

from contracts.errors import ErrorCode, OrchestratorError
from contracts.names import SearchAttribute
from runtime.embedded import dev_server
from tests.support.ports import any_free
from tests.support.workflows.temporal_server import running_temporal_server


async def test_a_fresh_server_has_search_attributes_wal_and_thirty_days_of_retention(tmp_path: Path) -> None:
    async with running_temporal_server(tmp_path) as address:
        client = await dev_server.wait_healthy(address)
        known = await client.operator_service.list_search_attributes(ListSearchAttributesRequest(namespace="default"))
        keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
        for name in SearchAttribute.ALL:
            assert known.custom_attributes[name] == keyword

        await dev_server.raise_retention(client, days=30)
        await dev_server.raise_retention(client, days=30)
        described = await client.workflow_service.describe_namespace(DescribeNamespaceRequest(namespace="default"))
        assert described.config.workflow_execution_retention_ttl.seconds == 30 * 24 * 3600

        # In any other mode a kill is slow to recover from, and readers block the writer.
        with contextlib.closing(sqlite3.connect(f"file:{tmp_path / 'temporal.db'}?mode=ro", uri=True)) as database:
            assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)


async def test_an_address_without_a_server_is_named_in_the_error() -> None:
    address = f"127.0.0.1:{any_free()}"
    with pytest.raises(OrchestratorError, match=address) as caught:
        await dev_server.wait_healthy(address, timeout=0.3)
    assert caught.value.code == ErrorCode.TEMPORAL_UNREACHABLE
    assert caught.value.retryable


async def test_a_server_that_cannot_bind_says_so_immediately(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(RuntimeError, match="ended with"):
            async with running_temporal_server(tmp_path, port=taken.getsockname()[1]):
                raise AssertionError("unreachable")


@pytest.mark.parametrize(
    "headers",
    [{}, {"Host": "evil.example"}, {"Origin": "http://evil.example", "Content-Type": "text/plain"}],
    ids=["a program", "a name that points here", "the page of another site"],
)
async def test_a_page_ends_no_work_by_the_http_interface_of_the_server(
    server_with_http: tuple[Client, str], headers: dict[str, str]
) -> None:
    """Temporal's program opens it on a port of its own choice, and asks browsers for nothing."""
    client, url = server_with_http
    handle = await client.start_workflow("nobody's", id=f"test-{uuid4()}", task_queue="nobody's")
    async with httpx.AsyncClient(base_url=f"{url}/api/v1/namespaces/default", trust_env=False) as http:
        listed = await http.get("/workflows", headers=headers)
        ended = await http.post(f"/workflows/{handle.id}/terminate", content="{}", headers=headers)
    assert (listed.status_code, ended.status_code) == (403, 403)
    assert (await handle.describe()).status is WorkflowExecutionStatus.RUNNING


@pytest.fixture(scope="module")
async def server_with_http() -> AsyncIterator[tuple[Client, str]]:
    options, port = dev_server.DevServerOptions(port=any_free()), any_free()
    server = await asyncio.create_subprocess_exec(
        *dev_server.command(options), "--http-port", str(port),
        env=dev_server.environment(), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        yield await dev_server.wait_healthy(options.address), f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        await server.wait()


async def test_a_server_is_healthy_when_its_web_ui_shows_its_data(tmp_path: Path) -> None:
    """The Web UI listens first, and answers 503 until its own connection to the server is there."""
    statuses = ["503 Service Unavailable", "503 Service Unavailable", "200 OK"]
    asked: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(head.split()[1].decode())
        writer.write(f"HTTP/1.1 {statuses[len(asked) - 1]}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        writer.close()

    async with (
        await asyncio.start_server(answer, "127.0.0.1", 0) as web_ui,
        running_temporal_server(tmp_path) as server,
    ):
        port = web_ui.sockets[0].getsockname()[1]
        await dev_server.wait_healthy(server, web_ui=f"http://127.0.0.1:{port}/temporal")
    assert asked == ["/temporal/api/v1/namespaces"] * 3
