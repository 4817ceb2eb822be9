"""The one message of a task: acknowledge, start, follow, finish.

The API's screen records each step, so after a crash the next process continues from there. Every step but one can be
repeated without a trace: a crash between sending the acknowledgement and recording its message id leaves a second
"accepted" in the chat.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import structlog

from bot.rendering import views
from bot.rendering.progress import Progress
from bot.rendering.views import RunningTask, View
from bot.sending.sender import ChatClosed, ChatMoved, EditResult, Sender
from bot.tasks import naming
from bot.tasks.retries import retry_while_unavailable
from bot.tasks.start_limiter import StartLimiter
from bot.texts import texts
from contracts.base import utc_now
from contracts.chat import ChatScreenDTO, ChatScreenUpdate
from contracts.errors import ErrorCode, OrchestratorError
from contracts.modules_of_wish import modules_of
from contracts.names import SCREENSHOT
from contracts.nouns import DeliveryStart, ProjectCreate, TaskDTO
from contracts.parts import TaskPart
from contracts.progress import StreamedEvent
from contracts.questions import QuestionDTO
from contracts.states import QuestionState, Stage
from runtime.chat_client import ChatApi

_STALL_CHECK_S = 20.0
"""After so long without an event, the task is checked for a queue without workers."""
_MAX_TITLE = 200
_MOST_SCREENSHOTS = 3
_TRIED_FOR = timedelta(days=14)
"""How long a message is taken up again in a chat where the bot could not write."""

log = structlog.get_logger(__name__)


class TaskMessage:
    """Shows one task in one message. `run` may be cancelled at any moment and run again in another process.

    `given_up`: it ended because the bot cannot write in the chat.
    """

    def __init__(self, screen: ChatScreenDTO, api: ChatApi, sender: Sender, start_limiter: StartLimiter) -> None:
        self._screen = screen
        self._bot_api = api
        self._api = api.acting_for(screen.user_id)
        self._sender = sender
        self._start_limiter = start_limiter
        self._texts = texts(screen.language)
        self._project = ""
        self._progress = Progress(screen.task_id or "")
        self._read: dict[str, int] = {}
        self._question: QuestionDTO | None = None
        self._parts: list[TaskPart] = []
        self._stalled: tuple[str, str] | None = None
        self._confirming_cancel = False
        self._reload_question = True
        self._changed = asyncio.Event()
        self._shown: View | None = None
        self._screenshots: list[str] = []
        self.given_up = False

    @property
    def screen(self) -> ChatScreenDTO:
        """The screen, as last recorded."""
        return self._screen

    @property
    def task_id(self) -> str | None:
        return self._screen.task_id

    def confirm_cancel(self, *, shown: bool) -> None:
        """Show or hide the buttons that ask whether to stop the task."""
        self._confirming_cancel = shown
        self._changed.set()

    async def run(self) -> None:
        """Return once the end has been shown, or nothing can be shown in the chat any more."""
        while True:
            try:
                return await self._run()
            except ChatMoved as moved:
                log.info("the chat has a new id", screen=self._screen.id)
                await self._record(ChatScreenUpdate(chat_id=moved.chat_id, forget_message=True))

    async def _run(self) -> None:
        try:
            await self._acknowledge()
            try:
                await self._start()
                view = await self._follow()
            except OrchestratorError as error:
                log.warning("a task could not start or be followed", screen=self._screen.id, code=error.code.value)
                view = views.refused(self._texts, self._screen, error.code.value)
            await self._finish(view)
        except ChatMoved:
            raise
        except ChatClosed:
            log.info("the bot cannot write in the chat", screen=self._screen.id)
            await self._give_up()

    async def _give_up(self) -> None:
        """The person may come back and must then see what is true. A chat that is gone is not tried for ever."""
        if utc_now() - self._screen.created_at > _TRIED_FOR:
            await self._record(ChatScreenUpdate(final=True))
        else:
            self.given_up = True

    # Steps

    async def _acknowledge(self) -> None:
        if self._screen.message_id is None:
            with self._start_limiter.acknowledgement_pending():
                await self._send(views.accepted(self._texts, self._screen))

    async def _start(self) -> None:
        """Create the project and start the delivery. Both ids derive from the update, so a second run finds them."""
        if self._screen.task_id is None:
            await self._record(await retry_while_unavailable(self._begin))
        self._progress = Progress(self._screen.task_id or "")
        project_id = self._screen.project_id or ""
        self._project = (await retry_while_unavailable(lambda: self._api.project(project_id))).project.name

    async def _begin(self) -> ChatScreenUpdate:
        async with self._start_limiter.slot():
            project_id = self._screen.project_id or await self._create_project()
            start = DeliveryStart(
                request_id=self._screen.id,
                project_id=project_id,
                wish=self._screen.wish,
                title=views.shorten(self._screen.wish, _MAX_TITLE),
            )
            started = await self._api.start_delivery(start)
        return ChatScreenUpdate(project_id=project_id, task_id=started.task_id)

    async def _create_project(self) -> str:
        wish, project_id = self._screen.wish, naming.project_id(self._screen.id)
        names = naming.project_names(wish, self._screen.id)
        for name in names:
            body = ProjectCreate(
                id=project_id,
                name=name,
                title=views.shorten(wish, _MAX_TITLE),
                description=wish,
                modules=modules_of(wish),
            )
            try:
                return (await self._api.create_project(body)).id
            except OrchestratorError as error:
                # CONFLICT: an earlier attempt created it under the next name.
                taken = error.code in {ErrorCode.ALREADY_EXISTS, ErrorCode.CONFLICT}
                if not taken or name == names[-1]:
                    raise
        raise AssertionError("unreachable: the last name either works or raises")

    async def _follow(self) -> View:
        """Edit the message while the task runs; returns the final view.

        Of a task that has ended nothing else is shown: its message may say so already, before a crash.
        """
        task = await self._task()
        if not task.state.is_final:
            await self._show_events()
            task = await self._task()
        self._screenshots = [str(uri) for name, uri in sorted(task.result.items()) if name.startswith(SCREENSHOT)]
        return views.final(self._texts, self._screen, self._project, task, await self._last_stage(task))

    async def _show_events(self) -> None:
        async with self._events() as ended:
            while not ended.done():
                await self._wait_for_change(ended)
                if not ended.done():
                    await self._show()
            await ended

    async def _finish(self, view: View) -> None:
        while (result := await self._edit(lambda: view)) is EditResult.GONE:
            await self._record(ChatScreenUpdate(forget_message=True))
            await self._send(view)
        if result is EditResult.CLOSED:
            raise ChatClosed
        await self._send_screenshots()
        await self._record(ChatScreenUpdate(final=True))

    async def _send_screenshots(self) -> None:
        """A crash before the end is recorded sends them again: a picture in place of another tells nothing new."""
        for uri in self._screenshots[:_MOST_SCREENSHOTS]:
            try:
                picture = await self._api.picture(uri)
            except OrchestratorError as error:
                log.warning("a screenshot cannot be read", screen=self._screen.id, code=error.code.value)
                return
            caption = self._texts("screenshot-caption", project=self._project)
            await self._sender.send_picture(self._screen.chat_id, picture, caption, reply_to=self._screen.message_id)

    # The message

    async def _send(self, view: View) -> None:
        message_id = await self._sender.send(self._screen.chat_id, view)
        self._shown = view
        await self._record(ChatScreenUpdate(message_id=message_id))

    async def _show(self) -> None:
        if self._reload_question:
            self._reload_question = False
            await retry_while_unavailable(self._load)
        offered: list[View] = []
        result = await self._edit(lambda: self._latest(offered))
        if offered and result is EditResult.SHOWN:
            self._shown = offered[-1]
        if result is EditResult.CLOSED:
            raise ChatClosed
        if result is EditResult.GONE:
            # The person deleted the message; the task continues in a new one.
            await self._record(ChatScreenUpdate(forget_message=True))
            await self._send(self._view())

    async def _edit(self, view: Callable[[], View | None]) -> EditResult:
        message_id = self._screen.message_id
        if message_id is None:
            return EditResult.GONE
        return await self._sender.edit(self._screen.chat_id, message_id, view)

    def _latest(self, offered: list[View]) -> View | None:
        """None if the message shows it already. `offered` collects the views, since an edit may fail."""
        view = self._view()
        if view == self._shown:
            return None
        offered.append(view)
        return view

    def _view(self) -> View:
        task = RunningTask(
            screen=self._screen,
            project=self._project,
            progress=self._progress,
            question=self._question,
            parts=self._parts,
            confirming_cancel=self._confirming_cancel,
            stalled=self._stalled,
        )
        return views.running(self._texts, task)

    async def _record(self, update: ChatScreenUpdate) -> None:
        self._screen = await retry_while_unavailable(lambda: self._bot_api.update_screen(self._screen.id, update))

    # The state of the task

    @asynccontextmanager
    async def _events(self) -> AsyncIterator[asyncio.Task[None]]:
        """Read the events of the task and of the work below it. The yielded reader ends when the task has ended."""
        reader = asyncio.create_task(retry_while_unavailable(self._read_events))
        reader.add_done_callback(lambda _: self._changed.set())
        try:
            yield reader
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)

    async def _read_events(self) -> None:
        """After the API was away, events come again from the first one."""
        async for event in self._api.watch(self._progress.task_id):
            if event.seq > self._read.get(event.task_id, 0):
                self._read[event.task_id] = event.seq
                self._apply(event)

    def _apply(self, event: StreamedEvent) -> None:
        self._stalled = None
        changed = self._progress.apply(event)
        if event.grain == "milestone":
            self._reload_question = changed = True
        if changed:
            self._changed.set()

    async def _wait_for_change(self, ended: "asyncio.Task[None]") -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STALL_CHECK_S):
                await self._changed.wait()
        if not self._changed.is_set() and not ended.done():
            self._stalled = _stall(await self._task())
        self._changed.clear()

    async def _load(self) -> None:
        """What the events do not say: the question that is open, and how far the parts of a large work are."""
        tree = await self._api.tree(self._progress.task_id)
        self._question = next((one for one in tree.questions if one.state is QuestionState.OPEN), None)
        self._parts = tree.task.parts

    async def _task(self) -> TaskDTO:
        return await retry_while_unavailable(lambda: self._api.task(self._progress.task_id))

    async def _last_stage(self, task: TaskDTO) -> Stage:
        return await retry_while_unavailable(lambda: last_stage(self._api, task))


async def last_stage(api: ChatApi, task: TaskDTO) -> Stage:
    """The stage in which the task ended: that of the last work below it, which is more precise than its own."""
    below = (await api.tree(task.id)).below
    return below[-1].stage if below else task.stage


def _stall(task: TaskDTO) -> tuple[str, str] | None:
    if task.stalled_queue is None or task.stalled_since is None:
        return None
    return task.stalled_queue, task.stalled_since.strftime("%H:%M")
