"""How a workflow is started and told something over a Temporal client, and what that fails with, as our own errors."""

import contextlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any, TypeVar

from pydantic import BaseModel
from temporalio.client import (
    Client,
    WorkflowHandle,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import (
    SearchAttributeKey,
    TypedSearchAttributes,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from contracts.errors import ErrorClass, ErrorCode, OrchestratorError
from contracts.names import Queue
from runtime.temporal.converter import ACCEPTED_UPDATE_ENDED

RPC_TIMEOUT = timedelta(seconds=3.5)
"""A person is waiting and is told within five seconds: a server that is up answers in milliseconds."""

UPDATE_TIMEOUT = timedelta(seconds=20)
"""Updates need a live Temporal worker; hand-over after a dead one takes 2-10 s."""

Model = TypeVar("Model", bound=BaseModel)


class WorkflowCalls:
    """Calls by wire name over one Temporal client."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def _start_with(
        self,
        name: str,
        workflow_id: str,
        message: BaseModel,
        attributes: TypedSearchAttributes,
        summary: str,
        details: str,
        reuse: WorkflowIDReusePolicy,
    ) -> str:
        """Start a workflow; the id of its run."""
        try:
            started: WorkflowHandle[Any, Any] = await self._client.start_workflow(
                name,
                message,
                id=workflow_id,
                task_queue=Queue.ORCHESTRATOR,
                id_reuse_policy=reuse,
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                search_attributes=attributes,
                static_summary=one_line(summary),
                static_details=details,
                rpc_timeout=RPC_TIMEOUT,
            )
        except RPCError as error:
            raise translated(error, workflow_id) from error
        return str(started.first_execution_run_id)

    async def _update(
        self, workflow_id: str, name: str, command: BaseModel, update_id: str, result_type: type[Model]
    ) -> Model:
        handle = self._client.get_workflow_handle(workflow_id)
        with translating(workflow_id):
            answer: Any = await handle.execute_update(
                name, command, id=update_id, result_type=result_type, rpc_timeout=UPDATE_TIMEOUT
            )
        return result_type.model_validate(answer)


@contextlib.contextmanager
def translating(workflow_id: str) -> Iterator[None]:
    """What an update, or a look at a workflow, fails with, as our own errors."""
    try:
        yield
    except WorkflowUpdateFailedError as error:
        raise _from_failure(error) from error
    except WorkflowUpdateRPCTimeoutOrCancelledError as error:
        raise no_worker(workflow_id) from error
    except RPCError as error:
        raise translated(error, workflow_id) from error


def keyword(name: str) -> SearchAttributeKey[str]:
    return SearchAttributeKey.for_keyword(name)


def one_line(text: str) -> str:
    return " ".join(text.split())[:180]


def _from_failure(error: WorkflowUpdateFailedError) -> OrchestratorError:
    cause = error.cause
    if isinstance(cause, ApplicationError) and cause.type and cause.type in ErrorCode.__members__:
        return OrchestratorError(ErrorCode(cause.type), cause.message)
    if isinstance(cause, ApplicationError) and cause.type == ACCEPTED_UPDATE_ENDED:
        return OrchestratorError(ErrorCode.WORKFLOW_NOT_RUNNING, "This work has just ended.")
    return OrchestratorError(ErrorCode.INTERNAL, f"The workflow refused: {cause}", error_class=ErrorClass.FATAL)


def no_worker(workflow_id: str) -> OrchestratorError:
    return OrchestratorError(
        ErrorCode.WORKFLOW_BUSY,
        "The workflow has not answered yet, probably because no Temporal worker is running. Nothing is lost: "
        "check `orchestrator status`, then send the same again.",
        error_class=ErrorClass.TRANSIENT,
        details={"workflow_id": workflow_id},
    )


def translated(error: RPCError, subject: str) -> OrchestratorError:
    if error.status == RPCStatusCode.NOT_FOUND:
        return OrchestratorError(
            ErrorCode.WORKFLOW_NOT_RUNNING, "This work is not running any more.", details={"subject": subject}
        )
    if error.status in {RPCStatusCode.UNAVAILABLE, RPCStatusCode.DEADLINE_EXCEEDED, RPCStatusCode.CANCELLED}:
        return OrchestratorError(
            ErrorCode.TEMPORAL_UNREACHABLE,
            "The Temporal server does not answer. Start the platform with `orchestrator up`, or see "
            "`orchestrator doctor`.",
            error_class=ErrorClass.TRANSIENT,
            details={"subject": subject, "rpc": str(error)},
        )
    if error.status == RPCStatusCode.INVALID_ARGUMENT:
        return OrchestratorError(ErrorCode.INVALID_INPUT, f"Temporal refused the request: {error.message}")
    return OrchestratorError(
        ErrorCode.INTERNAL, f"Temporal answered {error.status.name}: {error.message}", error_class=ErrorClass.FATAL
    )
