"""Started work as the API shows it."""

from api.auth import Caller
from api.gateway import GatewayLink
from api.tables import TaskRow
from contracts.nouns import StartedTask


def started(task: StartedTask, caller: Caller) -> StartedTask:
    """With the link to the Web UI for those who may open it."""
    return task if caller.sees_all else task.model_copy(update={"web_url": None})


def joined_task(row: TaskRow, gateway: GatewayLink, caller: Caller) -> StartedTask:
    """A task that an earlier, equal request has started."""
    web_url = gateway.web_url(row.workflow_id, row.run_id or None) if caller.sees_all else None
    return StartedTask(task_id=row.id, workflow_id=row.workflow_id, joined=True, web_url=web_url)
