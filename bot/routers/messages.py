"""Messages that are not commands: a wish, an answer or a secret."""

import re

import structlog
from aiogram import F, Router
from aiogram.types import Message, Update

from bot.conversation import answers, meaning, typed_secrets
from bot.conversation.access import Person
from bot.conversation.context import BotContext
from bot.rendering import keyboards
from bot.rendering.views import View
from bot.routers.wishes import accept_wish
from bot.tasks import naming
from bot.texts import Markup
from contracts.chat import WISH
from contracts.errors import ErrorCode, OrchestratorError
from contracts.questions import QuestionDTO
from contracts.states import QuestionKind

_COMMAND = re.compile(r"/[a-z_]{1,32}(@\w+)?(\s|\Z)")
"""Text that only starts with a slash, such as a secret in base64, is not a command."""

log = structlog.get_logger(__name__)


def make_router() -> Router:
    router = Router(name="messages")
    router.message.register(_unknown_command, F.text.regexp(_COMMAND), F.chat.type == "private")
    router.message.register(_on_text, F.text, (F.chat.type == "private") | F.reply_to_message.from_user.is_bot)
    router.message.register(_not_text, F.chat.type == "private")
    return router


async def _unknown_command(message: Message, person: Person, context: BotContext) -> None:
    await context.sender.notify(message.chat.id, View(person.texts("unknown-command")))


async def _not_text(message: Message, person: Person, context: BotContext) -> None:
    await context.sender.notify(message.chat.id, View(person.texts("only-text")))


async def _on_text(message: Message, event_update: Update, person: Person, context: BotContext) -> None:
    """The API stores the meaning of each update, but not its text: delivered again, it means the same as before."""
    private = message.chat.type == "private"
    if not private and not _replies_to_bot(message, context):
        return
    found = await meaning.interpret(context, person, message)
    if found.subject == WISH and private and (message.text or "").startswith("/"):
        await _unknown_command(message, person, context)
        return
    if found.subject == WISH and private and await _accept_as_wish(message, event_update, person, context):
        return
    mark = await context.api.mark_update(naming.screen_id(context.bot_id, event_update.update_id), found.subject)
    if mark.known and mark.subject != found.subject:
        found = meaning.Meaning(mark.subject)
    if found.subject == WISH:
        # In a group, people talk to each other.
        if private:
            await _accept_as_wish(message, event_update, person, context)
    elif found.subject == meaning.LATE_SECRET:
        await _refuse_late_secret(message, person, context, notified=mark.known)
    elif found.subject in {meaning.AMBIGUOUS_SECRET, meaning.UNNAMED_SECRET}:
        text = "answer-which" if found.subject == meaning.AMBIGUOUS_SECRET else "answer-secret-unnamed"
        await _delete_and_reply(message, person, context, text, notified=mark.known)
    elif found.subject == meaning.DOUBT:
        await _ask_what_was_meant(message, event_update, person, context, found.question)
    elif found.subject == meaning.AMBIGUOUS:
        await _reply(message, person, context, "answer-which")
    elif found.subject == meaning.NOT_YOURS:
        await _reply(message, person, context, "refused-not-yours")
    elif found.subject == meaning.NOTHING_ASKED:
        await _reply(message, person, context, "answer-nothing-asked")
    else:
        question = found.question or await person.api.question(found.subject)
        await _answer(message, mark.id, person, context, question)


async def _ask_what_was_meant(
    message: Message, event_update: Update, person: Person, context: BotContext, question: QuestionDTO | None
) -> None:
    """The buttons stand below a reply, because only that carries the text to the press: nobody stores it."""
    if question is None:
        # Delivered again after the question was closed: the person was asked the first time.
        return
    keyboard = keyboards.for_doubt(person.texts, question, event_update.update_id)
    view = View(person.texts("doubt"), keyboard)
    await context.sender.notify(message.chat.id, view, reply_to=message.message_id)


async def _accept_as_wish(message: Message, event_update: Update, person: Person, context: BotContext) -> bool:
    """True if the text was accepted as a wish; False if the same update meant something else the first time."""
    try:
        await accept_wish(context, person, message, event_update.update_id, message.text or "")
    except OrchestratorError as error:
        if error.code is not ErrorCode.CONFLICT:
            raise
        return False
    return True


async def _answer(message: Message, answer_id: str, person: Person, context: BotContext, question: QuestionDTO) -> None:
    text = message.text or ""
    if question.kind is QuestionKind.SECRET and not answers.is_choice(question, text):
        await _answer_with_secret(message, answer_id, person, context, question)
        return
    outcome = await answers.answer_in_words(person.api, question, text, answer_id)
    if outcome != "answer-taken":
        await _reply(message, person, context, outcome)


async def _answer_with_secret(
    message: Message, answer_id: str, person: Person, context: BotContext, question: QuestionDTO
) -> None:
    """Store the secret, then delete the message; the person is told if deleting fails."""
    if message.chat.type != "private":
        await context.sender.delete(message.chat.id, message.message_id)
        await _reply(message, person, context, "answer-secret-group", quote=False)
        return
    missing = await answers.missing_secrets(person.api, question)
    values = typed_secrets.read_secrets(message.text or "", question.secret_names, missing)
    if not values:
        await _delete_and_reply(message, person, context, "answer-secret-format", names=", ".join(missing))
        return
    outcome = await answers.store_secrets(person.api, question, values, answer_id)
    deleted = await context.sender.delete(message.chat.id, message.message_id)
    if outcome != "answer-taken":
        await _reply(message, person, context, outcome, quote=False)
    if outcome == "answer-taken" or not deleted:
        text = "answer-secret-kept" if deleted else "answer-secret-not-deleted"
        await context.sender.notify(message.chat.id, View(person.texts(text, names=", ".join(values))))


async def _refuse_late_secret(message: Message, person: Person, context: BotContext, *, notified: bool) -> None:
    deleted = await context.sender.delete(message.chat.id, message.message_id)
    if not notified:
        text = "answer-secret-late" if deleted else "answer-secret-late-not-deleted"
        await _reply(message, person, context, text, quote=False)


async def _delete_and_reply(
    message: Message, person: Person, context: BotContext, text_id: str, *, notified: bool = False, **values: str
) -> None:
    """A text that may be a secret must not stay in the chat."""
    deleted = await context.sender.delete(message.chat.id, message.message_id)
    if not notified:
        lines = [person.texts(text_id, **values), person.texts("message-deleted" if deleted else "message-not-deleted")]
        await context.sender.notify(message.chat.id, View(Markup("\n".join(lines))))


def _replies_to_bot(message: Message, context: BotContext) -> bool:
    """In a group, people also talk to each other and to other bots."""
    replied = message.reply_to_message
    return replied is not None and replied.from_user is not None and replied.from_user.id == context.bot_id


async def _reply(message: Message, person: Person, context: BotContext, text_id: str, *, quote: bool = True) -> None:
    reply_to = message.message_id if quote else None
    await context.sender.notify(message.chat.id, View(person.texts(text_id)), reply_to=reply_to)
