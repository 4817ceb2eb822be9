"""Pressed buttons. Callback data can be forged and only names things; the platform checks what the person may do."""

from aiogram import Router
from aiogram.types import CallbackQuery, Message

from bot.conversation import answers
from bot.conversation.access import Person
from bot.conversation.context import BotContext
from bot.rendering import views
from bot.rendering.keyboards import AnswerData, CancelData, DoubtData, FailedTaskData, LanguageData
from bot.rendering.views import View
from bot.routers.wishes import accept_wish
from bot.tasks import naming
from bot.tasks.task_message import last_stage
from bot.texts import LANGUAGES, texts
from contracts.chat import ChatScreenDTO, ChatScreenOpen
from contracts.errors import ErrorCode, OrchestratorError
from contracts.nouns import TaskDTO
from contracts.retries import TaskRetry
from contracts.states import TaskState


def make_router() -> Router:
    router = Router(name="callbacks")
    router.callback_query.register(_answer, AnswerData.filter())
    router.callback_query.register(_cancel, CancelData.filter())
    router.callback_query.register(_failed_task, FailedTaskData.filter())
    router.callback_query.register(_doubt, DoubtData.filter())
    router.callback_query.register(_language, LanguageData.filter())
    router.callback_query.register(_unknown)
    return router


async def _answer(query: CallbackQuery, callback_data: AnswerData, person: Person, context: BotContext) -> None:
    try:
        outcome = await answers.answer_by_button(person.api, callback_data, query.id)
    except OrchestratorError as error:
        outcome = answers.refusal(error)
    await _reply(query, person, context, outcome)


async def _doubt(query: CallbackQuery, callback_data: DoubtData, person: Person, context: BotContext) -> None:
    """A text was an answer or a new description: the first press decides. It is the message replied to."""
    said = query.message.reply_to_message if isinstance(query.message, Message) else None
    if said is None or not said.text or said.from_user is None or said.from_user.id != person.user_id:
        await _reply(query, person, context, "refused-text-gone")
        return
    try:
        outcome = await _meant(callback_data, said, person, context)
    except OrchestratorError as error:
        outcome = "refused-chosen" if error.code is ErrorCode.CONFLICT else answers.refusal(error)
    if query.message is not None and not outcome.startswith("refused"):
        view = View(person.texts(f"doubt-{callback_data.meant}"))
        await context.sender.edit(query.message.chat.id, query.message.message_id, lambda: view)
    await _reply(query, person, context, outcome)


async def _meant(data: DoubtData, said: Message, person: Person, context: BotContext) -> str:
    chosen = naming.screen_id_of_doubt(context.bot_id, data.update)
    if data.meant == "wish":
        await accept_wish(context, person, said, data.update, said.text or "", chosen)
        return ""
    if (await context.api.mark_update(chosen, data.question)).subject != data.question:
        return "refused-chosen"
    question = await person.api.question(data.question)
    return await answers.answer_in_words(person.api, question, said.text or "", chosen)


async def _cancel(query: CallbackQuery, callback_data: CancelData, person: Person, context: BotContext) -> None:
    try:
        task = await person.api.task(callback_data.task)
        if callback_data.step != "sure":
            await _reply(query, person, context, _confirm_cancel(context, task, shown=callback_data.step == "ask"))
            return
        await person.api.cancel_task(task.id)
        outcome = "cancel-taken"
    except OrchestratorError as error:
        outcome = answers.refusal(error)
    await _reply(query, person, context, outcome)


def _confirm_cancel(context: BotContext, task: TaskDTO, *, shown: bool) -> str:
    message = context.task_messages.of_task(task.id)
    if message is None or task.state.is_final:
        return "refused-ended"
    message.confirm_cancel(shown=shown)
    return ""


async def _failed_task(
    query: CallbackQuery, callback_data: FailedTaskData, person: Person, context: BotContext
) -> None:
    """Only from the message that shows the task, and only for people who may see the task."""
    try:
        task = await person.api.task(callback_data.task)
        screen = await _screen_of(query, context)
        if screen is None or screen.task_id != task.id:
            outcome = "refused-forged"
        elif task.state not in {TaskState.FAILED, TaskState.CANCELLED}:
            outcome = "refused-ended"
        else:
            outcome = await _act(callback_data.action, person, context, screen, task)
    except OrchestratorError as error:
        outcome = answers.refusal(error)
    await _reply(query, person, context, outcome)


async def _act(action: str, person: Person, context: BotContext, screen: ChatScreenDTO, task: TaskDTO) -> str:
    if action == "again":
        await _go_on(person, context, screen, task)
    project = (await person.api.project(task.subject.id)).project.name
    stage = await last_stage(person.api, task)
    view = views.final(texts(screen.language), screen, project, task, stage, details=action == "details")
    shown = view if action == "details" else View(view.text)
    if screen.message_id is not None:
        await context.sender.edit(screen.chat_id, screen.message_id, lambda: shown)
    return "again-taken" if action == "again" else ""


async def _go_on(person: Person, context: BotContext, screen: ChatScreenDTO, task: TaskDTO) -> None:
    """Go on where the task ended; if nobody knows any more what it was started with, do the same anew."""
    try:
        task_id = (await person.api.retry_task(task.id, TaskRetry())).task_id
    except OrchestratorError as error:
        if error.code is not ErrorCode.CONFLICT:
            raise
        task_id = None
    retry = ChatScreenOpen(
        bot_id=screen.bot_id,
        chat_id=screen.chat_id,
        user_id=screen.user_id,
        language=screen.language,
        wish=screen.wish,
        project_id=task.subject.id,
        task_id=task_id,
    )
    context.task_messages.open(await context.api.open_screen(naming.screen_id_of_retry(task.id), retry))


async def _screen_of(query: CallbackQuery, context: BotContext) -> ChatScreenDTO | None:
    if query.message is None:
        return None
    place = {"chat_id": query.message.chat.id, "message_id": query.message.message_id}
    found = await context.api.screens(context.bot_id, **place)
    return found[0] if found else None


async def _language(query: CallbackQuery, callback_data: LanguageData, person: Person, context: BotContext) -> None:
    chosen = next((language for language in LANGUAGES if language == callback_data.language), None)
    if chosen is None or query.message is None:
        await _reply(query, person, context, "refused-forged")
        return
    if await _screen_of(query, context) is not None:
        # A task message has no language button; editing it would overwrite the task.
        await _reply(query, person, context, "refused-forged")
        return
    await person.api.choose_language(chosen)
    if query.message.chat.type == "private":
        view = View(texts(chosen)("language-chosen"))
        await context.sender.edit(query.message.chat.id, query.message.message_id, lambda: view)
        await context.sender.answer_callback(query.id)
    else:
        # In a group the menu stays for the other members.
        await context.sender.answer_callback(query.id, texts(chosen).plain("language-chosen"))


async def _unknown(query: CallbackQuery, person: Person, context: BotContext) -> None:
    await _reply(query, person, context, "refused-forged")


async def _reply(query: CallbackQuery, person: Person, context: BotContext, text_id: str) -> None:
    """Show an error as an alert, which has to be closed, and success as a notification, which disappears."""
    text = person.texts.plain(text_id) if text_id else ""
    await context.sender.answer_callback(query.id, text, alert=text_id.startswith("refused"))
