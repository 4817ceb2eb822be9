"""Questions in the database."""

from collections.abc import Collection

from sqlalchemy import ColumnElement, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api.auth import Caller
from api.paging import PageRequest, read_page
from api.problems import not_found
from api.tables import QuestionRow
from api.vault import names_with_value
from api.visibility import allowed
from contracts.states import QuestionKind, QuestionState, SubjectKind


async def find(session: AsyncSession, caller: Caller, question_id: str) -> QuestionRow:
    """The question; NOT_FOUND when there is none for this caller."""
    statement = select(QuestionRow).where(col(QuestionRow.id) == question_id, _is_visible(caller))
    row = (await session.scalars(statement)).one_or_none()
    if row is None:
        raise not_found("question", question_id)
    return row


async def list_visible(
    session: AsyncSession, caller: Caller, page: PageRequest, project_id: str | None, state: QuestionState | None
) -> tuple[list[QuestionRow], str | None]:
    """The questions that the caller may see, newest first. None means any project, or any state."""
    statement = select(QuestionRow).where(_is_visible(caller))
    if project_id is not None:
        statement = statement.where(_is_of_project(project_id))
    if state is not None:
        statement = statement.where(col(QuestionRow.state) == state)
    return await read_page(session, statement, page, (QuestionRow.created_at, QuestionRow.id))


async def list_open(session: AsyncSession, project_id: str) -> list[QuestionRow]:
    """A project's open questions, oldest first."""
    statement = select(QuestionRow).where(_is_of_project(project_id), col(QuestionRow.state) == QuestionState.OPEN)
    return list(await session.scalars(statement.order_by(col(QuestionRow.created_at))))


async def list_waiting_for_secret(session: AsyncSession, project_id: str, name: str) -> list[QuestionRow]:
    """Open questions of a project that ask for the secret `name` and have no answer yet."""
    statement = select(QuestionRow).where(
        _is_of_project(project_id),
        col(QuestionRow.state) == QuestionState.OPEN,
        col(QuestionRow.kind) == QuestionKind.SECRET,
        col(QuestionRow.answer_id).is_(None),
        col(QuestionRow.secret_names).contains([name]),
    )
    return list(await session.scalars(statement))


async def list_of_tasks(session: AsyncSession, task_ids: Collection[str], limit: int) -> list[QuestionRow]:
    """What these tasks have asked, newest first."""
    statement = select(QuestionRow).where(col(QuestionRow.task_id).in_(task_ids))
    return list(await session.scalars(statement.order_by(col(QuestionRow.created_at).desc()).limit(limit)))


async def has_all_secrets(session: AsyncSession, question: QuestionRow) -> bool:
    """Whether every secret that the question names has a value now; False when it names none."""
    project_id = question.subject.project_id
    if project_id is None or not question.secret_names:
        return False
    return set(question.secret_names) <= await names_with_value(session, project_id)


def _is_visible(caller: Caller) -> ColumnElement[bool]:
    return allowed(caller, col(QuestionRow.subject_kind), col(QuestionRow.subject_id))


def _is_of_project(project_id: str) -> ColumnElement[bool]:
    return (col(QuestionRow.subject_kind) == SubjectKind.PROJECT.value) & (col(QuestionRow.subject_id) == project_id)
