"""Started work as the API shows it."""

from api.gateway import GatewayLink
from api.tables import TaskRow
from contracts.nouns import StartedTask


def joined_task(row: TaskRow, gateway: GatewayLink) -> StartedTask:
    """A task that an earlier, equal request has started."""
    web_url = gateway.web_url(row.workflow_id, row.run_id or None)
    return StartedTask(task_id=row.id, workflow_id=row.workflow_id, joined=True, web_url=web_url)
