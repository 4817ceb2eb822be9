"""Progress: milestones of a workflow and fine events of a running activity, read as one ordered stream."""

from typing import Literal

from pydantic import AwareDatetime, Field

from contracts.artifacts import ArtifactRef
from contracts.base import Contract, Identifier, Whole, utc_now
from contracts.criteria import Criteria
from contracts.parts import MAX_PARTS, TaskPart
from contracts.project_spec import ProjectName
from contracts.questions import QuestionDTO
from contracts.states import ProjectStatus, Stage, TaskKind, TaskState
from contracts.subjects import Subject

ProgressType = Literal["started", "progress", "completed", "failed"]
FineKind = Literal["message", "thought", "plan", "tool", "command", "diff", "result", "steer", "life"]
"""What a fine event of an agent is about. `life`: its turn began or ended."""


class ProgressEvent(Contract):
    """What people see while work runs. `question_id` names the question that a milestone asks, repeats or closes.

    `kind` is set for what an agent does.
    """

    type: ProgressType
    request_id: str
    task_id: str | None = None
    timestamp: AwareDatetime = Field(default_factory=utc_now)
    message: str | None = Field(default=None, max_length=4_000)
    progress_pct: int | None = Field(default=None, ge=0, le=100)
    current_step: str | None = Field(default=None, max_length=200)
    error: str | None = Field(default=None, max_length=4_000)
    error_type: str | None = None
    question_id: Identifier | None = None
    kind: FineKind | None = None


class FineEvent(Contract):
    """One line of an agent, a test run or a deploy. The same `key` posted again is the same row.

    `key` is built from the source (agent worker or task), the turn and the offset.
    """

    key: str = Field(min_length=1, max_length=300)
    event: ProgressEvent


class StreamedEvent(Contract):
    """An event as the API delivers it, with its task, kind and subject. `seq` only grows within a task.

    `percent` is how far the task is whose stream this is, from 0 to 100, the work below it included; in a stream it
    never falls. `event.progress_pct` is about the event's own task only.
    """

    seq: int
    task_id: str
    kind: TaskKind
    subject: Subject
    grain: Literal["milestone", "fine"]
    event: ProgressEvent
    percent: int | None = Field(default=None, ge=0, le=100)


class Projection(Contract):
    """The state of one workflow, written by itself; the API rejects a lower `seq` of the same workflow.

    `seq` is in microseconds of workflow time or one more than the last, whichever is higher: it grows across
    continue-as-new and reset. `waiting_for` and `question_id` say on whom and on which question it waits, which may
    be a question of the work below it. `parts` are those of a large wish, with how far each is.
    """

    workflow_id: str = Field(max_length=300)
    run_id: str = Field(default="", max_length=100)
    seq: Whole = Field(ge=0)
    task_id: Identifier
    subject: Subject
    user_id: Whole
    kind: TaskKind
    state: TaskState
    title: str = Field(default="", max_length=200)
    stage: Stage = Stage.QUEUED
    parent_task_id: Identifier | None = None
    waiting_for: str | None = Field(default=None, max_length=500)
    question_id: Identifier | None = None
    project_status: ProjectStatus | None = None
    milestone: ProgressEvent | None = None
    question: QuestionDTO | None = None
    result: dict[str, str | int | None] = Field(default_factory=dict)
    error_code: str | None = None
    error: str | None = Field(default=None, max_length=4_000)
    artifacts: list[ArtifactRef] = Field(default_factory=list, max_length=50)
    criteria: Criteria = Field(default_factory=list)
    parts: list[TaskPart] = Field(default_factory=list, max_length=MAX_PARTS)


class ProjectionAck(Contract):
    """`accepted` is false when the API already holds this or a later state; that is not an error.

    `closed` says that the task had already ended in an earlier run: a repeated request must not run again.
    `project_name` is the project's present name, which a rename may have changed since the workflow began.
    """

    accepted: bool
    closed: bool = False
    project_name: ProjectName | None = None
