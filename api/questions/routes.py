"""Questions that workflows ask, and people's answers."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query

from api.audit.trail import Act, audited
from api.auth import Caller, Person, agents_may
from api.database import Session
from api.gateway import GatewayDep
from api.paging import PageDep
from api.questions import answering, queries, replies
from api.vault import VaultDep
from api.visibility import Right, require, role_in
from contracts.base import Identifier
from contracts.nouns import AnswerRequest, QuestionList
from contracts.questions import AnswerAccepted, AnswerCommand, QuestionDTO
from contracts.states import QuestionState

router = APIRouter(tags=["questions"])

QuestionId = Annotated[Identifier, Path()]
MayList = Annotated[Caller, Depends(agents_may("question.list"))]
MayShow = Annotated[Caller, Depends(agents_may("question.show"))]


@router.get("/questions")
async def list_questions(
    session: Session,
    caller: MayList,
    page: PageDep,
    project_id: Annotated[Identifier | None, Query()] = None,
    state: QuestionState | None = None,
) -> QuestionList:
    """List questions, newest first; of every state unless one is given."""
    rows, following = await queries.list_visible(session, caller, page, project_id, state)
    return QuestionList(items=[replies.question(row) for row in rows], next_cursor=following)


@router.get("/questions/{question_id}")
async def show_question(question_id: QuestionId, session: Session, caller: MayShow) -> QuestionDTO:
    return replies.question(await queries.find(session, caller, question_id))


@router.post("/questions/{question_id}/answer")
async def answer_question(
    act: Annotated[Act, audited("question.answer")],
    question_id: QuestionId,
    body: AnswerRequest,
    session: Session,
    caller: Person,
    gateway: GatewayDep,
    vault: VaultDep,
) -> AnswerAccepted:
    """Secrets go to the store first, then the workflow validates the answer. The same answer id is the same answer."""
    question = await queries.find(session, caller, question_id)
    act.tell(kind=question.kind, subject=question.subject, choice=answering.choice(question, body))
    await require(session, caller, question.subject, Right.ACT)
    if question.answer_id == body.answer_id:
        return AnswerAccepted(question_id=question.id, message="This answer has already been accepted.")
    answering.check_open(question)
    await answering.store_secrets(session, vault, question, body)
    command = AnswerCommand(
        question_id=question.id,
        actor=caller.actor,
        member_role=await role_in(session, caller, question.subject),
        text=body.text,
        plan_hash=body.plan_hash,
        secret_stored=await queries.has_all_secrets(session, question),
    )
    # The workflow looks for the secrets as soon as it has the answer.
    await session.commit()
    accepted = await (await gateway.get()).answer(question.workflow_id, command, body.answer_id)
    question.answer_id = body.answer_id
    return accepted
