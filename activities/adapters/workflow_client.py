"""Talking to running workflows through the Temporal client of this worker process."""

from typing import TypeVar

from pydantic import BaseModel
from temporalio.client import (
    Client,
    WorkflowUpdateFailedError,
    WorkflowUpdateHandle,
    WorkflowUpdateRPCTimeoutOrCancelledError,
    WorkflowUpdateStage,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from contracts import ids
from contracts.agent_workers import (
    DeleteWorkerCommand,
    DeleteWorkerResponse,
    SendMessageCommand,
    SendMessageResponse,
)
from contracts.departments import DeployMessage, DeployResult
from contracts.errors import ErrorClass, ErrorCode, OrchestratorError
from contracts.names import UpdateName
from contracts.steps import Done

_GONE = frozenset({RPCStatusCode.NOT_FOUND})
_Model = TypeVar("_Model", bound=BaseModel)


class TemporalWorkflowClient:
    """Implements `activities.ports.WorkflowClient`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def send_message(self, command: SendMessageCommand) -> SendMessageResponse:
        """Send one message; the update's id is the request id, so that a second call attaches to the first."""
        workflow_id = ids.agent_worker_workflow_id(command.worker_id)
        return await self._update(
            workflow_id, UpdateName.SEND_MESSAGE, command, command.request_id, SendMessageResponse
        )

    async def delete_worker(self, worker_id: str, request_id: str) -> None:
        """Let an agent worker end; one that has ended already is what was wanted."""
        command = DeleteWorkerCommand(request_id=request_id, worker_id=worker_id)
        workflow_id = ids.agent_worker_workflow_id(worker_id)
        try:
            await self._update(workflow_id, UpdateName.DELETE, command, request_id, DeleteWorkerResponse)
        except OrchestratorError as error:
            if error.code is not ErrorCode.WORKFLOW_NOT_RUNNING:
                raise

    async def join_deploy(self, message: DeployMessage) -> DeployResult:
        """Hand a message to the running deploy of its project and wait for its result."""
        workflow_id = ids.deploy_workflow_id(message.project_slug)
        return await self._update(workflow_id, UpdateName.OUTCOME, message, message.request_id, DeployResult)

    async def withdraw_deploy(self, message: DeployMessage) -> None:
        """Take a message back; a run that has ended has nothing of it any more."""
        workflow_id = ids.deploy_workflow_id(message.project_slug)
        try:
            await self._update(workflow_id, UpdateName.WITHDRAW, message, f"{message.request_id}/withdraw", Done)
        except OrchestratorError as error:
            if error.code is not ErrorCode.WORKFLOW_NOT_RUNNING:
                raise

    async def _update(
        self, workflow_id: str, name: str, argument: BaseModel, update_id: str, result_type: type[_Model]
    ) -> _Model:
        handle = self._client.get_workflow_handle(workflow_id)
        try:
            update: WorkflowUpdateHandle[_Model] = await handle.start_update(
                name,
                argument,
                id=update_id,
                wait_for_stage=WorkflowUpdateStage.COMPLETED,
                result_type=result_type,
            )
            return await update.result()
        except WorkflowUpdateFailedError as error:
            raise _refused(error) from error
        except WorkflowUpdateRPCTimeoutOrCancelledError as error:
            raise _no_answer(str(error), workflow_id) from error
        except RPCError as error:
            raise _unreachable(error, workflow_id) from error


def _refused(error: WorkflowUpdateFailedError) -> OrchestratorError:
    cause = error.cause
    if isinstance(cause, ApplicationError) and cause.type == "AcceptedUpdateCompletedWorkflow":
        return OrchestratorError(ErrorCode.WORKFLOW_NOT_RUNNING, "The workflow ended before it answered.")
    if isinstance(cause, ApplicationError) and cause.type and cause.type in ErrorCode.__members__:
        code = ErrorCode(cause.type)
        kind = ErrorClass.TRANSIENT if code is ErrorCode.WORKFLOW_BUSY else ErrorClass.PERMANENT
        return OrchestratorError(code, cause.message, error_class=kind)
    return OrchestratorError(ErrorCode.INTERNAL, f"The workflow refused: {cause}", error_class=ErrorClass.FATAL)


def _unreachable(error: RPCError, workflow_id: str) -> OrchestratorError:
    if error.status in _GONE:
        return OrchestratorError(
            ErrorCode.WORKFLOW_NOT_RUNNING, "The workflow has ended.", details={"workflow_id": workflow_id}
        )
    return _no_answer(error.message, workflow_id)


def _no_answer(why: str, workflow_id: str) -> OrchestratorError:
    return OrchestratorError(
        ErrorCode.TEMPORAL_UNREACHABLE,
        f"The Temporal server does not answer: {why}",
        error_class=ErrorClass.TRANSIENT,
        details={"workflow_id": workflow_id},
    )
