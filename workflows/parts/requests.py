"""The messages with which a delivery has its work planned and built: pure but for the time of the workflow."""

from temporalio import workflow

from contracts import ids
from contracts.departments import DeliveryMessage, EngineeringMessage
from contracts.parts import TaskPart, title_of
from contracts.planning import Judge, PartsRequest
from contracts.states import TaskKind
from workflows.limits.resuming import Resumption
from workflows.parts import wording
from workflows.parts.board import Board


def parts(message: DeliveryMessage) -> PartsRequest:
    """Whether the wish is one piece of work."""
    judge = Judge(
        task_id=message.task_id,
        project_id=message.project_id,
        user_id=message.user_id,
        agent=message.agent,
        timeout_s=message.turn_timeout_s,
    )
    return PartsRequest(judge=judge, spec=message.spec)


def parts_again(request: PartsRequest, resumption: Resumption) -> PartsRequest:
    """The same after a limit: with turns of its own, and by whom a person or a setting has named."""
    who = {"agent": resumption.agent, "model": resumption.model, "attempt": request.judge.attempt + 1}
    return request.model_copy(update={"judge": request.judge.model_copy(update=who)})


def engineering(message: DeliveryMessage) -> EngineeringMessage:
    """The engineering of the whole wish."""
    return EngineeringMessage(
        task_id=ids.child_task_id(message.task_id, TaskKind.ENGINEERING),
        request_id=f"{message.request_id}/engineering",
        correlation_id=message.correlation_id,
        timestamp=workflow.now(),
        actor=message.actor,
        project_id=message.project_id,
        project_name=message.project_name,
        repository=message.repository,
        user_id=message.user_id,
        title=message.title,
        spec=message.spec,
        agent=message.agent,
        max_rounds=message.max_rounds,
        turn_timeout_s=message.turn_timeout_s,
        question_reminder_s=message.question_reminder_s,
        acceptance=message.acceptance,
        plan_approval=message.plan_approval,
        parent_task_id=message.task_id,
        parent_workflow_id=workflow.info().workflow_id,
        model=message.model,
        cheaper_model=message.cheaper_model,
        fallback_agents=message.fallback_agents,
        wait_for_limits=message.wait_for_limits,
        done=message.done,
        advice=message.advice,
        skip=message.skip,
        review=message.review,
        reviewer=message.reviewer,
        review_model=message.review_model,
    )


def part(message: DeliveryMessage, board: Board, part: TaskPart) -> EngineeringMessage:
    """The engineering of one part. What a retry is told counts for every part that is still to do."""
    task_id = ids.part_task_id(message.task_id, part.number, board.total)
    done = next((one.done for one in message.parts_done if one.number == part.number), None)
    return engineering(message).model_copy(
        update={
            "task_id": task_id,
            "request_id": task_id,
            "title": title_of(f"{part.number}/{board.total}: {part.title}"),
            "spec": wording.spec_of(message.spec, board.shown(), part),
            "part": board.part_of(part),
            "done": done,
        }
    )
