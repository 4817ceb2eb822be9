"""Plain text: a wish, an answer, or a secret; and what is not text."""

import re

import structlog
from aiogram import F, Router
from aiogram.types import Message, Update

from bot import answers, conversation, naming
from bot.conversation import Meaning
from bot.desk import Desk
from bot.people import Person
from bot.routers.wishes import wish
from bot.texts import Markup
from bot.views import View
from contracts.chat import WISH
from contracts.errors import ErrorCode, OrchestratorError
from contracts.questions import QuestionDTO
from contracts.states import QuestionKind

_COMMAND = re.compile(r"/[a-z_]{1,32}(@\w+)?(\s|\Z)")
"""What begins like one and is none, such as a secret in base64, is a text."""

log = structlog.get_logger(__name__)


def make() -> Router:
    router = Router(name="words")
    router.message.register(_unknown_command, F.text.regexp(_COMMAND), F.chat.type == "private")
    router.message.register(_said, F.text, (F.chat.type == "private") | F.reply_to_message.from_user.is_bot)
    router.message.register(_not_text, F.chat.type == "private")
    return router


async def _unknown_command(message: Message, person: Person, desk: Desk) -> None:
    await desk.post.tell(message.chat.id, View(person.texts("unknown-command")))


async def _not_text(message: Message, person: Person, desk: Desk) -> None:
    await desk.post.tell(message.chat.id, View(person.texts("only-text")))


async def _said(message: Message, event_update: Update, person: Person, desk: Desk) -> None:
    """The meaning is kept by the update's id, and the text is not: repeated, it means what it meant first."""
    private = message.chat.type == "private"
    if not private and not _replies_to_us(message, desk):
        return
    found = await conversation.meaning(desk, person, message)
    if found.subject == WISH and private and (message.text or "").startswith("/"):
        await _unknown_command(message, person, desk)
        return
    if found.subject == WISH and private and await _wished(message, event_update, person, desk):
        return
    mark = await desk.api.mark_update(naming.screen_id(desk.bot_id, event_update.update_id), found.subject)
    if mark.known and mark.subject != found.subject:
        found = Meaning(mark.subject)
    if found.subject == WISH:
        # In groups people talk to each other.
        if private:
            await _wished(message, event_update, person, desk)
    elif found.subject == conversation.LATE_SECRET:
        await _refuse_late_secret(message, person, desk, told=mark.known)
    elif found.subject in {conversation.WHICH_SECRET, conversation.UNNAMED}:
        text = "answer-which" if found.subject == conversation.WHICH_SECRET else "answer-secret-unnamed"
        await _take_back(message, person, desk, text, told=mark.known)
    elif found.subject == conversation.WHICH:
        await _tell(message, person, desk, "answer-which")
    elif found.subject == conversation.NOT_YOURS:
        await _tell(message, person, desk, "refused-not-yours")
    elif found.subject == conversation.NOTHING:
        await _tell(message, person, desk, "refused-ended")
    else:
        question = found.question or await person.api.question(found.subject)
        await _answer(message, mark.id, person, desk, question)


async def _wished(message: Message, event_update: Update, person: Person, desk: Desk) -> bool:
    """Whether the text is done with as a wish; not when its update meant something else before."""
    try:
        await wish(desk, person, message, event_update.update_id, message.text or "")
    except OrchestratorError as error:
        if error.code is not ErrorCode.CONFLICT:
            raise
        return False
    return True


async def _answer(message: Message, answer_id: str, person: Person, desk: Desk, question: QuestionDTO) -> None:
    text = message.text or ""
    if question.kind is QuestionKind.SECRET and not answers.is_choice(question, text):
        await _answer_with_secret(message, answer_id, person, desk, question)
        return
    outcome = await answers.say(person.api, question, text, answer_id)
    if outcome != "answer-taken":
        await _tell(message, person, desk, outcome)


async def _answer_with_secret(
    message: Message, answer_id: str, person: Person, desk: Desk, question: QuestionDTO
) -> None:
    """Into the store, then out of the chat; if that fails, the person is told."""
    if message.chat.type != "private":
        await desk.post.delete(message.chat.id, message.message_id)
        await _tell(message, person, desk, "answer-secret-group", reply=False)
        return
    left = await answers.missing(person.api, question)
    values = answers.read_secrets(message.text or "", question.secret_names, left)
    outcome = await answers.store(person.api, question, values, answer_id) if values else "answer-secret-format"
    deleted = await desk.post.delete(message.chat.id, message.message_id)
    if outcome not in {"answer-taken", "answer-secret-format"}:
        await _tell(message, person, desk, outcome, reply=False)
    names = ", ".join(values or left)
    text = "answer-secret-format"
    if values:
        text = "answer-secret-kept" if deleted else "answer-secret-not-deleted"
    if outcome in {"answer-taken", "answer-secret-format"} or not deleted:
        await desk.post.tell(message.chat.id, View(person.texts(text, names=names)))


async def _refuse_late_secret(message: Message, person: Person, desk: Desk, *, told: bool) -> None:
    deleted = await desk.post.delete(message.chat.id, message.message_id)
    if not told:
        text = "answer-secret-late" if deleted else "answer-secret-late-not-deleted"
        await _tell(message, person, desk, text, reply=False)


async def _take_back(message: Message, person: Person, desk: Desk, text_id: str, *, told: bool) -> None:
    """A text that may be a secret does not stay in the chat."""
    deleted = await desk.post.delete(message.chat.id, message.message_id)
    if not told:
        lines = [person.texts(text_id), person.texts("message-deleted" if deleted else "message-not-deleted")]
        await desk.post.tell(message.chat.id, View(Markup("\n".join(lines))))


def _replies_to_us(message: Message, desk: Desk) -> bool:
    """In groups people talk to each other, and to other bots."""
    replied = message.reply_to_message
    return replied is not None and replied.from_user is not None and replied.from_user.id == desk.bot_id


async def _tell(message: Message, person: Person, desk: Desk, text_id: str, *, reply: bool = True) -> None:
    reply_to = message.message_id if reply else None
    await desk.post.tell(message.chat.id, View(person.texts(text_id)), reply_to=reply_to)
