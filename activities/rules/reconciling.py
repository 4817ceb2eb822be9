"""What is recorded of a task whose workflow has ended without recording it: no I/O, no clock."""

from datetime import datetime

from contracts.agent_workers import WorkerLifecycleEvent
from contracts.errors import ErrorCode, bounded
from contracts.maintenance import OpenTask, WorkflowEnding
from contracts.outside_text import cleaned
from contracts.progress import ProgressEvent, Projection
from contracts.questions import QuestionDTO
from contracts.states import AgentWorkerState, ProjectStatus, QuestionState, Stage, TaskKind, TaskState
from contracts.worker_steps import AgentWorkerProjection

_IN_WORK = {ProjectStatus.SCAFFOLDING, ProjectStatus.DEVELOPING, ProjectStatus.TESTING, ProjectStatus.DEPLOYING}
_STATES = {"completed": TaskState.COMPLETED, "cancelled": TaskState.CANCELLED}
_TOLD = {
    "completed": "It has ended well, but its last words were lost.",
    "cancelled": "It was cancelled, but its last words were lost.",
    "terminated": "Somebody terminated its workflow in Temporal. What it had started may still run.",
    "timed_out": "Its workflow exceeded a time limit in Temporal.",
    "missing": "Temporal does not know its workflow any more.",
}
_UNTOLD = "Its workflow has ended without recording how."


def end_of(task: OpenTask, ending: WorkflowEnding, now: datetime) -> Projection:
    """The last projection of the task. Its number is only one higher: any word of the workflow itself wins."""
    own = _is_about(task, ending)
    state = _STATES.get(ending.how, TaskState.FAILED) if own else TaskState.FAILED
    failed = state is TaskState.FAILED
    said = cleaned(ending.message or "") if own and failed else ""
    message = bounded(said or (_TOLD.get(ending.how, _UNTOLD) if own else _UNTOLD), 2_000)
    code = (ending.code if own else None) or ErrorCode.WORKFLOW_LOST.value
    return Projection(
        workflow_id=task.workflow_id,
        run_id=task.run_id,
        seq=task.seq + 1,
        task_id=task.id,
        subject=task.subject,
        user_id=task.user_id,
        kind=task.kind,
        state=state,
        stage=Stage.COMPLETED if state is TaskState.COMPLETED else task.stage,
        project_status=ProjectStatus.FAILED if task.project_status in _IN_WORK and not _is_well(state) else None,
        milestone=_event(task, state, message, now),
        question=_withdrawn(task.question, now),
        result=ending.result if own and _is_well(state) else {},
        error_code=code if failed else None,
        error=message if failed else None,
    )


def end_of_worker(told: AgentWorkerProjection, ending: WorkflowEnding, now: datetime) -> AgentWorkerProjection:
    """The last word of an agent worker. Its number is only one higher: any word of the workflow itself wins."""
    well = ending.how in {"completed", "cancelled"}
    why = _TOLD.get(ending.how, _UNTOLD)
    event = WorkerLifecycleEvent(
        worker_id=told.worker_id, type="stopped" if well else "failed", detail=why, timestamp=now
    )
    return told.model_copy(
        update={
            "seq": told.seq + 1,
            "state": AgentWorkerState.DELETED if well else AgentWorkerState.FAILED,
            "current_request": None,
            "expires_at": None,
            "note": why,
            "event": event,
        }
    )


def _is_about(task: OpenTask, ending: WorkflowEnding) -> bool:
    """Whether how the run ended is how the task ended: the run of a deploy carries out the messages of several."""
    only_one = task.kind is not TaskKind.DEPLOY
    return only_one or ending.task_id == task.id or ending.how in {"terminated", "timed_out", "missing"}


def _is_well(state: TaskState) -> bool:
    return state is TaskState.COMPLETED


def _event(task: OpenTask, state: TaskState, message: str, now: datetime) -> ProgressEvent:
    failed = state is TaskState.FAILED
    return ProgressEvent(
        type="completed" if _is_well(state) else "failed",
        request_id=task.id,
        task_id=task.id,
        timestamp=now,
        message=message,
        progress_pct=100 if _is_well(state) else None,
        current_step=task.stage.value,
        error=message if failed else None,
    )


def _withdrawn(question: QuestionDTO | None, now: datetime) -> QuestionDTO | None:
    if question is None:
        return None
    return question.model_copy(update={"state": QuestionState.WITHDRAWN, "closed_at": now})
