"""Metrics as Prometheus reads them, and traces as a collector gets them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from uuid import uuid4

import pytest
import pytest_asyncio
import structlog
from opentelemetry import trace
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from temporalio.worker import Worker

from runtime import telemetry
from runtime.keyring import KeyRing, create_if_absent
from runtime.settings import Settings
from runtime.temporal_client import connect
from tests.support.api import Api, running_api
from tests.support.eventually import eventually
from tests.support.runtime_workflows import ConversationWorkflow, echo
from tests.support.temporal_server import running_temporal_server

SECRET = "what the person said"


@pytest_asyncio.fixture(scope="module")
async def api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    async with running_api(tmp_path_factory.mktemp("api")) as running:
        yield running


async def test_the_metrics_of_the_api_count_requests_by_route_and_show_the_queues(api: Api) -> None:
    project_id = await api.new_project(api.admin)
    await api.http.get(f"/projects/{project_id}", headers=api.admin)
    reply = await api.http.get("/metrics", headers=api.platform)
    assert reply.status_code == HTTPStatus.OK
    counted = 'orchestrator_api_request_seconds_count{method="GET",route="/projects/{project_id}",status="200"} 1.0'
    assert counted in reply.text
    assert project_id not in reply.text
    assert "orchestrator_temporal_reachable 1.0" in reply.text
    assert "# TYPE orchestrator_queue_unserved gauge" in reply.text


async def test_metrics_are_for_administrators(api: Api) -> None:
    _, member = await api.new_user()
    assert (await api.http.get("/metrics", headers=member)).status_code == HTTPStatus.FORBIDDEN
    assert (await api.http.get("/metrics")).status_code == HTTPStatus.UNAUTHORIZED


class Collector:
    """An OpenTelemetry collector, as far as an exporter can tell."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.services: set[str] = set()
        self.url = ""

    @property
    def spans(self) -> list[Span]:
        found = []
        for body in self.bodies:
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                self.services |= {
                    one.value.string_value for one in resource.resource.attributes if one.key == "service.name"
                }
                found += [span for scope in resource.scope_spans for span in scope.spans]
        return found

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await _head(reader):
            length = next(int(line.split(b":")[1]) for line in head if line.lower().startswith(b"content-length"))
            self.bodies.append(await reader.readexactly(length))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
        writer.close()


async def until(found: Callable[[], Awaitable[list[str]]]) -> None:
    _: list[str] = await eventually(found)


async def _head(reader: asyncio.StreamReader) -> list[bytes]:
    try:
        return (await reader.readuntil(b"\r\n\r\n")).splitlines()
    except asyncio.IncompleteReadError:
        return []


@asynccontextmanager
async def collecting(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Collector]:
    collector = Collector()
    server = await asyncio.start_server(collector.serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
    try:
        yield collector
    finally:
        server.close()


async def test_one_trace_leads_from_the_start_through_the_workflow_to_its_activities(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    create_if_absent(tmp_path / "keys.json")
    async with collecting(monkeypatch) as collector, running_temporal_server(tmp_path / "temporal") as address:
        settings = Settings(home=tmp_path, temporal_port=int(address.rpartition(":")[2]))
        client = await connect(settings, keyring=KeyRing.load(tmp_path / "keys.json"), identity="test")
        queue, workflow_id = f"q-{uuid4().hex}", f"w-{uuid4().hex}"
        async with Worker(client, task_queue=queue, workflows=[ConversationWorkflow], activities=[echo]):
            handle = await client.start_workflow(ConversationWorkflow.run, SECRET, id=workflow_id, task_queue=queue)
            await until(lambda: handle.query(ConversationWorkflow.transcript))
            await handle.signal(ConversationWorkflow.say, "stop")
            assert await handle.result() == [SECRET]
        await asyncio.to_thread(telemetry.flush)
        await eventually(lambda: "RunActivity:test.echo" in {span.name for span in collector.spans})
        by_name = {span.name: span for span in collector.spans}
        wanted = ["StartWorkflow:test.conversation", "RunWorkflow:test.conversation", "RunActivity:test.echo"]
        assert len({by_name[name].trace_id for name in wanted}) == 1
        assert collector.services == {"orchestrator-test"}
        assert SECRET.encode() not in b"".join(collector.bodies), "what is said stays out of traces"


async def test_a_log_record_names_its_span_and_without_a_collector_nothing_is_traced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    context = trace.SpanContext(0xABC, 0xDEF, is_remote=False, trace_flags=trace.TraceFlags(1))
    logger = structlog.get_logger()
    with trace.use_span(trace.NonRecordingSpan(context)):
        assert telemetry.add_trace_ids(logger, "info", {"event": "x"}) == {"event": "x"}
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
        written = telemetry.add_trace_ids(logger, "info", {"event": "x"})
        assert (written["trace_id"], written["span_id"]) == (f"{0xABC:032x}", f"{0xDEF:016x}")
        monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
        assert telemetry.client_interceptors("test") == []
