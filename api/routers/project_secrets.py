"""A project's secrets: values go in and never come out."""

from typing import Annotated

import structlog
from fastapi import APIRouter, Depends, Path, Response
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from api import replies
from api.auth import Caller, Person, agents_may
from api.database import Session
from api.problems import not_found
from api.routers.questions import check_secret, has_all_secrets
from api.scope import find_project, find_working_project
from api.state import Platform, ThePlatform
from api.tables import QuestionRow, SecretRow
from contracts.base import Identifier
from contracts.errors import OrchestratorError
from contracts.nouns import SecretDTO, SecretList, SecretWrite
from contracts.project_spec import SecretName
from contracts.questions import AnswerCommand
from contracts.states import QuestionKind, QuestionState

router = APIRouter(tags=["secrets"])

UNANSWERED_HEADER = "X-Unanswered-Questions"
"""Ids of the questions that wait for this secret and could not be told; the secret is stored all the same."""

ProjectId = Annotated[Identifier, Path()]
Name = Annotated[SecretName, Path()]
Lists = Annotated[Caller, Depends(agents_may("secret.list"))]

log = structlog.get_logger(__name__)


@router.get("/projects/{project_id}/secrets")
async def list_secrets(project_id: ProjectId, session: Session, caller: Lists) -> SecretList:
    """Names and references, never values."""
    await find_project(session, caller, project_id)
    statement = select(SecretRow).where(col(SecretRow.project_id) == project_id).order_by(col(SecretRow.name))
    return SecretList(items=[replies.secret(row) for row in await session.scalars(statement)])


@router.put("/projects/{project_id}/secrets/{name}")
async def set_secret(
    project_id: ProjectId,
    name: Name,
    body: SecretWrite,
    session: Session,
    caller: Person,
    platform: ThePlatform,
    response: Response,
) -> SecretDTO:
    """Store a value, then tell the open questions that wait for it."""
    await find_working_project(session, caller, project_id)
    row = await platform.vault.write(session, project_id, name, check_secret(name, body.value.get_secret_value()))
    reply = replies.secret(row)
    # The workflows look for the value as soon as they are told.
    await session.commit()
    untold = await _tell_questions(session, platform, caller, project_id, name)
    if untold:
        response.headers[UNANSWERED_HEADER] = ", ".join(untold)
    return reply


@router.delete("/projects/{project_id}/secrets/{name}", status_code=204)
async def delete_secret(
    project_id: ProjectId, name: Name, session: Session, caller: Person, platform: ThePlatform
) -> None:
    """What runs already keeps the value; the next deploy asks for it."""
    await find_project(session, caller, project_id)
    if not await platform.vault.delete(session, project_id, name):
        raise not_found("secret", name)


async def _tell_questions(
    session: AsyncSession, platform: Platform, caller: Caller, project_id: str, name: str
) -> list[str]:
    """Answer the open questions that wait for `name` and miss nothing else; returns those that failed."""
    statement = select(QuestionRow).where(
        col(QuestionRow.project_id) == project_id,
        col(QuestionRow.state) == QuestionState.OPEN,
        col(QuestionRow.kind) == QuestionKind.SECRET,
        col(QuestionRow.answer_id).is_(None),
        col(QuestionRow.secret_names).contains([name]),
    )
    failed = []
    for question in list(await session.scalars(statement)):
        if not await has_all_secrets(session, question):
            continue
        answer_id = f"secret-{question.id}"
        command = AnswerCommand(question_id=question.id, actor=caller.actor, secret_stored=True)
        try:
            await (await platform.gateway.get()).answer(question.workflow_id, command, answer_id)
            question.answer_id = answer_id
        except OrchestratorError as error:
            log.warning("a question could not be told of a secret", question=question.id, code=error.code.value)
            failed.append(question.id)
    return failed
