"""What happens before a person's answer goes to the workflow that asked."""

from sqlalchemy.ext.asyncio import AsyncSession

from api.problems import permanent
from api.tables import QuestionRow
from api.vault import Vault
from contracts.errors import ErrorCode
from contracts.nouns import AnswerRequest
from contracts.states import QuestionState


def check_open(question: QuestionRow) -> None:
    """Raises QUESTION_CLOSED when the question has an answer, or needs none any more."""
    if question.state != QuestionState.OPEN:
        raise permanent(ErrorCode.QUESTION_CLOSED, f"This question is already {question.state}.")
    if question.answer_id is not None:
        raise permanent(ErrorCode.QUESTION_CLOSED, f"This question is already {QuestionState.ANSWERED.value}.")


async def store_secrets(session: AsyncSession, vault: Vault, question: QuestionRow, body: AnswerRequest) -> None:
    """Put the secrets of an answer into the vault; INVALID_INPUT for one that the question does not ask for."""
    unasked = sorted(set(body.secrets) - set(question.secret_names))
    if unasked:
        raise permanent(ErrorCode.INVALID_INPUT, f"This question does not ask for {', '.join(unasked)[:300]}.")
    project_id = question.subject.project_id
    if body.secrets and project_id is None:
        raise permanent(ErrorCode.INVALID_INPUT, f"The {question.subject} keeps no secrets; only projects do.")
    for name in sorted(body.secrets):
        await vault.write(session, str(project_id), name, body.secrets[name].get_secret_value())


def choice(question: QuestionRow, body: AnswerRequest) -> str | None:
    """What the trail may tell of an answer: an offered choice. Other text is a person's, and may be a secret."""
    return body.text if body.text in question.choices else None
