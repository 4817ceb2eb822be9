"""Answers the questions that waited for a secret, once it has a value."""

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from api.auth import Caller
from api.gateway import GatewayLink
from api.questions import queries as questions
from api.visibility import role_in
from contracts.errors import OrchestratorError
from contracts.questions import AnswerCommand

log = structlog.get_logger(__name__)


async def answer_waiting_questions(
    session: AsyncSession, gateway: GatewayLink, caller: Caller, project_id: str, name: str
) -> list[str]:
    """Answer the open questions that wait for `name` and for no other secret; returns the ids of those that failed."""
    failed = []
    for question in await questions.list_waiting_for_secret(session, project_id, name):
        if not await questions.has_all_secrets(session, question):
            continue
        answer_id = f"secret-{question.id}"
        role = await role_in(session, caller, question.subject)
        command = AnswerCommand(question_id=question.id, actor=caller.actor, member_role=role, secret_stored=True)
        try:
            await (await gateway.get()).answer(question.workflow_id, command, answer_id)
            question.answer_id = answer_id
        except OrchestratorError as error:
            log.warning("a question could not be told of a secret", question=question.id, code=error.code.value)
            failed.append(question.id)
    return failed
