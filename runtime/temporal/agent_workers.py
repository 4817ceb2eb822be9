"""What people do with agent workers, as calls of their workflows."""

import asyncio
from collections.abc import Sequence
from typing import Self

from temporalio.client import (
    WorkflowUpdateHandle,
    WorkflowUpdateRPCTimeoutOrCancelledError,
    WorkflowUpdateStage,
)
from temporalio.common import SearchAttributePair, TypedSearchAttributes, WorkflowIDReusePolicy
from temporalio.converter import WorkflowSerializationContext
from temporalio.exceptions import WorkflowAlreadyStartedError

from contracts import ids
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
from contracts.base import Contract
from contracts.errors import ErrorCode, OrchestratorError
from contracts.names import ActivityName, SearchAttribute, UpdateName, WorkflowName
from runtime.temporal.calls import RPC_TIMEOUT, UPDATE_TIMEOUT, Model, WorkflowCalls, keyword, translating

_ToWorker = SendMessageCommand | SendFileCommand | SteerWorkerCommand | StopTurnCommand | DeleteWorkerCommand


class RunningTurn(Contract):
    """What the activity of a turn has said last: its container, the bytes of output that are reported, the agent's
    session and what it has cost so far in US dollars. Whatever has not been said is None."""

    container: str | None = None
    offset: int | None = None
    session_id: str | None = None
    cost_usd: float | None = None

    @classmethod
    def of(cls, details: Sequence[object]) -> Self:
        """From the details of a heartbeat: the offset, and a mapping with the rest."""
        offset = next((one for one in details[:1] if isinstance(one, int)), None)
        known = next((one for one in details[1:2] if isinstance(one, dict)), {})
        return cls(
            offset=offset,
            container=_text_of(known.get("container") or known.get("process")),
            session_id=_text_of(known.get("session")),
            cost_usd=cost if isinstance(cost := known.get("cost_usd"), int | float) else None,
        )


def _text_of(value: object) -> str | None:
    return value[:200] if isinstance(value, str) and value else None


class AgentWorkerCalls(WorkflowCalls):
    """The part of `Gateway` that is about agent workers."""

    async def start_worker(self, run: AgentWorkerRun) -> str:
        """Start an agent worker; the same id again is the same start. Returns the id of the workflow's run."""
        known = {SearchAttribute.PROJECT_ID: run.context.get("project_id"), SearchAttribute.USER_ID: str(run.user_id)}
        pairs = [SearchAttributePair(keyword(name), value) for name, value in known.items() if value]
        try:
            return await self._start_with(
                WorkflowName.AGENT_WORKER,
                ids.agent_worker_workflow_id(str(run.worker_id)),
                run,
                TypedSearchAttributes(pairs),
                f"Agent worker ({run.config.agent.value}): {run.config.name}",
                f"Of user {run.user_id}.",
                WorkflowIDReusePolicy.REJECT_DUPLICATE,
            )
        except WorkflowAlreadyStartedError as error:
            return error.run_id or ""

    async def send_worker_message(self, command: SendMessageCommand, wait_s: float) -> SendMessageResponse | None:
        """Give an agent worker a message; the answer, or None if its turn has not ended after `wait_s` seconds.

        The update's id is the request id: a second call attaches to the first.
        """
        workflow_id = ids.agent_worker_workflow_id(command.worker_id)
        handle = self._client.get_workflow_handle(workflow_id)
        with translating(workflow_id):
            update: WorkflowUpdateHandle[SendMessageResponse] = await handle.start_update(
                UpdateName.SEND_MESSAGE,
                command,
                id=command.request_id,
                wait_for_stage=WorkflowUpdateStage.ACCEPTED,
                result_type=SendMessageResponse,
                rpc_timeout=UPDATE_TIMEOUT,
            )
            try:
                async with asyncio.timeout(wait_s):
                    return await update.result()
            except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError):
                # The second is what the SDK makes of the cancellation by which the first ends it.
                return None

    async def send_worker_file(self, command: SendFileCommand) -> SendFileResponse:
        """Write a file into the workspace of an agent worker."""
        return await self._to_worker(UpdateName.SEND_FILE, command, SendFileResponse)

    async def steer_worker(self, command: SteerWorkerCommand) -> SteerWorkerResponse:
        """Give the running turn a message."""
        return await self._to_worker(UpdateName.STEER, command, SteerWorkerResponse)

    async def stop_worker_turn(self, command: StopTurnCommand) -> StopTurnResponse:
        """Stop the running turn."""
        return await self._to_worker(UpdateName.STOP, command, StopTurnResponse)

    async def delete_worker(self, command: DeleteWorkerCommand) -> DeleteWorkerResponse:
        """End an agent worker; one that has ended already is what was wanted."""
        try:
            return await self._to_worker(UpdateName.DELETE, command, DeleteWorkerResponse)
        except OrchestratorError as error:
            if error.code is not ErrorCode.WORKFLOW_NOT_RUNNING:
                raise
            return DeleteWorkerResponse(request_id=command.request_id, success=True)

    async def running_turn(self, workflow_id: str) -> RunningTurn | None:
        """What the activity of an agent's turn has said with its last heartbeat; None without one."""
        with translating(workflow_id):
            found = await self._client.get_workflow_handle(workflow_id).describe(rpc_timeout=RPC_TIMEOUT)
        for one in found.raw_description.pending_activities:
            if one.activity_type.name == ActivityName.AGENT_RUN_TURN and one.HasField("heartbeat_details"):
                context = WorkflowSerializationContext(namespace=self._client.namespace, workflow_id=workflow_id)
                converter = self._client.data_converter.with_context(context)
                return RunningTurn.of(await converter.decode(one.heartbeat_details.payloads))
        return None

    async def _to_worker(self, name: str, command: _ToWorker, result_type: type[Model]) -> Model:
        workflow_id = ids.agent_worker_workflow_id(command.worker_id)
        return await self._update(workflow_id, name, command, command.request_id, result_type)
