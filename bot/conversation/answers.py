"""A person's answer to a question, by button or in words, on its way to the workflow that asked."""

import asyncio
from collections.abc import Coroutine

import structlog
from pydantic import SecretStr

from bot.rendering import keyboards
from bot.rendering.keyboards import AnswerData
from bot.texts import LANGUAGES, texts
from contracts.errors import ErrorCode, OrchestratorError
from contracts.nouns import AnswerRequest
from contracts.questions import QuestionDTO
from contracts.states import QuestionKind
from runtime.chat_client import ChatApi

_TIMEOUT_S = 4.0
"""A callback must be answered soon, and the chat's next updates wait for this one."""

_REFUSALS = {
    ErrorCode.QUESTION_CLOSED: "refused-closed",
    ErrorCode.QUESTION_NOT_YOURS: "refused-not-yours",
    ErrorCode.NOT_FOUND: "refused-not-yours",
    ErrorCode.QUESTION_WRONG_CHOICE: "refused-choice",
    ErrorCode.CONFLICT: "refused-plan",
    ErrorCode.WORKFLOW_NOT_RUNNING: "refused-ended",
    ErrorCode.WORKFLOW_BUSY: "refused-busy",
    ErrorCode.TEMPORAL_UNREACHABLE: "refused-later",
}
_UNAVAILABLE = {ErrorCode.API_UNREACHABLE, ErrorCode.DATABASE_UNREACHABLE}
"""Without API or database nothing can be handled, so the update waits until they are back."""

_background: set["asyncio.Task[object]"] = set()

log = structlog.get_logger(__name__)


def refusal(error: OrchestratorError) -> str:
    """The id of the text that explains a refusal. Raises the error if the update has to wait for the platform."""
    if error.code in _UNAVAILABLE:
        raise error
    return _REFUSALS.get(error.code, "refused-other")


async def answer_by_button(api: ChatApi, data: AnswerData, callback_id: str) -> str:
    """Submit the choice of a button; returns the id of the text for the person.

    The callback's id becomes the answer's id, so a callback that Telegram delivers again changes nothing.
    """
    question = await api.question(data.question)
    if not 0 <= data.choice < len(question.choices):
        return "refused-forged"
    if not keyboards.plan_matches(question, data):
        return "refused-plan"
    body = AnswerRequest(answer_id=callback_id, text=question.choices[data.choice], plan_hash=question.plan_hash)
    return await result_or_busy(_submit(api, question.id, body))


async def answer_in_words(api: ChatApi, question: QuestionDTO, text: str, answer_id: str) -> str:
    """Submit a text; returns the id of the text for the person. A button's label, in any language, means its choice."""
    body = AnswerRequest(answer_id=answer_id, text=_resolve_choice(question, text), plan_hash=question.plan_hash)
    return await result_or_busy(_submit(api, question.id, body))


async def store_secrets(api: ChatApi, question: QuestionDTO, values: dict[str, SecretStr], answer_id: str) -> str:
    """Store secrets; the workflow is told when it has all of them. Returns the id of the text for the person."""
    if set(values) == set(question.secret_names):
        return await result_or_busy(_submit(api, question.id, AnswerRequest(answer_id=answer_id, secrets=values)))
    try:
        for name, value in values.items():
            await api.set_secret(question.subject.id, name, value)
    except OrchestratorError as error:
        if error.retryable:
            raise
        return refusal(error)
    return "answer-taken"


async def missing_secrets(api: ChatApi, question: QuestionDTO) -> list[str]:
    """The secrets that the question asks for and that have no value yet."""
    stored = {secret.name for secret in await api.secrets(question.subject.id)}
    return [name for name in question.secret_names if name not in stored]


def is_choice(question: QuestionDTO, text: str) -> bool:
    """Whether a text names one of the question's choices."""
    return _resolve_choice(question, text) in question.choices


async def result_or_busy(work: "Coroutine[object, object, str]") -> str:
    """The result if it comes within 4 s; otherwise "refused-busy", and the work continues in the background."""
    task = asyncio.create_task(work)
    _background.add(task)
    task.add_done_callback(_on_done)
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            return await asyncio.shield(task)
    except TimeoutError:
        return "refused-busy"


def _on_done(task: "asyncio.Task[object]") -> None:
    _background.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        log.warning("an answer failed", cause=type(error).__name__)


async def _submit(api: ChatApi, question_id: str, body: AnswerRequest) -> str:
    try:
        await api.answer(question_id, body)
    except OrchestratorError as error:
        log.info("an answer was refused", question=question_id, code=error.code.value)
        return refusal(error)
    return "answer-taken"


def _resolve_choice(question: QuestionDTO, text: str) -> str:
    """The choice that a text names by its value or label; otherwise the text itself."""
    names = {
        choice: {choice, *(keyboards.label_of(texts(language), question, choice) for language in LANGUAGES)}
        for choice in question.choices
    }
    for normalise in (str.strip, str.lower, _letters_and_digits):
        given = normalise(text.strip())
        found = [choice for choice in names if given and given in {normalise(name) for name in names[choice]}]
        if len(found) == 1:
            return found[0]
    if question.kind in {QuestionKind.APPROVAL, QuestionKind.BUDGET}:
        return text.strip().lower()
    return text.strip()


def _letters_and_digits(text: str) -> str:
    """The text's letters and digits in lower case, because people leave out emoji and punctuation."""
    return "".join(character for character in text.lower() if character.isalnum() or character.isspace()).strip()
