"""Talking to running workflows through the Temporal client of this worker process."""

from datetime import timedelta
from typing import TypeVar

from pydantic import BaseModel
from temporalio.client import (
    Client,
    WorkflowContinuedAsNewError,
    WorkflowExecutionDescription,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowUpdateFailedError,
    WorkflowUpdateHandle,
    WorkflowUpdateRPCTimeoutOrCancelledError,
    WorkflowUpdateStage,
)
from temporalio.common import SearchAttributeKey
from temporalio.exceptions import ActivityError, ApplicationError, ChildWorkflowError
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
from contracts.maintenance import Ending, WorkflowEnding
from contracts.names import SearchAttribute, UpdateName
from contracts.steps import Done
from runtime.temporal.converter import ACCEPTED_UPDATE_ENDED

_RPC_TIMEOUT = timedelta(seconds=5)
_TASK_ID = SearchAttributeKey.for_keyword(SearchAttribute.TASK_ID)
_RESULTS = ("deployed_url", "commit_sha", "release_id", "branch", "server_ip", "port", "summary")
_HOW: dict[WorkflowExecutionStatus | None, Ending] = {
    WorkflowExecutionStatus.COMPLETED: "completed",
    WorkflowExecutionStatus.FAILED: "failed",
    WorkflowExecutionStatus.CANCELED: "cancelled",
    WorkflowExecutionStatus.TERMINATED: "terminated",
    WorkflowExecutionStatus.TIMED_OUT: "timed_out",
}
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

    async def ending(self, workflow_id: str, run_id: str) -> WorkflowEnding | None:
        """How a run ended, or the newest one that continued it; None while one of them is open.

        A later start of the same id is another chain: it knows nothing of the earlier one's tasks.
        """
        run = await self._described(workflow_id, run_id or None)
        if run is not None and run.status is WorkflowExecutionStatus.RUNNING:
            return None
        newest = await self._described(workflow_id, None)
        continues = newest is not None and (run is None or _chain(newest) == _chain(run))
        if newest is not None and continues and newest.status is WorkflowExecutionStatus.RUNNING:
            return None
        ended = newest if run is not None and continues else run
        return WorkflowEnding(how="missing") if ended is None else await self._ending_of(ended)

    async def _described(self, workflow_id: str, run_id: str | None) -> WorkflowExecutionDescription | None:
        handle = self._client.get_workflow_handle(workflow_id, run_id=run_id)
        try:
            return await handle.describe(rpc_timeout=_RPC_TIMEOUT)
        except RPCError as error:
            if error.status in _GONE:
                return None
            raise _no_answer(error.message, workflow_id) from error

    async def _ending_of(self, run: WorkflowExecutionDescription) -> WorkflowEnding:
        task_id = run.typed_search_attributes.get(_TASK_ID)
        ending = WorkflowEnding(how=_HOW.get(run.status, "missing"), task_id=task_id)
        handle = self._client.get_workflow_handle(run.id, run_id=run.run_id)
        try:
            result = await handle.result(follow_runs=False, rpc_timeout=_RPC_TIMEOUT)
        except WorkflowFailureError as error:
            return ending.model_copy(update=_words(error.cause))
        except RPCError as error:
            raise _no_answer(error.message, run.id) from error
        except WorkflowContinuedAsNewError:
            return ending
        except (OrchestratorError, ApplicationError) as error:
            # The second is what the converter raises in an activity. Nobody can tell that such an end is ours.
            code = error.type if isinstance(error, ApplicationError) else error.code.value
            return ending.model_copy(update={"how": "failed", "code": code, "message": error.message})
        if result is None:
            # No workflow of ours ends without a word: somebody else has ended it.
            return ending.model_copy(update={"how": "terminated"})
        return ending.model_copy(update={"result": _plain(result)})

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


def _chain(run: WorkflowExecutionDescription) -> str:
    """The first run of those that continue each other: by continue-as-new, or by a reset."""
    return run.raw_description.workflow_execution_info.first_run_id or run.run_id


def _words(cause: BaseException | None) -> dict[str, str | None]:
    while isinstance(cause, ActivityError | ChildWorkflowError) and cause.__cause__ is not None:
        cause = cause.__cause__
    if isinstance(cause, ApplicationError):
        return {"code": cause.type, "message": cause.message}
    return {}


def _plain(result: object) -> dict[str, str | int | None]:
    """What is shown of a task's result, as the workflows themselves project it."""
    known = result if isinstance(result, dict) else {}
    return {name: value for name in _RESULTS if isinstance(value := known.get(name), str | int)}


def _refused(error: WorkflowUpdateFailedError) -> OrchestratorError:
    cause = error.cause
    if isinstance(cause, ApplicationError) and cause.type == ACCEPTED_UPDATE_ENDED:
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
