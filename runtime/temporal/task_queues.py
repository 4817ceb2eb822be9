"""What the Temporal server knows of task queues: who polls them, what waits in them, and which workflows wait on them.

The server is asked, nothing is judged here: whether a worker still lives depends on how its signs change over time.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from pydantic import AwareDatetime, Field
from temporalio.api.enums.v1 import PendingWorkflowTaskState, TaskQueueType, WorkerStatus
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.worker.v1 import WorkerHeartbeat
from temporalio.api.workflow.v1 import PendingActivityInfo
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest, DescribeTaskQueueResponse, ListWorkersRequest
from temporalio.client import Client, WorkflowExecutionDescription
from temporalio.common import SearchAttributeKey
from temporalio.service import RPCError, RPCStatusCode

from contracts.base import Contract
from contracts.names import Queue, SearchAttribute, WorkflowName

_RPC_TIMEOUT = timedelta(seconds=5)
_PAGE = 500
MAX_WORKFLOWS = 500
"""Open workflows that are described in one scan; a scan of that many takes about a second."""

_WORK = f"ExecutionStatus = 'Running' AND WorkflowType != '{WorkflowName.MAINTENANCE}'"
"""What people wait for. Maintenance always waits for its next round."""

_AT_ONCE = 8
_TASK_ID = SearchAttributeKey.for_keyword(SearchAttribute.TASK_ID)
_KINDS = (TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY)


class WorkerFacts(Contract):
    """One Temporal worker that announces itself. `beat_at` is its newest heartbeat, by its own clock.

    `polling` is False once it has said that it is shutting down.
    """

    key: str
    queue: str
    beat_at: AwareDatetime
    polling: bool


class QueueFacts(Contract):
    """One task queue. `backlog` and `oldest_waiting_s` cover workflow and activity tasks; both are approximate."""

    name: str
    workers: list[WorkerFacts] = Field(default_factory=list)
    workflow_pollers: int = 0
    activity_pollers: int = 0
    polled_at: AwareDatetime | None = None
    backlog: int = 0
    oldest_waiting_s: float | None = None


class QueueWait(Contract):
    """A workflow that cannot continue until a Temporal worker polls `queue`; `since` is when that step was scheduled.

    `task_ids` and `workflow_ids` name it and every workflow above it.
    """

    queue: str
    since: AwareDatetime
    workflow_ids: list[str]
    task_ids: list[str]


class QueueWaits(Contract):
    """`complete` is False when there were more open workflows than one scan looks at."""

    items: list[QueueWait]
    complete: bool = True


async def read_facts(client: Client, names: Iterable[str] = Queue.ALL) -> list[QueueFacts]:
    """The queues of `names` and those that any worker announces. Raises RPCError."""
    workers = await _workers(client)
    by_queue: defaultdict[str, list[WorkerFacts]] = defaultdict(list)
    for worker in workers:
        by_queue[worker.queue].append(worker)
    wanted = list(dict.fromkeys([*names, *by_queue]))
    return list(await asyncio.gather(*(_facts(client, name, by_queue[name]) for name in wanted)))


async def read_waits(client: Client, queues: Iterable[str]) -> QueueWaits:
    """Which open workflows wait on one of `queues`. Raises RPCError."""
    wanted, gate = frozenset(queues), asyncio.Semaphore(_AT_ONCE)

    async def describe(workflow_id: str, run_id: str) -> WorkflowExecutionDescription | None:
        async with gate:
            return await _described(client, workflow_id, run_id)

    found = [
        (item.id, item.run_id)
        async for item in client.list_workflows(_WORK, limit=MAX_WORKFLOWS, rpc_timeout=_RPC_TIMEOUT)
    ]
    described = await asyncio.gather(*(describe(*execution) for execution in found))
    known = {item.id: item for item in described if item is not None}
    items = [wait for item in known.values() if (wait := _wait(item, wanted, known)) is not None]
    return QueueWaits(items=items, complete=len(found) < MAX_WORKFLOWS)


async def _workers(client: Client) -> list[WorkerFacts]:
    found, token = list[WorkerFacts](), b""
    while True:
        request = ListWorkersRequest(namespace=client.namespace, page_size=_PAGE, next_page_token=token)
        try:
            reply = await client.workflow_service.list_workers(request, timeout=_RPC_TIMEOUT)
        except RPCError as error:
            if error.status == RPCStatusCode.UNIMPLEMENTED:
                # an older server knows pollers only
                return []
            raise
        # `workers` is the newer field, and says nothing of heartbeats
        found += [_worker(info.worker_heartbeat) for info in reply.workers_info]
        token = reply.next_page_token
        if not token:
            return found


def _worker(beat: WorkerHeartbeat) -> WorkerFacts:
    return WorkerFacts(
        key=beat.worker_instance_key,
        queue=beat.task_queue,
        beat_at=beat.heartbeat_time.ToDatetime(UTC),
        polling=beat.status in {WorkerStatus.WORKER_STATUS_UNSPECIFIED, WorkerStatus.WORKER_STATUS_RUNNING},
    )


async def _facts(client: Client, name: str, workers: Sequence[WorkerFacts]) -> QueueFacts:
    workflows, activities = await asyncio.gather(*(_described_queue(client, name, kind) for kind in _KINDS))
    polls = [info.last_access_time.ToDatetime(UTC) for found in (workflows, activities) for info in found.pollers]
    counts = [found.stats.approximate_backlog_count for found in (workflows, activities)]
    ages = [found.stats.approximate_backlog_age.ToTimedelta().total_seconds() for found in (workflows, activities)]
    return QueueFacts(
        name=name,
        workers=list(workers),
        workflow_pollers=len(workflows.pollers),
        activity_pollers=len(activities.pollers),
        polled_at=max(polls, default=None),
        backlog=max(0, sum(counts)),
        oldest_waiting_s=round(max(ages), 1) if sum(counts) > 0 else None,
    )


async def _described_queue(client: Client, name: str, kind: TaskQueueType.ValueType) -> DescribeTaskQueueResponse:
    request = DescribeTaskQueueRequest(
        namespace=client.namespace, task_queue=TaskQueue(name=name), task_queue_type=kind, report_stats=True
    )
    return await client.workflow_service.describe_task_queue(request, timeout=_RPC_TIMEOUT)


async def _described(client: Client, workflow_id: str, run_id: str) -> WorkflowExecutionDescription | None:
    try:
        return await client.get_workflow_handle(workflow_id, run_id=run_id).describe(rpc_timeout=_RPC_TIMEOUT)
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            return None
        raise


def _wait(
    item: WorkflowExecutionDescription, wanted: frozenset[str], known: dict[str, WorkflowExecutionDescription]
) -> QueueWait | None:
    steps = [step for step in _steps(item) if step[0] in wanted]
    if not steps:
        return None
    queue, since = min(steps, key=lambda step: step[1])
    above = list(_with_parents(item, known))
    tasks = [task for each in above if (task := each.typed_search_attributes.get(_TASK_ID))]
    return QueueWait(
        queue=queue,
        since=since,
        workflow_ids=[each.id for each in above],
        task_ids=list(dict.fromkeys(tasks)),
    )


def _steps(item: WorkflowExecutionDescription) -> list[tuple[str, datetime]]:
    """What is scheduled or running for a workflow: its queue and since when."""
    raw = item.raw_description
    steps = [(_queue_of(activity), _scheduled_at(activity)) for activity in raw.pending_activities]
    pending = raw.pending_workflow_task
    if pending.state != PendingWorkflowTaskState.PENDING_WORKFLOW_TASK_STATE_UNSPECIFIED:
        steps.append((item.task_queue, pending.original_scheduled_time.ToDatetime(UTC)))
    return steps


def _queue_of(activity: PendingActivityInfo) -> str:
    return activity.activity_options.task_queue.name


def _scheduled_at(activity: PendingActivityInfo) -> datetime:
    """When its attempt was (or will be) given to the queue; a started one says when it began."""
    moment = activity.scheduled_time if activity.HasField("scheduled_time") else activity.last_started_time
    return moment.ToDatetime(UTC)


def _with_parents(
    item: WorkflowExecutionDescription, known: dict[str, WorkflowExecutionDescription]
) -> Iterable[WorkflowExecutionDescription]:
    current: WorkflowExecutionDescription | None = item
    while current is not None:
        yield current
        current = known.get(current.parent_id) if current.parent_id else None
