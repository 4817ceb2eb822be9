"""The baseline: what an engineer would write by hand on Temporal alone for the steps of the engineering flow.

The same codec, one child, and the activities of the real flow in its order and with its concurrency: seven small
writes beside the work, eleven steps of which one talks to the child by an update. Payloads have about the size of the
real ones. Nothing else: no graph, no models, no search attributes, no details, no summaries, no heartbeats, no errors
of our own. Pollers and cache are those of the product.
"""

from __future__ import annotations

import asyncio
import compileall
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.worker import PollerBehaviorAutoscaling, Worker, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

FLOW_QUEUE = "bare"
WORK_QUEUE = "bare-work"

# Bytes of text in a message, so that the events are about as large as those of the real flow.
_PROJECTION, _STEP, _STATE, _TASK_FILE = 650, 350, 1500, 600

_SOON = timedelta(seconds=20)


@dataclass
class Parcel:
    """What goes in and out of everything here."""

    flow: str
    text: str = ""


@workflow.defn(name="bare-agent")
class BareAgent:
    """The child: prepare, write a file, one turn on request, remove on request."""

    def __init__(self) -> None:
        self._asked = self._answered = self._closed = False
        self._answer = ""

    @workflow.run
    async def run(self, order: Parcel) -> Parcel:
        await _work("bare.prepare", order.flow)
        await _work("bare.write", order.flow, _TASK_FILE)
        await workflow.wait_condition(lambda: self._asked)
        await _work("bare.turn", order.flow)
        self._answer = (await _work("bare.push", order.flow)).text
        self._answered = True
        await workflow.wait_condition(lambda: self._closed)
        await _work("bare.remove", order.flow)
        await workflow.wait_condition(workflow.all_handlers_finished)
        return order

    @workflow.update
    async def ask(self, order: Parcel) -> Parcel:
        self._asked = True
        await workflow.wait_condition(lambda: self._answered)
        return Parcel(order.flow, self._answer)

    @workflow.update
    def close(self, order: Parcel) -> Parcel:
        self._closed = True
        return order


@workflow.defn(name="bare-engineering")
class BareEngineering:
    """The parent. Small writes leave in order beside the work, as in the real flow."""

    def __init__(self) -> None:
        self._outbox: list[str] = []
        self._pump: asyncio.Task[None] | None = None

    @workflow.run
    async def run(self, order: Parcel) -> Parcel:
        flow = order.flow
        await _note(flow, "started")
        self._tell(flow, "scaffolding")
        await _work("bare.scaffold", flow)
        self._tell(flow, "scaffolded")
        child = await workflow.start_child_workflow(BareAgent.run, Parcel(flow, "c" * _STATE), id=f"bare-agent/{flow}")
        self._tell(flow, "developing")
        await _work("bare.develop", flow, _STATE)
        self._tell(flow, "testing")
        await _work("bare.verify", flow, _STATE)
        self._tell(flow, "publishing")
        await _work("bare.publish", flow, _STATE)
        await _short("bare.close", Parcel(flow, "x" * _STEP))
        await child
        if self._pump is not None:
            await self._pump
        await _note(flow, "completed")
        return order

    def _tell(self, flow: str, stage: str) -> None:
        self._outbox.append(stage)
        if self._pump is None or self._pump.done():
            self._pump = asyncio.create_task(self._drain(flow))

    async def _drain(self, flow: str) -> None:
        while self._outbox:
            await _note(flow, self._outbox.pop(0))


async def _note(flow: str, stage: str) -> None:
    await _short("bare.note", Parcel(flow, stage + "n" * _PROJECTION))


async def _short(name: str, parcel: Parcel) -> Parcel:
    result: Parcel = await workflow.execute_activity(name, parcel, start_to_close_timeout=_SOON, result_type=Parcel)
    return result


async def _work(name: str, flow: str, size: int = _STEP) -> Parcel:
    result: Parcel = await workflow.execute_activity(
        name,
        Parcel(flow, "w" * size),
        task_queue=WORK_QUEUE,
        start_to_close_timeout=_SOON,
        result_type=Parcel,
    )
    return result


class BareActivities:
    """Steps that take no time."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def all(self) -> list[Any]:
        names = ("note", "prepare", "write", "turn", "push", "remove", "scaffold", "verify", "publish")
        return [self.develop, self.close, *(_step(f"bare.{name}") for name in names)]

    @activity.defn(name="bare.develop")
    async def develop(self, parcel: Parcel) -> Parcel:
        return await self._update(BareAgent.ask, parcel)

    @activity.defn(name="bare.close")
    async def close(self, parcel: Parcel) -> Parcel:
        return await self._update(BareAgent.close, parcel)

    async def _update(self, update: Any, parcel: Parcel) -> Parcel:  # noqa: ANN401 - the SDK's own type is private
        handle = self._client.get_workflow_handle(f"bare-agent/{parcel.flow}")
        answer: Parcel = await handle.execute_update(update, Parcel(parcel.flow, "u" * _STEP))
        return answer


def _step(name: str) -> Any:  # noqa: ANN401 - an activity
    @activity.defn(name=name)
    async def step(parcel: Parcel) -> Parcel:
        return Parcel(parcel.flow, "r" * 40)

    return step


@dataclass(frozen=True)
class Bare:
    """Runs the yardstick."""

    client: Client

    async def flow(self) -> str:
        """One flow from start to result; returns the workflow id."""
        flow = uuid4().hex[:12]
        workflow_id = f"bare-engineering/{flow}"
        await self.client.execute_workflow(
            BareEngineering.run, Parcel(flow, "i" * 600), id=workflow_id, task_queue=FLOW_QUEUE
        )
        return workflow_id


@asynccontextmanager
async def bare(client: Client, max_cached_workflows: int, runner: WorkflowRunner | None = None) -> AsyncIterator[Bare]:
    """Its Temporal workers, until the block ends; with the SDK's own sandbox unless another is given.

    The sandbox finds the code compiled, as it does the product's.
    """
    compileall.compile_file(__file__, quiet=2)
    async with AsyncExitStack() as stack:
        for queue in (FLOW_QUEUE, WORK_QUEUE):
            worker = Worker(
                client,
                task_queue=queue,
                workflows=[BareEngineering, BareAgent] if queue == FLOW_QUEUE else [],
                activities=BareActivities(client).all(),
                workflow_runner=runner or SandboxedWorkflowRunner(),
                max_cached_workflows=max_cached_workflows,
                workflow_task_poller_behavior=PollerBehaviorAutoscaling(),
                activity_task_poller_behavior=PollerBehaviorAutoscaling(),
            )
            await stack.enter_async_context(worker)
        yield Bare(client)
