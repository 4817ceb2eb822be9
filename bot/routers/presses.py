"""Pressed buttons. Their data only names things: what is allowed, the platform decides for the person who pressed."""

from aiogram import Router
from aiogram.types import CallbackQuery

from bot import answers, naming, views
from bot.desk import Desk
from bot.journey import last_stage
from bot.keyboards import AfterData, AnswerData, CancelData, LanguageData
from bot.people import Person
from bot.texts import LANGUAGES, texts
from bot.views import View
from contracts.chat import ChatScreenDTO, ChatScreenOpen
from contracts.errors import OrchestratorError
from contracts.nouns import TaskDTO
from contracts.states import TaskState


def make() -> Router:
    router = Router(name="presses")
    router.callback_query.register(_answer, AnswerData.filter())
    router.callback_query.register(_cancel, CancelData.filter())
    router.callback_query.register(_after, AfterData.filter())
    router.callback_query.register(_language, LanguageData.filter())
    router.callback_query.register(_unknown)
    return router


async def _answer(query: CallbackQuery, callback_data: AnswerData, person: Person, desk: Desk) -> None:
    try:
        outcome = await answers.press(person.api, callback_data, query.id)
    except OrchestratorError as error:
        outcome = answers.refusal(error)
    await _reply(query, person, desk, outcome)


async def _cancel(query: CallbackQuery, callback_data: CancelData, person: Person, desk: Desk) -> None:
    try:
        task = await person.api.task(callback_data.task)
        if callback_data.step != "sure":
            await _reply(query, person, desk, _ask(desk, task, asking=callback_data.step == "ask"))
            return
        await person.api.cancel_task(task.id)
        outcome = "cancel-taken"
    except OrchestratorError as error:
        outcome = answers.refusal(error)
    await _reply(query, person, desk, outcome)


def _ask(desk: Desk, task: TaskDTO, *, asking: bool) -> str:
    journey = desk.screens.of_task(task.id)
    if journey is None or task.state.is_final:
        return "refused-ended"
    journey.ask_whether_to_cancel(asking=asking)
    return ""


async def _after(query: CallbackQuery, callback_data: AfterData, person: Person, desk: Desk) -> None:
    """Only on the very message that shows the task, and only for whom the platform shows it."""
    try:
        task = await person.api.task(callback_data.task)
        screen = await _screen_of(query, desk)
        if screen is None or screen.task_id != task.id:
            outcome = "refused-forged"
        elif task.state not in {TaskState.FAILED, TaskState.CANCELLED}:
            outcome = "refused-ended"
        else:
            outcome = await _do(callback_data.do, person, desk, screen, task)
    except OrchestratorError as error:
        outcome = answers.refusal(error)
    await _reply(query, person, desk, outcome)


async def _do(what: str, person: Person, desk: Desk, screen: ChatScreenDTO, task: TaskDTO) -> str:
    if what == "again":
        await _try_again(desk, screen, task)
    project = (await person.api.project(task.project_id)).project.name
    stage = await last_stage(person.api, task)
    view = views.final(texts(screen.language), screen, project, task, stage, details=what == "details")
    shown = view if what == "details" else View(view.text)
    if screen.message_id is not None:
        await desk.post.edit(screen.chat_id, screen.message_id, lambda: shown)
    return "again-taken" if what == "again" else ""


async def _try_again(desk: Desk, screen: ChatScreenDTO, task: TaskDTO) -> None:
    again = ChatScreenOpen(
        bot_id=screen.bot_id,
        chat_id=screen.chat_id,
        user_id=screen.user_id,
        language=screen.language,
        wish=screen.wish,
        project_id=task.project_id,
    )
    desk.screens.open(await desk.api.open_screen(naming.screen_id_of_retry(task.id), again))


async def _screen_of(query: CallbackQuery, desk: Desk) -> ChatScreenDTO | None:
    if query.message is None:
        return None
    place = {"chat_id": query.message.chat.id, "message_id": query.message.message_id}
    found = await desk.api.screens(desk.bot_id, **place)
    return found[0] if found else None


async def _language(query: CallbackQuery, callback_data: LanguageData, person: Person, desk: Desk) -> None:
    chosen = next((language for language in LANGUAGES if language == callback_data.language), None)
    if chosen is None or query.message is None:
        await _reply(query, person, desk, "refused-forged")
        return
    if await _screen_of(query, desk) is not None:
        # Such a button is on no screen of a task, which it would wipe out.
        await _reply(query, person, desk, "refused-forged")
        return
    await person.api.choose_language(chosen)
    if query.message.chat.type == "private":
        view = View(texts(chosen)("language-chosen"))
        await desk.post.edit(query.message.chat.id, query.message.message_id, lambda: view)
        await desk.post.answer(query.id)
    else:
        # In a group the menu stays for the others.
        await desk.post.answer(query.id, texts(chosen).plain("language-chosen"))


async def _unknown(query: CallbackQuery, person: Person, desk: Desk) -> None:
    await _reply(query, person, desk, "refused-forged")


async def _reply(query: CallbackQuery, person: Person, desk: Desk, text_id: str) -> None:
    """What went wrong is an alert that has to be read; what went well passes by."""
    text = person.texts.plain(text_id) if text_id else ""
    await desk.post.answer(query.id, text, alert=text_id.startswith("refused"))
