"""What a plain text means: a new wish, an answer, or a secret that came too late."""

from dataclasses import dataclass
from datetime import timedelta

from aiogram.types import Message

from bot import answers
from bot.desk import Desk
from bot.people import Person
from contracts.base import utc_now
from contracts.chat import WISH, ChatScreenDTO
from contracts.ids import child_task_id
from contracts.questions import QuestionDTO
from contracts.states import QuestionKind, QuestionState, TaskKind
from runtime.chat_client import ChatApi

LATE_SECRET, WHICH, WHICH_SECRET, UNNAMED = "late-secret", "which", "which-secret", "secret-unnamed"
NOT_YOURS, NOTHING = "not-yours", "nothing"
_SECRET_MAY_FOLLOW = timedelta(minutes=15)
"""Whoever was asked for a secret may send it twice, or after the end: such a text must not become a wish."""
_SHORTEST_SECRET = 8


@dataclass(frozen=True)
class Meaning:
    """`subject` is `WISH`, one of the words above or the id of a question, with that question.

    WHICH_SECRET: several answers are waited for, and one is a secret. UNNAMED: it may be the secret that was asked for
    in another chat.
    """

    subject: str
    question: QuestionDTO | None = None


async def meaning(desk: Desk, person: Person, message: Message) -> Meaning:
    """Decide by what the person replies to, else by what is open in this chat, else by secrets asked for elsewhere."""
    target = await _target(desk, person, message)
    if target is not None:
        return _of_reply(message, target, await _questions(person.api, [target]))
    fresh = [screen for screen in person.shown if _is_fresh(screen)]
    here = await _questions(person.api, [screen for screen in fresh if screen.chat_id == message.chat.id])
    elsewhere = await _questions(person.api, [screen for screen in fresh if screen.chat_id != message.chat.id])
    secrets = [question for question in elsewhere if question.kind is QuestionKind.SECRET]
    return _of_text(message.text or "", here, secrets)


async def _target(desk: Desk, person: Person, message: Message) -> ChatScreenDTO | None:
    """The screen that the person replies to."""
    replied = message.reply_to_message
    if replied is None:
        return None
    place = (message.chat.id, replied.message_id)
    known = next((screen for screen in person.shown if (screen.chat_id, screen.message_id) == place), None)
    if known is not None:
        return known
    found = await desk.api.screens(desk.bot_id, chat_id=message.chat.id, message_id=replied.message_id)
    return found[0] if found else None


def _of_reply(message: Message, target: ChatScreenDTO, questions: list[QuestionDTO]) -> Meaning:
    open_ones = [question for question in questions if question.state is QuestionState.OPEN]
    if open_ones:
        return _one_of(open_ones)
    if any(_asked_for_secret_lately(question) for question in questions):
        return Meaning(LATE_SECRET)
    # A reply to a screen that asks nothing is no wish either.
    mine = message.from_user is not None and target.user_id == message.from_user.id
    return Meaning(NOTHING if mine else NOT_YOURS)


def _of_text(text: str, here: list[QuestionDTO], secrets_elsewhere: list[QuestionDTO]) -> Meaning:
    asked = [question for question in [*here, *secrets_elsewhere] if answers.names_secret(question, text)]
    named = [question for question in asked if question.state is QuestionState.OPEN]
    if len(named) == 1:
        return Meaning(named[0].id, named[0])
    open_ones = [question for question in here if question.state is QuestionState.OPEN]
    late = any(_asked_for_secret_lately(question) for question in here)
    if len(open_ones) == 1 and late and not _is_meant(open_ones[0], text):
        return Meaning(LATE_SECRET)
    if open_ones:
        return _one_of(open_ones)
    if late or any(_asked_for_secret_lately(question) for question in asked):
        return Meaning(LATE_SECRET)
    waiting = [question for question in secrets_elsewhere if question.state is QuestionState.OPEN]
    alone = len(text.split()) == 1 and len(text) >= _SHORTEST_SECRET
    if waiting and (alone or any(name in text for question in waiting for name in question.secret_names)):
        return Meaning(UNNAMED)
    return Meaning(WISH)


def _one_of(open_ones: list[QuestionDTO]) -> Meaning:
    if len(open_ones) == 1:
        return Meaning(open_ones[0].id, open_ones[0])
    secret = any(question.kind is QuestionKind.SECRET for question in open_ones)
    return Meaning(WHICH_SECRET if secret else WHICH)


def _is_meant(question: QuestionDTO, text: str) -> bool:
    """Whether a text can only be for this question, shortly after another one was about a secret."""
    return question.kind is QuestionKind.SECRET or answers.is_choice(question, text)


async def _questions(api: ChatApi, screens: list[ChatScreenDTO]) -> list[QuestionDTO]:
    """Of every state, of what these screens show and this person may see."""
    started = [screen for screen in screens if screen.task_id and screen.project_id]
    trees = {task for screen in started for task in _tree(screen.task_id or "")}
    found = []
    for project_id in dict.fromkeys(screen.project_id for screen in started):
        found += [q for q in await api.questions(project_id=project_id, state=None) if q.task_id in trees]
    return found


def _tree(task_id: str) -> list[str]:
    return [task_id, *(child_task_id(task_id, kind) for kind in (TaskKind.ENGINEERING, TaskKind.DEPLOY))]


def _is_fresh(screen: ChatScreenDTO) -> bool:
    return not screen.final or utc_now() - screen.updated_at < _SECRET_MAY_FOLLOW


def _asked_for_secret_lately(question: QuestionDTO) -> bool:
    if question.kind is not QuestionKind.SECRET or question.closed_at is None:
        return False
    return utc_now() - question.closed_at < _SECRET_MAY_FOLLOW
