"""Projections: workflows report their state, and each report is applied once and in order."""

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from api.memory import queries as memory
from api.problems import not_found, permanent
from api.releases import recording
from api.releases.queries import find_active
from api.tables import MembershipRow, ProjectRow, QuestionRow, ServerRow, TaskRow, UserRow, subject_columns
from api.tasks import events
from contracts.base import utc_now
from contracts.errors import ErrorCode
from contracts.memory import FailureNote, failure_line
from contracts.progress import FineEvent, Projection, ProjectionAck
from contracts.questions import QuestionDTO
from contracts.states import MemberRole, ProjectStatus, QuestionState, SubjectKind, TaskKind, TaskState

_SCAFFOLDED = {
    ProjectStatus.SCAFFOLDED,
    ProjectStatus.DEVELOPING,
    ProjectStatus.TESTING,
    ProjectStatus.DEPLOYING,
    ProjectStatus.ACTIVE,
}


async def apply(session: AsyncSession, projection: Projection) -> ProjectionAck:
    """Apply a projection that is newer than the last. An equal or lower `seq` of the workflow and task changes nothing.

    A task that has ended in one run stays as it ended: another run is told that the task is closed.
    """
    project = await _lock_project(session, projection)
    name = None if project is None else project.name
    await _insert_if_absent(session, projection)
    task = await events.lock_task(session, projection.task_id)
    if task is None:
        raise not_found("task", projection.task_id)
    if (task.workflow_id, task.subject) != (projection.workflow_id, projection.subject):
        raise permanent(ErrorCode.CONFLICT, f"The task {task.id!r} belongs to another workflow or subject.")
    if TaskState(task.state).is_final and task.seq >= 0 and task.run_id != projection.run_id:
        return ProjectionAck(accepted=False, closed=True, project_name=name)
    if projection.seq <= task.seq:
        return ProjectionAck(accepted=False, project_name=name)
    _update_task(task, projection)
    if project is not None:
        await _update_project(session, project, projection)
        if projection.kind is TaskKind.DEPLOY and projection.state.is_final:
            await recording.settle(session, task.id)
        if _went_wrong(projection):
            # Without its text, which may say anything: what the checks found has been reported by then.
            line = failure_line(f"A task failed: {projection.error_code}", "")
            await memory.note(session, project.id, FailureNote(key=f"{task.id}/end", line=line))
    if projection.question is not None:
        await _upsert_question(session, projection, projection.question)
    if projection.milestone is not None:
        key = f"{projection.workflow_id}:{projection.seq}"
        milestone = FineEvent(key=key[-300:], event=projection.milestone)
        await events.append(session, task, events.MILESTONE, [milestone])
    await events.notify(session, task)
    return ProjectionAck(accepted=True, project_name=name)


def _went_wrong(projection: Projection) -> bool:
    """Whether agents should know of it later: what a person has stopped is no failure."""
    failed = projection.kind is TaskKind.ENGINEERING and projection.state is TaskState.FAILED
    return failed and projection.error_code != ErrorCode.STOPPED_BY_PERSON


async def _lock_project(session: AsyncSession, projection: Projection) -> ProjectRow | None:
    """The project of the projection, locked; None for another subject. Raises NOT_FOUND for one that is not there."""
    subject = projection.subject
    match subject.kind:
        case SubjectKind.PROJECT:
            project = await session.get(ProjectRow, subject.id, with_for_update=True, populate_existing=True)
            if project is None:
                raise not_found("project", subject.id)
            return project
        case SubjectKind.SERVER:
            if await session.get(ServerRow, subject.id) is None:
                raise not_found("server", subject.id)
        case SubjectKind.CHAT:
            await _join_chat(session, projection)
        case SubjectKind.INSTALLATION:
            pass
    return None


async def _join_chat(session: AsyncSession, projection: Projection) -> None:
    """Make whoever has work done in a chat its owner: nothing else says whose chat it is."""
    if await session.get(UserRow, projection.user_id) is None:
        raise not_found("user", str(projection.user_id))
    member = subject_columns(projection.subject) | {"user_id": projection.user_id, "role": MemberRole.OWNER.value}
    await session.execute(insert(MembershipRow).values(**member, created_at=utc_now()).on_conflict_do_nothing())


async def _insert_if_absent(session: AsyncSession, projection: Projection) -> None:
    now = utc_now()
    statement = insert(TaskRow).values(
        id=projection.task_id,
        kind=projection.kind.value,
        **subject_columns(projection.subject),
        user_id=projection.user_id,
        workflow_id=projection.workflow_id,
        state=projection.state.value,
        seq=-1,
        last_event_seq=0,
        run_id="",
        title="",
        stage=projection.stage.value,
        result={},
        artifacts=[],
        criteria=[],
        parts=[],
        created_at=now,
        updated_at=now,
    )
    await session.execute(statement.on_conflict_do_nothing(index_elements=["id"]))


def _update_task(task: TaskRow, projection: Projection) -> None:
    task.seq = projection.seq
    task.run_id = projection.run_id
    task.state = projection.state.value
    task.title = projection.title or task.title
    task.stage = projection.stage.value
    task.waiting_for = projection.waiting_for
    task.question_id = projection.question_id
    task.parent_task_id = projection.parent_task_id or task.parent_task_id
    # Known results stay: a later stage reports only its own.
    task.result = {**task.result, **projection.result}
    task.error_code = projection.error_code
    task.error = projection.error
    known = {artifact["uri"] for artifact in task.artifacts}
    new = [artifact.model_dump(mode="json") for artifact in projection.artifacts if artifact.uri not in known]
    task.artifacts = [*task.artifacts, *new]
    # A task without news of them, such as one that has failed since, keeps them.
    task.criteria = [one.model_dump(mode="json") for one in projection.criteria] or task.criteria
    task.parts = [one.model_dump(mode="json") for one in projection.parts] or task.parts
    task.updated_at = utc_now()


async def _update_project(session: AsyncSession, project: ProjectRow, projection: Projection) -> None:
    """A live project stays `active` and an archived one `archived`, whatever a later task reports."""
    wanted = projection.project_status
    project.updated_at = utc_now()
    if wanted is None or project.status == ProjectStatus.ARCHIVED:
        return
    project.scaffolded = project.scaffolded or wanted in _SCAFFOLDED
    live = await find_active(session, project.id) is not None
    project.status = ProjectStatus.ACTIVE if live else wanted.value


async def _upsert_question(session: AsyncSession, projection: Projection, question: QuestionDTO) -> None:
    if (question.task_id, question.subject) != (projection.task_id, projection.subject):
        raise permanent(ErrorCode.CONFLICT, f"The question {question.id!r} names another task or subject.")
    row = await session.get(QuestionRow, question.id, populate_existing=True)
    values = question.model_dump(exclude={"subject"}) | subject_columns(question.subject)
    if row is None:
        session.add(QuestionRow(**values))
    elif (row.task_id, row.subject) != (question.task_id, question.subject):
        raise permanent(ErrorCode.CONFLICT, f"The question {question.id!r} belongs to another task.")
    elif row.state == QuestionState.OPEN:
        # A closed question stays as it was closed.
        for name, value in values.items():
            setattr(row, name, value)
