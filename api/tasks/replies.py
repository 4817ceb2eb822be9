"""Tasks as the API shows them, with their link and the queue that they wait for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import Depends

from api.auth import AnyCaller
from api.gateway import GatewayDep, GatewayLink
from api.questions import replies as questions
from api.queues.watch import QueueWatch, QueueWatchDep
from api.tables import ProjectRow, QuestionRow, TaskRow
from contracts.base import utc_now
from contracts.costs import TaskCost
from contracts.maintenance import OpenTask
from contracts.nouns import TaskDTO, TaskTree
from contracts.states import Stage, TaskKind, TaskState
from contracts.subjects import Subject
from runtime.temporal.gateway import WorkflowDescription

_STATES = {
    "running": TaskState.RUNNING,
    "continued_as_new": TaskState.RUNNING,
    "completed": TaskState.COMPLETED,
    "canceled": TaskState.CANCELLED,
    "cancelled": TaskState.CANCELLED,
}


@dataclass(frozen=True)
class TaskReplies:
    """`opens_web_ui`: only admins may, so nobody else gets links to it."""

    gateway: GatewayLink
    queues: QueueWatch
    opens_web_ui: bool

    def task(self, row: TaskRow, cost: TaskCost | None = None) -> TaskDTO:
        """A task as its last projection describes it."""
        # The workflow of a deploy serves one task after another: a task that has ended does not wait for anything.
        stall = None if TaskState(row.state).is_final else self.queues.stall(row.workflow_id, row.id)
        return TaskDTO.model_validate(
            {
                **row.model_dump(exclude={"seq", "last_event_seq", "subject_kind", "subject_id"}),
                "subject": row.subject,
                "cost": cost,
                "web_url": self._web_url(row.workflow_id, row.run_id or None),
                "stalled_queue": stall.queue if stall else None,
                "stalled_since": stall.since if stall else None,
            }
        )

    def tree(self, rows: Sequence[TaskRow], asked: Sequence[QuestionRow], costs: Mapping[str, TaskCost]) -> TaskTree:
        """`rows` begins with the task at the top."""
        task, *below = (self.task(row, costs.get(row.id)) for row in rows)
        return TaskTree(task=task, below=below, questions=[questions.question(row) for row in asked])

    def starting_task(
        self, described: WorkflowDescription, project: ProjectRow, kind: TaskKind, task_id: str
    ) -> TaskDTO:
        """A task without a projection, as Temporal describes its workflow."""
        started = datetime.fromisoformat(described.started_at) if described.started_at else utc_now()
        stall = self.queues.stall(described.workflow_id, task_id)
        return TaskDTO(
            id=task_id,
            kind=kind,
            subject=Subject.project(project.id),
            user_id=project.owner_id,
            workflow_id=described.workflow_id,
            run_id=described.run_id,
            state=_STATES.get(described.status, TaskState.FAILED),
            stage=Stage.STARTING,
            created_at=started,
            updated_at=started,
            web_url=self._web_url(described.workflow_id, described.run_id),
            stalled_queue=stall.queue if stall else None,
            stalled_since=stall.since if stall else None,
        )

    def _web_url(self, workflow_id: str, run_id: str | None) -> str | None:
        return self.gateway.web_url(workflow_id, run_id) if self.opens_web_ui else None


def open_task(row: TaskRow, project_status: str | None, asked: QuestionRow | None) -> OpenTask:
    """A task that has not ended, with what its next projection needs."""
    fields = row.model_dump(include=set(OpenTask.model_fields))
    question = None if asked is None else questions.question(asked)
    return OpenTask.model_validate(
        {**fields, "subject": row.subject, "project_status": project_status, "question": question}
    )


async def _task_replies(gateway: GatewayDep, queues: QueueWatchDep, caller: AnyCaller) -> TaskReplies:
    return TaskReplies(gateway, queues, caller.sees_all)


TaskRepliesDep = Annotated[TaskReplies, Depends(_task_replies)]
