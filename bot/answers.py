"""A person's answer to a question, by a button or by text, on its way to the workflow that asked."""

import asyncio
import re
from collections.abc import Coroutine
from typing import TypeVar

import structlog
from pydantic import SecretStr

from bot import keyboards
from bot.keyboards import AnswerData
from bot.texts import LANGUAGES, Texts, texts
from contracts.errors import ErrorCode, OrchestratorError
from contracts.nouns import AnswerRequest
from contracts.questions import QuestionDTO
from contracts.states import QuestionKind
from runtime.chat_client import ChatApi
from runtime.logging import register_secret

_PATIENCE_S = 4.0
"""A pressed button has to be answered soon, and other people's updates wait behind this one."""

_SECRET_LINE = re.compile(r"\s*([A-Z_][A-Z0-9_]{0,99})\s*[=:]\s*(\S.*?)\s*\Z")
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
_WAITED_FOR = {ErrorCode.API_UNREACHABLE, ErrorCode.DATABASE_UNREACHABLE}
"""Without these nothing that people say can be understood either; every update waits for them."""

_going_on: set["asyncio.Task[object]"] = set()

Result = TypeVar("Result")
log = structlog.get_logger(__name__)


def refusal(error: OrchestratorError) -> str:
    """The id of the text that says why something was not done. Raises what is waited for, so that it is done then."""
    if error.code in _WAITED_FOR:
        raise error
    return _REFUSALS.get(error.code, "refused-other")


async def press(api: ChatApi, data: AnswerData, callback_id: str) -> str:
    """Give the answer of a button; the id of the text that says what became of it.

    The callback's id is the answer's: Telegram repeating it changes nothing.
    """
    question = await api.question(data.question)
    if not 0 <= data.choice < len(question.choices):
        return "refused-forged"
    if not keyboards.plan_matches(question, data):
        return "refused-plan"
    body = AnswerRequest(answer_id=callback_id, text=question.choices[data.choice], plan_hash=question.plan_hash)
    return await soon(_given(api, question.id, body))


async def say(api: ChatApi, question: QuestionDTO, text: str, answer_id: str) -> str:
    """Give an answer in words. A choice may be called by the name that its button has, in either language."""
    body = AnswerRequest(answer_id=answer_id, text=_meant(question, text), plan_hash=question.plan_hash)
    return await soon(_given(api, question.id, body))


async def store(api: ChatApi, question: QuestionDTO, values: dict[str, SecretStr], answer_id: str) -> str:
    """Secrets go to the store; the workflow is told once it has all of them."""
    if set(values) == set(question.secret_names):
        return await soon(_given(api, question.id, AnswerRequest(answer_id=answer_id, secrets=values)))
    try:
        for name, value in values.items():
            await api.set_secret(question.project_id, name, value)
    except OrchestratorError as error:
        if error.retryable:
            raise
        return refusal(error)
    return "answer-taken"


async def missing(api: ChatApi, question: QuestionDTO) -> list[str]:
    """The names that the question asks for and that have no value yet."""
    present = {secret.name for secret in await api.secrets(question.project_id)}
    return [name for name in question.secret_names if name not in present]


def read_secrets(text: str, asked: list[str], still_missing: list[str]) -> dict[str, SecretStr]:
    """Values by name; empty when the text cannot be read. They are registered, so that no log ever shows them."""
    register_secret(text.strip())
    lines = [_SECRET_LINE.match(line) for line in text.splitlines() if line.strip()]
    named = {match[1]: match[2] for match in lines if match is not None and match[1] in asked}
    if named and len(named) == len(lines):
        found = named
    elif len(still_missing) == 1 or len(asked) == 1:
        found = {(still_missing or asked)[0]: text.strip()}
    else:
        found = {}
    for value in found.values():
        register_secret(value)
    return {name: SecretStr(value) for name, value in found.items() if value}


def names_secret(question: QuestionDTO, text: str) -> bool:
    """Whether a text has a line `NAME=value` for a secret that this question is about."""
    lines = [_SECRET_LINE.match(line) for line in text.splitlines() if line.strip()]
    return any(line is not None and line[1] in question.secret_names for line in lines)


def is_choice(question: QuestionDTO, text: str) -> bool:
    """Whether a text names one of the question's choices."""
    return _meant(question, text) in question.choices


async def soon(work: "Coroutine[object, object, str]") -> str:
    """The result if it comes soon; else the work goes on behind, and the person is told to expect it."""
    task = asyncio.create_task(work)
    _going_on.add(task)
    task.add_done_callback(_done)
    try:
        async with asyncio.timeout(_PATIENCE_S):
            return await asyncio.shield(task)
    except TimeoutError:
        return "refused-busy"


def _done(task: "asyncio.Task[object]") -> None:
    _going_on.discard(task)
    if not task.cancelled() and (error := task.exception()) is not None:
        log.warning("an answer has failed", cause=type(error).__name__)


async def _given(api: ChatApi, question_id: str, body: AnswerRequest) -> str:
    try:
        await api.answer(question_id, body)
    except OrchestratorError as error:
        log.info("an answer was refused", question=question_id, code=error.code.value)
        return refusal(error)
    return "answer-taken"


def _meant(question: QuestionDTO, text: str) -> str:
    names = {
        choice: {choice, *(_label(texts(language), choice) for language in LANGUAGES)} for choice in question.choices
    }
    for written in (str.strip, str.lower, _bare):
        said = written(text.strip())
        found = [choice for choice in names if said and said in {written(name) for name in names[choice]}]
        if len(found) == 1:
            return found[0]
    if question.kind in {QuestionKind.APPROVAL, QuestionKind.BUDGET}:
        return text.strip().lower()
    return text.strip()


def _label(texts: Texts, choice: str) -> str:
    return keyboards.choice_label(texts, choice)


def _bare(text: str) -> str:
    """Letters and digits only, in lower case: people leave out pictures and full stops."""
    return "".join(character for character in text.lower() if character.isalnum() or character.isspace()).strip()
