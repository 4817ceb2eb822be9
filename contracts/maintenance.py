"""What the platform does for itself: rounds every minute, and what is done at longer intervals."""

from typing import Literal

from pydantic import AwareDatetime, Field

from contracts.base import Contract, Identifier, UserId
from contracts.questions import QuestionDTO
from contracts.states import ProjectStatus, Stage, TaskKind, TaskState
from contracts.steps import Step
from contracts.subjects import Subject

Ending = Literal["completed", "failed", "cancelled", "terminated", "timed_out", "missing"]


class MaintenancePlan(Step):
    """Input of workflow `maintenance`. All in seconds; `stretches` is how many a run does before it continues as new.

    A stretch is one activity that makes a round every `every_s`: a timer and an activity for each round would cost
    eleven events of history a minute. A task is looked at when it has been silent for `silent_s`.
    """

    every_s: float = Field(default=60.0, gt=0)
    stretch_s: float = Field(default=3_600.0, gt=0)
    stretches: int = Field(default=24, ge=1)
    silent_s: float = Field(default=60.0, ge=0)


class MaintenanceReport(Step):
    """What one stretch did: its rounds, those of them that failed, and the newest tasks whose end it recorded."""

    rounds: int = 0
    failed: int = 0
    ended: list[str] = Field(default_factory=list, max_length=100)


class WorkflowEnding(Step):
    """How a run ended that had not recorded the end of its task, as Temporal tells it.

    `task_id` is the task that it was started for: a deploy serves others, too, and says nothing of their ends.
    """

    how: Ending
    task_id: str | None = None
    code: str | None = None
    message: str | None = None
    result: dict[str, str | int | None] = Field(default_factory=dict)


class OpenTask(Contract):
    """Platform only: a task that has not ended. `seq` is the number of its last projection.

    `question` is the one that it asks and that is still open; `project_status` is that of its project.
    """

    id: Identifier
    kind: TaskKind
    subject: Subject
    user_id: UserId
    workflow_id: str
    run_id: str = ""
    seq: int
    state: TaskState
    stage: Stage = Stage.QUEUED
    project_status: ProjectStatus | None = None
    question: QuestionDTO | None = None
    updated_at: AwareDatetime


class OpenTaskList(Contract):
    """A page in the order of ids; the next one begins after its last."""

    items: list[OpenTask]


class HousekeepingPlan(Step):
    """Input of workflow `housekeeping`. It has no fields yet: every start carries a payload, which is sealed."""


class Tidied(Step):
    """How many rows that nobody can use any more were deleted."""

    tokens: int = 0
    chat_updates: int = 0
