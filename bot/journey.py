"""One message from its acknowledgement to its end.

Acknowledge, start, follow, finish. Before each step the API says what has been done, and after it what was done; so a
process that was killed anywhere goes on there. Only sending the acknowledgement cannot be repeated without a trace: a
kill between its sending and its record leaves one more "accepted", which stays true.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import structlog

from bot import naming, views
from bot.post import ChatClosed, ChatMoved, Post, Shown
from bot.progress import Progress
from bot.starts import Starts
from bot.texts import texts
from bot.views import Running, View
from contracts.chat import ChatScreenDTO, ChatScreenUpdate
from contracts.errors import ErrorCode, OrchestratorError
from contracts.ids import child_task_id
from contracts.nouns import DeliveryStart, ProjectCreate, TaskDTO
from contracts.progress import StreamedEvent
from contracts.questions import QuestionDTO
from contracts.states import TaskKind
from runtime.chat_client import ChatApi

_FIRST_PAUSE_S = 0.3
_LONGEST_PAUSE_S = 5.0
_LOOK_S = 20.0
"""How often a task that says nothing is looked at: whether a queue of it has no worker."""
_SHORT_TITLE = 200

Result = TypeVar("Result")
log = structlog.get_logger(__name__)


class Journey:
    """`cancelling` is whether the person is being asked if they are sure."""

    def __init__(self, screen: ChatScreenDTO, api: ChatApi, post: Post, starts: Starts) -> None:
        self._screen = screen
        self._bot_api = api
        self._api = api.acting_for(screen.user_id)
        self._post = post
        self._starts = starts
        self._texts = texts(screen.language)
        self._project = ""
        self._progress = Progress(screen.task_id or "")
        self._question: QuestionDTO | None = None
        self._stalled: tuple[str, str] | None = None
        self._cancelling = False
        self._asked = True
        self._changed = asyncio.Event()
        self._shown: View | None = None

    @property
    def screen(self) -> ChatScreenDTO:
        """As it was recorded last."""
        return self._screen

    @property
    def task_id(self) -> str | None:
        return self._screen.task_id

    def ask_whether_to_cancel(self, *, asking: bool) -> None:
        """Show, or take back, the question whether the person is sure."""
        self._cancelling = asking
        self._changed.set()

    async def run(self) -> None:
        while True:
            try:
                return await self._run()
            except ChatMoved as moved:
                log.info("the chat has another id now", screen=self._screen.id)
                await self._record(ChatScreenUpdate(chat_id=moved.chat_id, forget_message=True))

    async def _run(self) -> None:
        try:
            await self._acknowledge()
            try:
                await self._start()
                view = await self._follow()
            except OrchestratorError as error:
                log.warning("a screen ends early", screen=self._screen.id, code=error.code.value)
                view = views.refused(self._texts, self._screen, error.code.value)
            await self._finish(view)
        except ChatMoved:
            raise
        except ChatClosed:
            log.info("the person has closed the chat", screen=self._screen.id)
            await self._record(ChatScreenUpdate(final=True))

    # Steps

    async def _acknowledge(self) -> None:
        if self._screen.message_id is None:
            with self._starts.sign_expected():
                await self._send(views.accepted(self._texts, self._screen))

    async def _start(self) -> None:
        """The project and the delivery, both named after the update: a repetition finds them."""
        if self._screen.task_id is None:
            await self._record(await patiently(self._begin))
        self._progress = Progress(self._screen.task_id or "")
        project_id = self._screen.project_id or ""
        self._project = (await patiently(lambda: self._api.project(project_id))).project.name

    async def _begin(self) -> ChatScreenUpdate:
        async with self._starts.turn():
            project_id = self._screen.project_id or await self._create_project()
            start = DeliveryStart(
                request_id=self._screen.id,
                project_id=project_id,
                wish=self._screen.wish,
                title=views.short(self._screen.wish, _SHORT_TITLE),
            )
            started = await self._api.start_delivery(start)
        return ChatScreenUpdate(project_id=project_id, task_id=started.task_id)

    async def _create_project(self) -> str:
        wish, project_id = self._screen.wish, naming.project_id(self._screen.id)
        names = naming.project_names(wish, self._screen.id)
        for name in names:
            body = ProjectCreate(id=project_id, name=name, title=views.short(wish, _SHORT_TITLE), description=wish)
            try:
                return (await self._api.create_project(body)).id
            except OrchestratorError as error:
                # CONFLICT: an earlier attempt has made it under the next name.
                taken = error.code in {ErrorCode.ALREADY_EXISTS, ErrorCode.CONFLICT}
                if not taken or name == names[-1]:
                    raise
        raise AssertionError("unreachable: the last name either works or raises")

    async def _follow(self) -> View:
        """Edit the message while the work runs; the last view, once it has ended."""
        async with self._watching() as ended:
            while not ended.done():
                await self._until_changed(ended)
                if not ended.done():
                    await self._show()
            await ended
        task = await self._task()
        return views.final(self._texts, self._screen, self._project, task, await self._last_stage(task))

    async def _finish(self, view: View) -> None:
        while (shown := await self._edit(lambda: view)) is Shown.GONE:
            await self._record(ChatScreenUpdate(forget_message=True))
            await self._send(view)
        if shown is Shown.CLOSED:
            raise ChatClosed
        await self._record(ChatScreenUpdate(final=True))

    # The message

    async def _send(self, view: View) -> None:
        message_id = await self._post.send(self._screen.chat_id, view)
        self._shown = view
        await self._record(ChatScreenUpdate(message_id=message_id))

    async def _show(self) -> None:
        if self._asked:
            self._asked = False
            self._question = await patiently(self._open_question)
        offered: list[View] = []
        shown = await self._edit(lambda: self._newest(offered))
        if offered and shown is Shown.YES:
            self._shown = offered[-1]
        if shown is Shown.CLOSED:
            raise ChatClosed
        if shown is Shown.GONE:
            # The person has deleted it; what follows needs a place all the same.
            await self._record(ChatScreenUpdate(forget_message=True))
            await self._send(self._view())

    async def _edit(self, view: Callable[[], View | None]) -> Shown:
        message_id = self._screen.message_id
        return Shown.GONE if message_id is None else await self._post.edit(self._screen.chat_id, message_id, view)

    def _newest(self, offered: list[View]) -> View | None:
        """None when it is what the message shows already. An attempt that fails has shown nothing."""
        view = self._view()
        if view == self._shown:
            return None
        offered.append(view)
        return view

    def _view(self) -> View:
        now = Running(
            screen=self._screen,
            project=self._project,
            progress=self._progress,
            question=self._question,
            cancelling=self._cancelling,
            stalled=self._stalled,
        )
        return views.running(self._texts, now)

    async def _record(self, update: ChatScreenUpdate) -> None:
        self._screen = await patiently(lambda: self._bot_api.update_screen(self._screen.id, update))

    # What the screen knows

    @asynccontextmanager
    async def _watching(self) -> AsyncIterator[asyncio.Task[None]]:
        """Read the task's stream and those of its steps; yields the one whose end is the end of the work."""
        root = self._progress.task_id
        pumps = [asyncio.create_task(self._pump(root))]
        for kind in (TaskKind.ENGINEERING, TaskKind.DEPLOY):
            pumps.append(asyncio.create_task(self._pump_step(child_task_id(root, kind))))
        pumps[0].add_done_callback(lambda _: self._changed.set())
        try:
            yield pumps[0]
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)

    async def _pump(self, task_id: str) -> None:
        after = 0

        async def follow() -> None:
            nonlocal after
            async for event in self._api.watch(task_id, after):
                after = event.seq
                self._take(event)

        await patiently(follow)

    async def _pump_step(self, task_id: str) -> None:
        """A step's task appears when the work reaches it."""
        pause = _FIRST_PAUSE_S
        while True:
            try:
                return await self._pump(task_id)
            except OrchestratorError as error:
                if error.code is not ErrorCode.NOT_FOUND:
                    raise
            await asyncio.sleep(pause)
            pause = min(2.0, pause * 1.5)

    def _take(self, event: StreamedEvent) -> None:
        self._stalled = None
        changed = self._progress.take(event)
        if event.grain == "milestone":
            self._asked = changed = True
        if changed:
            self._changed.set()

    async def _until_changed(self, ended: "asyncio.Task[None]") -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LOOK_S):
                await self._changed.wait()
        if not self._changed.is_set() and not ended.done():
            self._stalled = _stall(await self._task())
        self._changed.clear()

    async def _open_question(self) -> QuestionDTO | None:
        root = self._progress.task_id
        tree = {root, *(child_task_id(root, kind) for kind in (TaskKind.ENGINEERING, TaskKind.DEPLOY))}
        found = await self._api.questions(project_id=self._screen.project_id)
        return next((question for question in found if question.task_id in tree), None)

    async def _task(self) -> TaskDTO:
        return await patiently(lambda: self._api.task(self._progress.task_id))

    async def _last_stage(self, task: TaskDTO) -> str:
        return await patiently(lambda: last_stage(self._api, task))


async def last_stage(api: ChatApi, task: TaskDTO) -> str:
    """Where the work ended: the stage of the step that ended last, which says more than the delivery's own."""
    for kind in (TaskKind.DEPLOY, TaskKind.ENGINEERING):
        try:
            return (await api.task(child_task_id(task.id, kind))).stage
        except OrchestratorError as error:
            if error.code is not ErrorCode.NOT_FOUND:
                raise
    return task.stage


async def patiently(work: Callable[[], Awaitable[Result]]) -> Result:
    """Again and again while the platform is away; what it refuses is raised."""
    pause = _FIRST_PAUSE_S
    while True:
        try:
            return await work()
        except OrchestratorError as error:
            if not error.retryable:
                raise
            log.warning("the platform does not answer; trying again", code=error.code.value)
        await asyncio.sleep(pause)
        pause = min(_LONGEST_PAUSE_S, pause * 2)


def _stall(task: TaskDTO) -> tuple[str, str] | None:
    if task.stalled_queue is None or task.stalled_since is None:
        return None
    return task.stalled_queue, task.stalled_since.strftime("%H:%M")
