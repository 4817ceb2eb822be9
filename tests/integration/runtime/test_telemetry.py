"""Metrics as Prometheus reads them, and traces as a collector gets them."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
import structlog
from opentelemetry import trace
from temporalio import activity
from temporalio.runtime import PrometheusConfig, Runtime, TelemetryConfig
from temporalio.worker import Worker

from contracts.errors import ErrorClass, ErrorCode, OrchestratorError
from runtime.keyring import KeyRing, create_if_absent
from runtime.observability import telemetry
from runtime.observability.logging import configure_logging
from runtime.settings import Settings
from runtime.temporal.client import connect
from tests.support.api import Api, running_api
from tests.support.eventually import eventually
from tests.support.otlp import collecting
from tests.support.ports import any_free
from tests.support.workflows.runtime_workflows import ConversationWorkflow, echo
from tests.support.workflows.temporal_server import running_temporal_server
from workers.interceptors import ErrorTranslation

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


async def test_the_metrics_of_the_api_count_tasks_and_open_questions(api: Api) -> None:
    project_id = await api.new_project(api.admin)
    for stage in ("testing", "testing", "developing"):
        await api.new_task(project_id, stage=stage)
    await api.new_task(project_id, stage="publishing", state="failed")
    await api.new_question(await api.new_task(project_id, stage="developing"), project_id)
    text = (await api.http.get("/metrics", headers=api.admin)).text
    assert 'orchestrator_tasks{kind="engineering",stage="testing",state="running"} 2.0' in text
    assert 'orchestrator_tasks{kind="engineering",stage="",state="failed"} 1.0' in text
    assert 'orchestrator_open_questions{kind="clarification"} 1.0' in text
    assert project_id not in text


async def test_metrics_are_for_administrators(api: Api) -> None:
    _, member = await api.new_user()
    assert (await api.http.get("/metrics", headers=member)).status_code == HTTPStatus.FORBIDDEN
    assert (await api.http.get("/metrics")).status_code == HTTPStatus.UNAUTHORIZED


async def until(found: Callable[[], Awaitable[list[str]]]) -> None:
    _: list[str] = await eventually(found)


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


def test_without_a_collector_no_telemetry_is_loaded() -> None:
    # LangChain's own client loads OpenTelemetry's SDK where it is installed, which nothing here does.
    names = ("runtime.observability.tracing", "temporalio.contrib.opentelemetry", "opentelemetry.exporter")
    modules = "api.app, workers.wiring, cli.__main__, cli.app, runtime.api_client"
    script = f"import sys, {modules}; print([name for name in {names} if name in sys.modules])"
    quiet = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=quiet)
    assert done.stdout.strip() == "[]"


async def test_the_words_of_an_error_stay_out_of_traces_and_its_code_goes_in(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with collecting(monkeypatch) as collector:

        def failing() -> None:
            with telemetry.command_span("orchestrator task show"):
                telemetry.name_failure("PLAYBOOK_FAILED")
                trace.get_current_span().set_attribute("url.query", SECRET)
                raise ValueError(SECRET)

        with pytest.raises(ValueError, match="said"):
            failing()
        await asyncio.to_thread(telemetry.flush)
        [span] = [span for span in collector.spans if span.name == "orchestrator task show"]
        assert [(one.key, one.value.string_value) for one in span.attributes] == [
            ("orchestrator.error_code", "PLAYBOOK_FAILED")
        ]
        assert SECRET.encode() not in b"".join(collector.bodies)


async def test_a_failed_activity_is_counted_by_its_code_and_logged_with_whose_work_it_was(tmp_path: Path) -> None:
    create_if_absent(tmp_path / "keys.json")
    address = f"127.0.0.1:{any_free()}"
    runtime = Runtime(
        telemetry=TelemetryConfig(metrics=PrometheusConfig(bind_address=address, counters_total_suffix=True))
    )
    configure_logging(Settings(home=tmp_path, log_json=True), "workers", file=tmp_path / "log")
    failures = iter([ErrorCode.DATABASE_UNREACHABLE])

    @activity.defn(name="test.echo")
    async def fail_once(text: str) -> str:
        if code := next(failures, None):
            raise OrchestratorError(code, "The database is away.", error_class=ErrorClass.TRANSIENT)
        return text

    async with running_temporal_server(tmp_path / "temporal") as server:
        settings = Settings(home=tmp_path, temporal_port=int(server.rpartition(":")[2]))
        client = await connect(settings, keyring=KeyRing.load(tmp_path / "keys.json"), runtime=runtime)
        queue, workflow_id = f"q-{uuid4().hex}", f"engineering/eng-{uuid4().hex[:12]}"
        async with Worker(
            client,
            task_queue=queue,
            workflows=[ConversationWorkflow],
            activities=[fail_once],
            interceptors=[ErrorTranslation()],
        ):
            handle = await client.start_workflow(ConversationWorkflow.run, "hello", id=workflow_id, task_queue=queue)
            await until(lambda: handle.query(ConversationWorkflow.transcript))
            await handle.signal(ConversationWorkflow.say, "stop")
            await handle.result()
        async with httpx.AsyncClient() as prometheus:
            text = (await prometheus.get(f"http://{address}/metrics")).text
    [line] = [line for line in text.splitlines() if line.startswith("orchestrator_activity_failures_total{")]
    assert 'code="DATABASE_UNREACHABLE"' in line
    assert 'activity_type="test.echo"' in line
    assert line.endswith(" 1")
    [record] = [json.loads(one) for one in (tmp_path / "log").read_text().splitlines() if "activity failed" in one]
    assert record["workflow_id"] == workflow_id
    assert record["task_id"] == workflow_id.removeprefix("engineering/")
