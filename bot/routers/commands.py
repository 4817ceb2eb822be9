"""Commands that answer at once from what the platform knows."""

from aiogram import Router
from aiogram.filters import Command, CommandObject, CommandStart
from aiogram.types import Message, Update

from bot import keyboards, views
from bot.desk import Desk
from bot.people import Person
from bot.routers.wishes import wish
from bot.texts import Markup
from bot.views import View
from contracts.nouns import ProjectDTO, TaskDTO
from contracts.states import Role

_MOST = 20
_TITLE = 60


def make() -> Router:
    router = Router(name="commands")
    router.message.register(_start, CommandStart())
    router.message.register(_help, Command("help"))
    router.message.register(_new, Command("new"))
    router.message.register(_projects, Command("projects"))
    router.message.register(_tasks, Command("tasks"))
    router.message.register(_status, Command("status"))
    router.message.register(_cancel, Command("cancel"))
    router.message.register(_language, Command("language"))
    return router


async def _start(message: Message, person: Person, desk: Desk) -> None:
    await desk.post.tell(message.chat.id, View(person.texts("start", help=_help_text(person))))


async def _help(message: Message, person: Person, desk: Desk) -> None:
    await desk.post.tell(message.chat.id, View(_help_text(person)))


def _help_text(person: Person) -> Markup:
    text = person.texts("help")
    return Markup(f"{text}\n{person.texts('help-admin')}") if person.role is Role.ADMIN else text


async def _new(message: Message, command: CommandObject, event_update: Update, person: Person, desk: Desk) -> None:
    if not (command.args or "").strip():
        await desk.post.tell(message.chat.id, View(person.texts("new-usage")))
        return
    await wish(desk, person, message, event_update.update_id, command.args or "")


async def _projects(message: Message, person: Person, desk: Desk) -> None:
    own = [project for project in await person.api.projects() if project.owner_id == person.user_id]
    found = own[:_MOST]
    lines = [_project_line(person, project) for project in found]
    text = Markup("\n".join([person.texts("projects-title"), *lines])) if lines else person.texts("projects-none")
    await desk.post.tell(message.chat.id, View(text))


def _project_line(person: Person, project: ProjectDTO) -> Markup:
    status = person.texts.plain(f"project-{project.status.value}")
    if project.url:
        return person.texts("project-line-url", name=project.name, status=status, url=project.url)
    return person.texts("project-line", name=project.name, status=status)


async def _tasks(message: Message, person: Person, desk: Desk) -> None:
    found = (await _own_tasks(person))[:_MOST]
    lines = [
        person.texts(
            "task-line",
            icon=person.texts.plain(f"icon-{task.state.value}"),
            title=views.short(task.title, _TITLE),
            id=task.id,
            state=person.texts.plain(f"state-{task.state.value}"),
        )
        for task in found
    ]
    text = Markup("\n".join([person.texts("tasks-title"), *lines])) if lines else person.texts("tasks-none")
    await desk.post.tell(message.chat.id, View(text))


async def _status(message: Message, person: Person, desk: Desk) -> None:
    lines = [
        person.texts(
            "status-line",
            icon=person.texts.plain(f"icon-{task.state.value}"),
            title=views.short(task.title, _TITLE),
            stage=views.stage_name(person.texts, task.stage),
        )
        for task in await _running(person)
    ]
    shown = [person.texts("status-title"), *lines] if lines else [person.texts("status-idle")]
    health = await person.api.health()
    shown.append(person.texts("status-platform-ok" if health.status == "ok" else "status-platform-bad"))
    await desk.post.tell(message.chat.id, View(Markup("\n".join(shown))))


async def _cancel(message: Message, person: Person, desk: Desk) -> None:
    running = [(task.id, views.short(task.title, _TITLE)) for task in await _running(person)]
    if not running:
        await desk.post.tell(message.chat.id, View(person.texts("cancel-none")))
        return
    keyboard = keyboards.of_cancel_list(person.texts, running)
    await desk.post.tell(message.chat.id, View(person.texts("cancel-ask"), keyboard))


async def _running(person: Person) -> list[TaskDTO]:
    return [task for task in await _own_tasks(person) if not task.state.is_final][:_MOST]


async def _own_tasks(person: Person) -> list[TaskDTO]:
    """What the person has asked for, newest first; an administrator's list holds nobody else's either."""
    found = await person.api.tasks()
    return [task for task in found if task.parent_task_id is None and task.user_id == person.user_id]


async def _language(message: Message, person: Person, desk: Desk) -> None:
    view = View(person.texts("language-ask"), keyboards.of_languages(person.texts))
    await desk.post.tell(message.chat.id, view)
