"""Commands for everyone with access."""

from aiogram import Router
from aiogram.filters import Command, CommandObject, CommandStart
from aiogram.types import Message, Update

from bot.conversation.access import Person
from bot.conversation.context import BotContext
from bot.rendering import keyboards, views
from bot.rendering.views import View
from bot.routers.wishes import accept_wish
from bot.texts import Markup
from contracts.errors import bounded
from contracts.nouns import ProjectDTO, TaskDTO
from contracts.states import Role

_MAX_LISTED = 20
_MAX_TITLE = 60
_MAX_MEMORY = 3_000
"""In characters. A message holds 4096."""


def make_router() -> Router:
    router = Router(name="commands")
    router.message.register(_start, CommandStart())
    router.message.register(_help, Command("help"))
    router.message.register(_new, Command("new"))
    router.message.register(_projects, Command("projects"))
    router.message.register(_tasks, Command("tasks"))
    router.message.register(_status, Command("status"))
    router.message.register(_cost, Command("cost"))
    router.message.register(_memory, Command("memory"))
    router.message.register(_cancel, Command("cancel"))
    router.message.register(_language, Command("language"))
    return router


async def _start(message: Message, person: Person, context: BotContext) -> None:
    await context.sender.notify(message.chat.id, View(person.texts("start", help=_help_text(person))))


async def _help(message: Message, person: Person, context: BotContext) -> None:
    await context.sender.notify(message.chat.id, View(_help_text(person)))


def _help_text(person: Person) -> Markup:
    text = person.texts("help")
    return Markup(f"{text}\n{person.texts('help-admin')}") if person.role is Role.ADMIN else text


async def _new(
    message: Message, command: CommandObject, event_update: Update, person: Person, context: BotContext
) -> None:
    if not (command.args or "").strip():
        await context.sender.notify(message.chat.id, View(person.texts("new-usage")))
        return
    await accept_wish(context, person, message, event_update.update_id, command.args or "")


async def _projects(message: Message, person: Person, context: BotContext) -> None:
    own = [project for project in await person.api.projects() if project.owner_id == person.user_id]
    found = own[:_MAX_LISTED]
    lines = [_project_line(person, project) for project in found]
    text = Markup("\n".join([person.texts("projects-title"), *lines])) if lines else person.texts("projects-none")
    await context.sender.notify(message.chat.id, View(text))


def _project_line(person: Person, project: ProjectDTO) -> Markup:
    status = person.texts.plain(f"project-{project.status.value}")
    if project.url:
        return person.texts("project-line-url", name=project.name, status=status, url=project.url)
    return person.texts("project-line", name=project.name, status=status)


async def _tasks(message: Message, person: Person, context: BotContext) -> None:
    found = (await _own_tasks(person))[:_MAX_LISTED]
    lines = [
        person.texts(
            "task-line",
            icon=person.texts.plain(f"icon-{task.state.value}"),
            title=views.shorten(task.title, _MAX_TITLE),
            id=task.id,
            state=person.texts.plain(f"state-{task.state.value}"),
        )
        for task in found
    ]
    text = Markup("\n".join([person.texts("tasks-title"), *lines])) if lines else person.texts("tasks-none")
    await context.sender.notify(message.chat.id, View(text))


async def _status(message: Message, person: Person, context: BotContext) -> None:
    lines = [
        person.texts(
            "status-line",
            icon=person.texts.plain(f"icon-{task.state.value}"),
            title=views.shorten(task.title, _MAX_TITLE),
            stage=views.stage_name(person.texts, task.stage),
        )
        for task in await _running(person)
    ]
    shown = [person.texts("status-title"), *lines] if lines else [person.texts("status-idle")]
    health = await person.api.health()
    shown.append(person.texts("status-platform-ok" if health.status == "ok" else "status-platform-bad"))
    await context.sender.notify(message.chat.id, View(Markup("\n".join(shown))))


async def _cost(message: Message, person: Person, context: BotContext) -> None:
    """This month's costs of the person's projects, the most expensive first."""
    report = await person.api.costs(by="project")
    lines = [
        person.texts("cost-line", name=line.name or line.key, usd=f"{line.cost_usd:.2f}", requests=line.requests)
        for line in report.items[:_MAX_LISTED]
    ]
    if not lines:
        await context.sender.notify(message.chat.id, View(person.texts("cost-none")))
        return
    total = report.total
    shown = [person.texts("cost-title", month=report.month, usd=f"{total.cost_usd:.2f}"), *lines]
    if total.unknown_requests:
        shown.append(person.texts("cost-unknown", requests=total.unknown_requests, usd=f"{total.unknown_usd:.2f}"))
    await context.sender.notify(message.chat.id, View(Markup("\n".join(shown))))


async def _memory(message: Message, command: CommandObject, person: Person, context: BotContext) -> None:
    """What agents know of a project: the one that is named, else the person's newest."""
    wanted = (command.args or "").strip()
    own = [project for project in await person.api.projects() if project.owner_id == person.user_id]
    found = next((project for project in own if not wanted or wanted in {project.name, project.id}), None)
    if found is None:
        await context.sender.notify(message.chat.id, View(person.texts("memory-none")))
        return
    known = await person.api.memory(found.id)
    text = bounded(known.text.strip(), _MAX_MEMORY) or person.texts.plain("memory-empty")
    shown = person.texts("memory", name=found.name, text=text)
    await context.sender.notify(message.chat.id, View(shown))


async def _cancel(message: Message, person: Person, context: BotContext) -> None:
    running = [(task.id, views.shorten(task.title, _MAX_TITLE)) for task in await _running(person)]
    if not running:
        await context.sender.notify(message.chat.id, View(person.texts("cancel-none")))
        return
    keyboard = keyboards.for_cancel_list(person.texts, running)
    await context.sender.notify(message.chat.id, View(person.texts("cancel-ask"), keyboard))


async def _running(person: Person) -> list[TaskDTO]:
    return [task for task in await _own_tasks(person) if not task.state.is_final][:_MAX_LISTED]


async def _own_tasks(person: Person) -> list[TaskDTO]:
    """The person's own deliveries, newest first. An administrator does not see those of others here either."""
    found = await person.api.tasks()
    return [task for task in found if task.parent_task_id is None and task.user_id == person.user_id]


async def _language(message: Message, person: Person, context: BotContext) -> None:
    view = View(person.texts("language-ask"), keyboards.for_languages(person.texts))
    await context.sender.notify(message.chat.id, view)
