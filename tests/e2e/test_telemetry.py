"""One trace from a person's command to the last write of an activity, in a real collector; and logs that lead there."""

import itertools
import json

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from tests.e2e.conftest import Traced
from tests.support.eventually import eventually
from tests.support.stack import Stack

pytestmark = pytest.mark.timeout(400)

WISH = "A library with books: title, author, year:int"
VALUE = "canary-of-the-telemetry-test"
CLI, API, WORKERS = "orchestrator-cli", "orchestrator-api", "orchestrator-workers"


async def trace_of(traced: Traced, command: str) -> list[tuple[str, Span]]:
    """Every span of the trace that a command began, once its last one has come."""

    def whole() -> list[tuple[str, Span]]:
        spans = traced.collector.spans_of
        traces = {span.trace_id for service, span in spans if service == CLI and span.name == command}
        assert len(traces) <= 1, f"{command} was run once"
        found = [(service, span) for service, span in spans if span.trace_id in traces]
        return found if any(span.name == "CompleteWorkflow:engineering" for _, span in found) else []

    return await eventually(whole, 60, message=f"the trace of {command}")


async def test_one_trace_spans_the_command_the_api_the_workflow_its_activities_and_their_requests(
    without_docker: Traced,
) -> None:
    traced, stack = without_docker, without_docker.stack
    project = await stack.new_project()
    await stack.ok("secret", "set", project, "TOKEN_OF_A_SHOP", stdin=VALUE)
    command = ("engineering", "start", "--project", project, WISH, "--json")
    traced.collector.bodies.clear()
    started = await stack.cli(*command)
    assert started.code == 0, started.err
    task_id = started.json["task_id"]
    assert (await stack.finished(task_id))["state"] == "completed"
    trace = await trace_of(traced, "orchestrator engineering start")

    def ids(which: tuple[str, str], attribute: str) -> set[bytes]:
        return {getattr(span, attribute) for service, span in trace if (service, span.name) == which}

    starter = (API, "StartWorkflow:engineering")
    chain = [
        (CLI, "orchestrator engineering start"),
        (API, "POST /engineering"),
        starter,
        # What a workflow does is put below its start: the span of its run is sent by whichever worker ends it.
        (WORKERS, "StartActivity:projection.apply"),
        (WORKERS, "RunActivity:projection.apply"),
        (API, "PUT /internal/projections"),
    ]
    for above, below in itertools.pairwise(chain):
        assert ids(above, "span_id") & ids(below, "parent_span_id"), f"{below} is not below {above}"
    assert ids(starter, "span_id") & ids((WORKERS, "RunWorkflow:engineering"), "parent_span_id")
    assert ids((WORKERS, "RunWorkflow:agent-worker"), "span_id"), "and the child"

    _nothing_is_said(traced, task_id)
    _logs_lead_to(stack, trace[0][1].trace_id.hex(), task_id, project)


def _nothing_is_said(traced: Traced, task_id: str) -> None:
    sent = b"".join(traced.collector.bodies)
    for kept_out in (WISH, "books", VALUE, traced.stack.admin_key()):
        assert kept_out.encode() not in sent, kept_out
    assert task_id.encode() in sent, "names and ids are what traces are for"


def _logs_lead_to(stack: Stack, trace_id: str, task_id: str, project: str) -> None:
    by_workers = [line for line in _records(stack, "workers") if line.get("trace_id") == trace_id]
    of_activities = [line for line in by_workers if line.get("activity")]
    assert of_activities, "activities of a task write what they do"
    for line in of_activities:
        assert line["workflow_id"].endswith(task_id), line
        assert (line["task_id"], line["project_id"]) == (task_id, project), line
    requests = [line for line in _records(stack, "api") if line.get("event") == "request"]
    shown = [line for line in requests if line["path"] == f"/tasks/{task_id}"]
    assert shown
    assert all(line["task_id"] == task_id and line["trace_id"] and line["request_id"] for line in shown)


def _records(stack: Stack, part: str) -> list[dict[str, str]]:
    lines = (stack.home / "logs" / f"{part}.log").read_text().splitlines()
    return [json.loads(line) for line in lines if line.startswith("{")]
