"""The connection to workflows, made on first use: the API serves everything else while Temporal is down."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Protocol

from fastapi import Depends

from api.dependencies import part
from contracts.agent_workers import (
    AgentWorkerRun,
    DeleteWorkerCommand,
    DeleteWorkerResponse,
    SendFileCommand,
    SendFileResponse,
    SendMessageCommand,
    SendMessageResponse,
    SteerWorkerCommand,
    SteerWorkerResponse,
    StopTurnCommand,
    StopTurnResponse,
)
from contracts.departments import DeliveryMessage, DeployMessage, EngineeringMessage
from contracts.errors import OrchestratorError
from contracts.nouns import StartedTask
from contracts.questions import AnswerAccepted, AnswerCommand
from runtime.keyring import KeyRing
from runtime.settings import Settings
from runtime.temporal.agent_workers import RunningTurn
from runtime.temporal.client import connect
from runtime.temporal.gateway import Gateway, Work, WorkflowDescription
from runtime.temporal.task_queues import QueueFacts, QueueWaits


class WorkflowGateway(Protocol):
    """What the API needs of `runtime.temporal.gateway.Gateway`."""

    async def start_engineering(self, message: EngineeringMessage) -> StartedTask: ...

    async def start_delivery(self, message: DeliveryMessage) -> StartedTask: ...

    async def start_deploy(self, message: DeployMessage) -> StartedTask: ...

    async def answer(self, workflow_id: str, command: AnswerCommand, update_id: str) -> AnswerAccepted: ...

    async def cancel(self, workflow_id: str) -> None: ...

    async def withdraw_deploy(self, workflow_id: str, message: DeployMessage) -> None: ...

    async def start_worker(self, run: AgentWorkerRun) -> str: ...

    async def send_worker_message(self, command: SendMessageCommand, wait_s: float) -> SendMessageResponse | None: ...

    async def send_worker_file(self, command: SendFileCommand) -> SendFileResponse: ...

    async def steer_worker(self, command: SteerWorkerCommand) -> SteerWorkerResponse: ...

    async def stop_worker_turn(self, command: StopTurnCommand) -> StopTurnResponse: ...

    async def delete_worker(self, command: DeleteWorkerCommand) -> DeleteWorkerResponse: ...

    async def running_turn(self, workflow_id: str) -> RunningTurn | None: ...

    async def message_of(self, workflow_id: str, run_id: str, kind: type[Work]) -> Work | None: ...

    async def describe(self, workflow_id: str) -> WorkflowDescription | None: ...

    async def reachable(self) -> bool: ...

    async def queue_facts(self, names: Sequence[str]) -> list[QueueFacts]: ...

    async def queue_waits(self, queues: Sequence[str]) -> QueueWaits: ...

    def web_url_for(self, workflow_id: str, run_id: str | None = None) -> str: ...


class GatewayLink:
    """One gateway for the process; a failed connection is tried again by the next request that needs it."""

    def __init__(self, connect: Callable[[], Awaitable[WorkflowGateway]]) -> None:
        self._connect = connect
        self._gateway: WorkflowGateway | None = None
        self._attempt: asyncio.Future[WorkflowGateway] | None = None

    async def get(self) -> WorkflowGateway:
        """The gateway; raises OrchestratorError TEMPORAL_UNREACHABLE within five seconds.

        Requests that come at the same time share one attempt, so that none waits for the failures of others.
        """
        if self._gateway is None:
            if self._attempt is None or self._attempt.done():
                self._attempt = asyncio.ensure_future(self._connect())
            self._gateway = await asyncio.shield(self._attempt)
        return self._gateway

    async def reachable(self) -> bool:
        """Whether Temporal answers now."""
        try:
            return await (await self.get()).reachable()
        except OrchestratorError:
            return False

    def web_url(self, workflow_id: str, run_id: str | None) -> str | None:
        """The page of a workflow in the Web UI; None before the first connection."""
        return None if self._gateway is None else self._gateway.web_url_for(workflow_id, run_id)


GatewayDep = Annotated[GatewayLink, Depends(part("gateway"))]


def temporal_gateway(settings: Settings) -> Callable[[], Awaitable[WorkflowGateway]]:
    """Connects to Temporal when called. Without a key file for payloads it raises NOT_FOUND immediately."""
    keyring = KeyRing.load(settings.codec_key_file)

    async def connected() -> WorkflowGateway:
        return Gateway(await connect(settings, keyring=keyring, identity="api"), settings.web_ui_url)

    return connected


def fixed_gateway(gateway: WorkflowGateway) -> Callable[[], Awaitable[WorkflowGateway]]:
    """A gateway that is connected already."""

    async def connected() -> WorkflowGateway:
        return gateway

    return connected
