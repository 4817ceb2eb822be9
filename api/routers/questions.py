"""Questions that workflows ask, and people's answers."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api import replies
from api.auth import Caller, Person, agents_may
from api.database import Session
from api.problems import permanent
from api.scope import find_question, visible_project_ids
from api.state import Platform, ThePlatform
from api.tables import QuestionRow
from api.vault import names_with_value
from contracts.base import Identifier
from contracts.errors import ErrorCode
from contracts.nouns import AnswerRequest, QuestionList
from contracts.questions import AnswerAccepted, AnswerCommand, QuestionDTO
from contracts.states import QuestionState

router = APIRouter(tags=["questions"])

QuestionId = Annotated[Identifier, Path()]
Lists = Annotated[Caller, Depends(agents_may("question.list"))]
Shows = Annotated[Caller, Depends(agents_may("question.show"))]

MAX_SECRET = 65_536


@router.get("/questions")
async def list_questions(
    session: Session,
    caller: Lists,
    project_id: Annotated[Identifier | None, Query()] = None,
    state: QuestionState | None = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
) -> QuestionList:
    """Newest first; of every state unless one is given."""
    statement = select(QuestionRow).where(col(QuestionRow.project_id).in_(visible_project_ids(caller)))
    if project_id is not None:
        statement = statement.where(col(QuestionRow.project_id) == project_id)
    if state is not None:
        statement = statement.where(col(QuestionRow.state) == state)
    rows = await session.scalars(statement.order_by(col(QuestionRow.created_at).desc()).limit(limit))
    return QuestionList(items=[replies.question(row) for row in rows])


@router.get("/questions/{question_id}")
async def show_question(question_id: QuestionId, session: Session, caller: Shows) -> QuestionDTO:
    return replies.question(await find_question(session, caller, question_id))


@router.post("/questions/{question_id}/answer")
async def answer_question(
    question_id: QuestionId, body: AnswerRequest, session: Session, caller: Person, platform: ThePlatform
) -> AnswerAccepted:
    """Secrets go to the store first, then the workflow validates the answer. The same answer id is the same answer."""
    question = await find_question(session, caller, question_id)
    if question.answer_id == body.answer_id:
        return AnswerAccepted(question_id=question.id, message="This answer was accepted before.")
    if question.state != QuestionState.OPEN or question.answer_id is not None:
        raise permanent(ErrorCode.QUESTION_CLOSED, f"This question is {_closed_state(question)} already.")
    await _store_secrets(session, platform, question, body)
    command = AnswerCommand(
        question_id=question.id,
        actor=caller.actor,
        text=body.text,
        plan_hash=body.plan_hash,
        secret_stored=await has_all_secrets(session, question),
    )
    # The workflow looks for the secrets as soon as it has the answer.
    await session.commit()
    accepted = await (await platform.gateway.get()).answer(question.workflow_id, command, body.answer_id)
    question.answer_id = body.answer_id
    return accepted


async def has_all_secrets(session: AsyncSession, question: QuestionRow) -> bool:
    """Whether every secret that the question names has a value now; False when it names none."""
    present = await names_with_value(session, question.project_id)
    return bool(question.secret_names) and set(question.secret_names) <= present


def check_secret(name: str, value: str) -> str:
    """The value, when it can be one; INVALID_INPUT names the secret and never shows the value."""
    if not value or len(value) > MAX_SECRET:
        raise permanent(ErrorCode.INVALID_INPUT, f"The value of {name} must have 1 to {MAX_SECRET} characters.")
    return value


async def _store_secrets(session: AsyncSession, platform: Platform, question: QuestionRow, body: AnswerRequest) -> None:
    unasked = sorted(set(body.secrets) - set(question.secret_names))
    if unasked:
        raise permanent(ErrorCode.INVALID_INPUT, f"This question does not ask for {', '.join(unasked)[:300]}.")
    for name in sorted(body.secrets):
        value = check_secret(name, body.secrets[name].get_secret_value())
        await platform.vault.write(session, question.project_id, name, value)


def _closed_state(question: QuestionRow) -> str:
    return question.state if question.state != QuestionState.OPEN else QuestionState.ANSWERED.value
