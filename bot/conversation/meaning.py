"""What a plain text means: a new wish, an answer, or a secret that arrived too late."""

import re
from dataclasses import dataclass
from datetime import timedelta

from aiogram.types import Message

from bot.conversation import answers, typed_secrets
from bot.conversation.access import Person
from bot.conversation.context import BotContext
from contracts.base import utc_now
from contracts.chat import WISH, ChatScreenDTO
from contracts.errors import ErrorCode, OrchestratorError
from contracts.questions import QuestionDTO
from contracts.states import QuestionKind, QuestionState
from runtime.chat_client import ChatApi

# Stored in the API with the update's id, so values must not change.
LATE_SECRET, AMBIGUOUS, AMBIGUOUS_SECRET = "late-secret", "which", "which-secret"
UNNAMED_SECRET, NOT_YOURS, NOTHING_ASKED = "secret-unnamed", "not-yours", "nothing"
DOUBT = "answer-or-wish"

_POLITE = re.compile(
    r"(?:(?:please|now|also|then|and|hi|hello|ok|okay|пожалуйста|теперь|также|ещё|еще|потом|а|и|ну|привет)[\s,!]+)*"
    r"(?:(?:can|could|would|will)\s+you\s+(?:please\s+)?|let(?:['’]s|\s+us)\s+|"
    r"(?:давай(?:те)?|можешь|можете|можно|не\s+мог\w*\s+бы\s+(?:ты|вы))\s+(?:ли\s+)?)?"
)
_THING = re.compile(
    r"(?:(?:tele?gram|chat|web)?[\s-]?bot|service|app|application|shop|store|list|library|web\s?site|site|tracker|game|"
    r"blog|catalogu?e?|project)"
)
_RUSSIAN_THING = re.compile(
    r"(?:(?:(?:телеграмм?|чат)[\s-]?)?бот|сервис|приложение|магазин|сайт|каталог|уч[её]т|список|трекер|библиотека|"
    r"блог|игра)"
)
_NEW = re.compile(
    rf"\W*{_POLITE.pattern}(?:"
    r"(?:make|create|build|write|develop|start|give)\s+(?:me\s+|us\s+)?(?:an?|my|our|another|one|some)\b|"
    r"(?:i|we)(?:['’]d)?\s+(?:want|need|like|would\s+like)\s+(?:an?|another|some)\b|"
    rf"an?\s+(?:[\w-]+\s+){{0,3}}{_THING.pattern}\b|(?:[\w-]+\s+)?{_THING.pattern}\s+(?:that|which|with|for)\b|"
    rf"(?:another|(?:a\s+)?new)\s+(?:one|{_THING.pattern})\b|"
    r"(?:сделай|создай|напиши|разработай|собери|построй)(?:те)?\b|(?:сделать|сделаем|создать|создадим|написать)\b|"
    r"(?:(?:мне|нам)\s+)?(?:нуж(?:ен|на|но|ны)|хочу|хотим|хотелось\s+бы|требуется)\b|"
    rf"(?:нов\w+|другой|другая|один|одна)\s+(?:проект|задача|{_RUSSIAN_THING.pattern})\b|{_RUSSIAN_THING.pattern}\b)",
    re.IGNORECASE,
)
"""Too much rather than too little: a doubt costs one press, an answer that was none costs the description."""
_NAMED_LIST = re.compile(r"\s*(?:[^\W\d_][\w-]*\s+){1,9}[^\W\d_][\w-]*:\s+\S", re.DOTALL)
"""`A library with books: title, author`."""
_LIST = re.compile(r"\s*[^\W\d_][\w-]*:\s+\S")
"""`Books: title`: a natural answer to the question what to build, and to no other."""
_LATE_SECRET_PERIOD = timedelta(minutes=15)
"""A person may send a secret twice, or after its question was closed. Such a text must not become a wish."""
_MIN_SECRET_LENGTH = 8


@dataclass(frozen=True)
class Meaning:
    """`subject` is WISH, one of the constants above, or the id of `question`.

    LATE_SECRET: the question about a secret was closed less than 15 minutes ago. AMBIGUOUS: several questions are open;
    AMBIGUOUS_SECRET: one of them asks for a secret. UNNAMED_SECRET: maybe the secret that another chat was asked for.
    DOUBT: `question` is open, and the text reads like a new description.
    NOT_YOURS, NOTHING_ASKED: a reply to another person's task, or to a task that asks nothing.
    """

    subject: str
    question: QuestionDTO | None = None


async def interpret(context: BotContext, person: Person, message: Message) -> Meaning:
    """Decide by the message replied to; otherwise by this chat's open questions and by secrets asked for elsewhere."""
    screen = await _screen_replied_to(context, person, message)
    if screen is not None:
        return _of_reply(message, screen, await _questions(person.api, [screen]))
    recent = [screen for screen in person.screens if _is_recent(screen)]
    here = await _questions(person.api, [screen for screen in recent if screen.chat_id == message.chat.id])
    elsewhere = await _questions(person.api, [screen for screen in recent if screen.chat_id != message.chat.id])
    secrets = [question for question in elsewhere if question.kind is QuestionKind.SECRET]
    return _of_text(message.text or "", here, secrets)


async def _screen_replied_to(context: BotContext, person: Person, message: Message) -> ChatScreenDTO | None:
    replied = message.reply_to_message
    if replied is None:
        return None
    key = (message.chat.id, replied.message_id)
    known = next((screen for screen in person.screens if (screen.chat_id, screen.message_id) == key), None)
    if known is not None:
        return known
    found = await context.api.screens(context.bot_id, chat_id=message.chat.id, message_id=replied.message_id)
    return found[0] if found else None


def _of_reply(message: Message, screen: ChatScreenDTO, questions: list[QuestionDTO]) -> Meaning:
    open_questions = [question for question in questions if question.state is QuestionState.OPEN]
    if open_questions:
        return _one_of(open_questions)
    if any(_recently_asked_for_secret(question) for question in questions):
        return Meaning(LATE_SECRET)
    own = message.from_user is not None and screen.user_id == message.from_user.id
    return Meaning(NOTHING_ASKED if own else NOT_YOURS)


def _of_text(text: str, here: list[QuestionDTO], secrets_elsewhere: list[QuestionDTO]) -> Meaning:
    naming = [question for question in [*here, *secrets_elsewhere] if typed_secrets.names_secret(question, text)]
    named = [question for question in naming if question.state is QuestionState.OPEN]
    if len(named) == 1:
        return Meaning(named[0].id, named[0])
    open_questions = [question for question in here if question.state is QuestionState.OPEN]
    late = any(_recently_asked_for_secret(question) for question in here)
    if len(open_questions) == 1 and late and not _fits_only(open_questions[0], text):
        return Meaning(LATE_SECRET)
    if len(open_questions) == 1 and _reads_like_wish(open_questions[0], text):
        return Meaning(DOUBT, open_questions[0])
    if open_questions:
        return _one_of(open_questions)
    if late or any(_recently_asked_for_secret(question) for question in naming):
        return Meaning(LATE_SECRET)
    waiting = [question for question in secrets_elsewhere if question.state is QuestionState.OPEN]
    one_word = len(text.split()) == 1 and len(text) >= _MIN_SECRET_LENGTH
    if waiting and (one_word or any(name in text for question in waiting for name in question.secret_names)):
        return Meaning(UNNAMED_SECRET)
    return Meaning(WISH)


def _one_of(open_questions: list[QuestionDTO]) -> Meaning:
    if len(open_questions) == 1:
        return Meaning(open_questions[0].id, open_questions[0])
    secret = any(question.kind is QuestionKind.SECRET for question in open_questions)
    return Meaning(AMBIGUOUS_SECRET if secret else AMBIGUOUS)


def _reads_like_wish(question: QuestionDTO, text: str) -> bool:
    """Whether a text that answers nothing by its form begins as descriptions of new services do."""
    if question.kind is QuestionKind.SECRET or answers.is_choice(question, text):
        return False
    if question.kind is not QuestionKind.CLARIFICATION and _LIST.match(text):
        return True
    return _NEW.match(text) is not None or (_NAMED_LIST.match(text) is not None and bool(question.choices))


def _fits_only(question: QuestionDTO, text: str) -> bool:
    """Whether a text can only belong to this question although another one recently asked for a secret."""
    return question.kind is QuestionKind.SECRET or answers.is_choice(question, text)


async def _questions(api: ChatApi, screens: list[ChatScreenDTO]) -> list[QuestionDTO]:
    """Open and closed questions of these screens' tasks, as far as the person may see them."""
    found: list[QuestionDTO] = []
    for task_id in dict.fromkeys(screen.task_id for screen in screens if screen.task_id):
        try:
            found += (await api.tree(task_id)).questions
        except OrchestratorError as error:
            if error.code is not ErrorCode.NOT_FOUND:  # somebody else's task, or one that has just begun
                raise
    return found


def _is_recent(screen: ChatScreenDTO) -> bool:
    return not screen.final or utc_now() - screen.updated_at < _LATE_SECRET_PERIOD


def _recently_asked_for_secret(question: QuestionDTO) -> bool:
    if question.kind is not QuestionKind.SECRET or question.closed_at is None:
        return False
    return utc_now() - question.closed_at < _LATE_SECRET_PERIOD
