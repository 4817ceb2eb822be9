"""Typed start, answer, cancel and look at workflows, by wire name: no workflow code is imported here.

One of the only two ways to talk to the platform; the other is `runtime.api_client`.
"""

import contextlib
from collections.abc import Sequence
from datetime import timedelta
from urllib.parse import quote

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import (
    Client,
    WorkflowExecutionStatus,
    WorkflowUpdateRPCTimeoutOrCancelledError,
    WorkflowUpdateStage,
)
from temporalio.common import (
    SearchAttributePair,
    TypedSearchAttributes,
    WorkflowIDReusePolicy,
)
from temporalio.converter import WorkflowSerializationContext
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_fixed

from contracts import ids
from contracts.base import Contract
from contracts.departments import DeliveryMessage, DeployMessage, EngineeringMessage
from contracts.errors import ErrorCode, OrchestratorError
from contracts.names import Queue, SearchAttribute, UpdateName, WorkflowName
from contracts.nouns import StartedTask
from contracts.questions import AnswerAccepted, AnswerCommand
from runtime.temporal import task_queues
from runtime.temporal.agent_workers import AgentWorkerCalls
from runtime.temporal.calls import (
    RPC_TIMEOUT,
    UPDATE_TIMEOUT,
    keyword,
    no_worker,
    one_line,
    translated,
)
from runtime.temporal.task_queues import QueueFacts, QueueWaits

_HEALTH_TIMEOUT = timedelta(seconds=2)
"""Whoever asks for health waits for several answers, and gives up after four seconds."""


Work = DeliveryMessage | EngineeringMessage


class WorkflowDescription(Contract):
    """What the Temporal server knows of one workflow. Times are ISO 8601, UTC.

    `project_id` and `task_id` are its search attributes; None when it has none.
    """

    workflow_id: str
    run_id: str
    type: str
    status: str
    started_at: str | None = None
    closed_at: str | None = None
    project_id: str | None = None
    task_id: str | None = None


class QueuePollers(Contract):
    """How many pollers a task queue has now, by kind of task."""

    queue: str
    workflow_pollers: int
    activity_pollers: int


class Gateway(AgentWorkerCalls):
    """Typed calls to workflows over one Temporal client."""

    def __init__(self, client: Client, web_url: str) -> None:
        super().__init__(client)
        self._web_url = web_url.rstrip("/")

    @property
    def client(self) -> Client:
        return self._client

    async def start_engineering(self, message: EngineeringMessage) -> StartedTask:
        """Start engineering; the same task id again is the same start."""
        workflow_id = ids.engineering_workflow_id(message.task_id)
        title = message.title or (message.spec.description if message.spec else "") or message.task_id
        return await self._start_once(WorkflowName.ENGINEERING, workflow_id, message, f"Engineering: {title}")

    async def start_delivery(self, message: DeliveryMessage) -> StartedTask:
        """Start a delivery; the same task id again is the same start."""
        workflow_id = ids.delivery_workflow_id(message.project_slug, message.task_id)
        title = message.title or message.spec.description or message.project_name
        return await self._start_once(WorkflowName.DELIVERY, workflow_id, message, f"Delivery: {title}")

    async def start_deploy(self, message: DeployMessage) -> StartedTask:
        """Start a deploy, or hand the message to the one that is running for the project."""
        retrying = AsyncRetrying(
            retry=retry_if_exception(_has_just_closed), stop=stop_after_attempt(5), wait=wait_fixed(0.1), reraise=True
        )
        return await retrying(self._start_or_submit, message)

    async def _start_or_submit(self, message: DeployMessage) -> StartedTask:
        workflow_id = ids.deploy_workflow_id(message.project_slug)
        try:
            await self._start(
                WorkflowName.DEPLOY,
                workflow_id,
                message,
                f"{message.action.value.capitalize()}: {message.project_name or message.project_id}",
                WorkflowIDReusePolicy.ALLOW_DUPLICATE,
            )
        except WorkflowAlreadyStartedError:
            return await self._update(workflow_id, UpdateName.SUBMIT, message, message.task_id, StartedTask)
        return self._started(message.task_id, workflow_id)

    async def answer(self, workflow_id: str, command: AnswerCommand, update_id: str) -> AnswerAccepted:
        """Answer a question. The same update id again is the same answer; the workflow validates it."""
        return await self._update(workflow_id, UpdateName.ANSWER, command, update_id, AnswerAccepted)

    async def cancel(self, workflow_id: str) -> None:
        """Ask a workflow to cancel; it confirms by its state once everything has been stopped."""
        try:
            await self._client.get_workflow_handle(workflow_id).cancel(rpc_timeout=RPC_TIMEOUT)
        except RPCError as error:
            raise translated(error, workflow_id) from error

    async def withdraw_deploy(self, workflow_id: str, message: DeployMessage) -> None:
        """Take one message back from the deploy of its project; what others have asked for continues.

        Returns when the workflow has taken it in, and the task confirms it. A repetition is the same withdrawal.
        """
        handle = self._client.get_workflow_handle(workflow_id)
        try:
            await handle.start_update(
                UpdateName.WITHDRAW,
                message,
                id=f"{message.task_id}/withdraw",
                wait_for_stage=WorkflowUpdateStage.ACCEPTED,
                rpc_timeout=UPDATE_TIMEOUT,
            )
        except WorkflowUpdateRPCTimeoutOrCancelledError as error:
            raise no_worker(workflow_id) from error
        except RPCError as error:
            raise translated(error, workflow_id) from error

    async def describe(self, workflow_id: str) -> WorkflowDescription | None:
        """What the server knows of a workflow; None when it knows nothing."""
        try:
            found = await self._client.get_workflow_handle(workflow_id).describe(rpc_timeout=RPC_TIMEOUT)
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:
                return None
            raise translated(error, workflow_id) from error
        status = found.status or WorkflowExecutionStatus.RUNNING
        return WorkflowDescription(
            workflow_id=found.id,
            run_id=found.run_id,
            type=found.workflow_type,
            status=status.name.lower(),
            started_at=found.start_time.isoformat(),
            closed_at=found.close_time.isoformat() if found.close_time else None,
            project_id=found.typed_search_attributes.get(keyword(SearchAttribute.PROJECT_ID)),
            task_id=found.typed_search_attributes.get(keyword(SearchAttribute.TASK_ID)),
        )

    async def message_of(self, workflow_id: str, run_id: str, kind: type[Work]) -> Work | None:
        """The message with which a run began; None when the server does not have it any more."""
        handle = self._client.get_workflow_handle(workflow_id, run_id=run_id or None)
        try:
            events = handle.fetch_history_events(page_size=1, rpc_timeout=RPC_TIMEOUT)
            first = await anext(events)
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:
                return None
            raise translated(error, workflow_id) from error
        context = WorkflowSerializationContext(namespace=self._client.namespace, workflow_id=workflow_id)
        converter = self._client.data_converter.with_context(context)
        sent = first.workflow_execution_started_event_attributes.input
        (message,) = await converter.decode_wrapper(sent, [kind])
        return kind.model_validate(message)

    async def pollers(self, queues: Sequence[str] = Queue.ALL) -> list[QueuePollers]:
        """Pollers of each queue, as the server has seen them lately."""
        return [
            QueuePollers(
                queue=queue,
                workflow_pollers=await self._count_pollers(queue, TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW),
                activity_pollers=await self._count_pollers(queue, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY),
            )
            for queue in queues
        ]

    async def queue_facts(self, names: Sequence[str] = Queue.ALL) -> list[QueueFacts]:
        """Workers, pollers and backlog of each queue, and of every other queue that a worker announces."""
        try:
            return await task_queues.read_facts(self._client, names)
        except RPCError as error:
            raise translated(error, "task queues") from error

    async def queue_waits(self, queues: Sequence[str]) -> QueueWaits:
        """Which open workflows wait on one of `queues`; a description per open workflow, so only for dead queues."""
        try:
            return await task_queues.read_waits(self._client, queues)
        except RPCError as error:
            raise translated(error, "open workflows") from error

    async def _count_pollers(self, queue: str, kind: TaskQueueType.ValueType) -> int:
        request = DescribeTaskQueueRequest(
            namespace=self._client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind
        )
        try:
            found = await self._client.workflow_service.describe_task_queue(request, timeout=RPC_TIMEOUT)
        except RPCError as error:
            raise translated(error, queue) from error
        return len(found.pollers)

    async def reachable(self) -> bool:
        """Whether the Temporal server answers within 2 s."""
        try:
            return await self._client.service_client.check_health(timeout=_HEALTH_TIMEOUT)
        except RPCError:
            return False

    def web_url_for(self, workflow_id: str, run_id: str | None = None) -> str:
        """The page of a workflow in the Temporal Web UI."""
        page = f"{self._web_url}/namespaces/{self._client.namespace}/workflows/{quote(workflow_id, safe='')}"
        return f"{page}/{run_id}/timeline" if run_id else page

    def _started(self, task_id: str, workflow_id: str) -> StartedTask:
        return StartedTask(task_id=task_id, workflow_id=workflow_id, web_url=self.web_url_for(workflow_id))

    async def _start_once(
        self, name: str, workflow_id: str, message: EngineeringMessage | DeliveryMessage, summary: str
    ) -> StartedTask:
        # the id was minted by the caller: one that exists is the very start that is being repeated
        with contextlib.suppress(WorkflowAlreadyStartedError):
            await self._start(name, workflow_id, message, summary, WorkflowIDReusePolicy.REJECT_DUPLICATE)
        return self._started(message.task_id, workflow_id)

    async def _start(
        self,
        name: str,
        workflow_id: str,
        message: EngineeringMessage | DeliveryMessage | DeployMessage,
        summary: str,
        reuse: WorkflowIDReusePolicy,
    ) -> None:
        attributes, details = search_attributes(message), _details(message)
        await self._start_with(name, workflow_id, message, attributes, summary, details, reuse)


def search_attributes(message: EngineeringMessage | DeliveryMessage | DeployMessage) -> TypedSearchAttributes:
    """The attributes by which people find a workflow."""
    values = {
        SearchAttribute.PROJECT_ID: message.project_id,
        SearchAttribute.PROJECT_NAME: message.project_name or message.project_id,
        SearchAttribute.TASK_ID: message.task_id,
        SearchAttribute.USER_ID: str(message.user_id),
        SearchAttribute.STAGE: "queued",
    }
    return TypedSearchAttributes([SearchAttributePair(keyword(name), value) for name, value in values.items()])


def _details(message: EngineeringMessage | DeliveryMessage | DeployMessage) -> str:
    wish = getattr(message, "spec", None)
    description = f"\n\n> {one_line(wish.description)}" if wish and wish.description else ""
    return f"Project `{message.project_id}`, task `{message.task_id}`, asked by user {message.user_id}.{description}"


def _has_just_closed(error: BaseException) -> bool:
    return isinstance(error, OrchestratorError) and error.code is ErrorCode.WORKFLOW_NOT_RUNNING
