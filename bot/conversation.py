"""What a plain text means: a new wish, an answer, or a secret that came too late."""

from dataclasses import dataclass
from datetime import timedelta

from aiogram.types import Message

from bot.desk import Desk
from bot.people import Person
from contracts.base import utc_now
from contracts.chat import WISH, ChatScreenDTO
from contracts.ids import child_task_id
from contracts.questions import QuestionDTO
from contracts.states import QuestionKind, QuestionState, TaskKind
from runtime.chat_client import ChatApi

LATE_SECRET, WHICH = "late-secret", "which"
NOT_YOURS, NOTHING = "not-yours", "nothing"
_SECRET_MAY_FOLLOW = timedelta(minutes=15)
"""Whoever was asked for a secret may send it twice, or after the end: such a text must not become a wish."""


@dataclass(frozen=True)
class Meaning:
    """`subject` is `WISH`, one of the words above or the id of a question, with that question."""

    subject: str
    question: QuestionDTO | None = None


async def meaning(desk: Desk, person: Person, message: Message) -> Meaning:
    """Decide by what the person replies to, else by what is open in this chat."""
    replied = message.reply_to_message
    target = next((screen for screen in person.shown if replied and screen.message_id == replied.message_id), None)
    if target is None and replied is not None:
        found = await desk.api.screens(desk.bot_id, chat_id=message.chat.id, message_id=replied.message_id)
        target = found[0] if found else None
    about = [target] if target is not None else [screen for screen in person.shown if _is_fresh(screen)]
    questions = await _questions(person.api, about)
    open_ones = [question for question in questions if question.state is QuestionState.OPEN]
    if len(open_ones) == 1:
        return Meaning(open_ones[0].id, open_ones[0])
    if open_ones:
        return Meaning(WHICH)
    if any(_asked_for_secret_lately(question) for question in questions):
        return Meaning(LATE_SECRET)
    if target is None:
        return Meaning(WISH)
    # A reply to a screen that asks nothing is no wish either.
    mine = message.from_user is not None and target.user_id == message.from_user.id
    return Meaning(NOTHING if mine else NOT_YOURS)


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
