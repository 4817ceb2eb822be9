"""Cancelling a child workflow that may have continued as new."""

from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError


async def cancel_in_any_run(child: workflow.ChildWorkflowHandle[Any, Any], workflow_id: str) -> None:
    """Ask the child to cancel, and wait until it has ended; raises what it ended with.

    The handle's own `cancel` names the child's first run, and the server takes that as done when the run has ended.
    """
    try:
        await workflow.get_external_workflow_handle(workflow_id).cancel()
    except ApplicationError:
        workflow.logger.info("the child had ended before it could be cancelled", extra={"child": workflow_id})
    await child
