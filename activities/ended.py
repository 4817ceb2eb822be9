"""Steps whose effects people notice belong to open tasks only."""

from activities.ports import Platform
from contracts.errors import ErrorCode, OrchestratorError


async def refuse_if_ended(platform: Platform, task_id: str) -> None:
    """Raises CONFLICT for a task that has ended.

    Whoever reaches the Temporal server can have a workflow run again, and order one of its steps with a copy of its
    input under its own id. What that did is over: a service that was stopped once is not stopped again.
    """
    if await platform.has_ended(task_id):
        raise OrchestratorError(
            ErrorCode.CONFLICT, "This request has already been carried out; to repeat it, start another one."
        )
