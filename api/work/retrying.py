"""Going on with a task that has ended early: the message of the new task, from the old one's and what is done."""

from api.auth import Caller
from api.problems import permanent
from api.tables import ProjectRow, TaskRow
from contracts import ids
from contracts.base import QueueMeta
from contracts.criteria import Criterion
from contracts.departments import DeliveryMessage
from contracts.errors import ErrorCode
from contracts.parts import PartDone, TaskPart, WorkPart, may_have_parts
from contracts.project_settings import ProjectSettings
from contracts.retries import TaskRetry, WorkDone, work_done
from contracts.states import TaskKind, TaskState
from runtime.temporal.gateway import Work


def check_ended(top: TaskRow) -> None:
    """Raises CONFLICT for a task with which nobody can go on: it runs, is done, or is a deploy."""
    if top.kind == TaskKind.DEPLOY:
        raise permanent(
            ErrorCode.CONFLICT,
            "A deploy has no steps to go on from. Start it again: `orchestrator deploy start`.",
        )
    if not TaskState(top.state).is_final:
        raise permanent(ErrorCode.CONFLICT, f"The task is {top.state}. Answer its question, or cancel it first.")
    if top.state == TaskState.COMPLETED:
        raise permanent(ErrorCode.CONFLICT, "The task is completed; describe what to change in a new one.")


def done_of(engineering: TaskRow | None, change: TaskRetry) -> WorkDone | None:
    """What need not be done again. Another spec leaves the branch only, and advice what is on main already."""
    if engineering is None:
        return None
    criteria = [Criterion.model_validate(one) for one in engineering.criteria]
    done = work_done(engineering.id, engineering.result, criteria)
    if done is None or (done.published and (change.advice or change.spec)):
        return None
    return WorkDone(task_id=done.task_id, branch=done.branch) if change.spec else done


def parts_of(top: TaskRow) -> list[TaskPart]:
    """The plan of an earlier attempt, with the tasks that have worked on it."""
    return [TaskPart.model_validate(one) for one in top.parts]


def done_of_part(engineering: TaskRow) -> WorkDone | None:
    """As `done_of`. A part that is on main stays done: what a person says is for the others.

    One without a commit of its own begins anew, with what other parts have brought to main since.
    """
    criteria = [Criterion.model_validate(one) for one in engineering.criteria]
    done = work_done(engineering.id, engineering.result, criteria)
    return done if done and done.commit else None


def in_parts(message: Work, parts: list[TaskPart], done: list[PartDone], change: TaskRetry) -> Work:
    """The same plan again, with what is done of it. Another spec is divided anew."""
    if not isinstance(message, DeliveryMessage):
        return message
    if change.spec is not None:
        divides = may_have_parts(message.spec.description)
        return message.model_copy(update={"parts": [], "parts_done": [], "in_parts": divides})
    plan = [WorkPart(**part.model_dump(include=set(WorkPart.model_fields))) for part in parts]
    return message.model_copy(update={"done": None if plan else message.done, "parts": plan, "parts_done": done})


def history_gone(task_id: str) -> Exception:
    return permanent(
        ErrorCode.CONFLICT,
        f"What {task_id} was started with is no longer kept. Start a new task with the same description.",
    )


def message(
    earlier: Work,
    change: TaskRetry,
    done: WorkDone | None,
    project: ProjectRow,
    caller: Caller,
    settings: ProjectSettings,
) -> Work:
    """The same work under a new id. The settings about limits are today's: they may be what was changed."""
    fresh, same_agent = QueueMeta(), change.agent in {None, earlier.agent}
    return earlier.model_copy(
        update={
            "task_id": ids.retry_task_id(earlier.task_id),
            "request_id": f"{earlier.task_id}/retry",
            "correlation_id": fresh.correlation_id,
            "timestamp": fresh.timestamp,
            "actor": caller.actor,
            "user_id": project.owner_id,
            "project_name": project.name,
            "spec": change.spec.model_copy(update={"name": project.name}) if change.spec else earlier.spec,
            "agent": change.agent or earlier.agent,
            "model": change.model or (earlier.model if same_agent else None),
            "cheaper_model": settings.cheaper_model,
            "fallback_agents": settings.fallback_agents,
            "wait_for_limits": settings.wait_for_limits,
            "acceptance": settings.acceptance,
            "plan_approval": settings.plan_approval,
            "review": settings.review,
            "reviewer": settings.reviewer,
            "review_model": settings.review_model,
            "advice": change.advice,
            "skip": change.skip or earlier.skip,
            "done": done,
        }
    )
