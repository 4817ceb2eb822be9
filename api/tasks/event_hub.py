"""Wakes the readers of a task's stream: one LISTEN connection for the process, no polling."""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import Annotated, Any

import asyncpg
import structlog
from fastapi import Depends
from sqlalchemy.ext.asyncio import AsyncEngine

from api.database import CHANNEL, EVERYBODY
from api.dependencies import part

LISTENER = "event-hub"
"""The connection's name in `pg_stat_activity`."""
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 5.0
_ALIVE_INTERVAL_S = 30.0
_ANSWER_TIMEOUT_S = 5.0

log = structlog.get_logger(__name__)


class EventHub:
    """After a lost connection it wakes all readers, and each reads the database again."""

    def __init__(self, engine: AsyncEngine) -> None:
        _, self._arguments = engine.dialect.create_connect_args(engine.url)
        self._waiting: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self._listening = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.closed = False

    def start(self) -> None:
        """Begin to listen; it retries until the database answers."""
        self._task = asyncio.create_task(self._keep_listening(), name="event-hub")

    async def close(self) -> None:
        """Close the connection and end every waiting stream."""
        self.closed = True
        self._wake_all()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def wait_listening(self) -> None:
        """Return once notifications arrive."""
        await self._listening.wait()

    @contextlib.contextmanager
    def subscribed(self, task_ids: Collection[str]) -> Iterator[asyncio.Event]:
        """An event that is set when one of the tasks has new events, or new work below it. Read, then wait."""
        wake = asyncio.Event()
        for task_id in task_ids:
            self._waiting[task_id].add(wake)
        try:
            yield wake
        finally:
            for task_id in task_ids:
                self._waiting[task_id].discard(wake)
                if not self._waiting[task_id]:
                    del self._waiting[task_id]

    async def _keep_listening(self) -> None:
        pause = _FIRST_PAUSE_S
        while True:
            try:
                await self._listen_until_lost()
                pause = _FIRST_PAUSE_S
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.warning("cannot listen for events", cause=type(error).__name__)
            self._listening.clear()
            await asyncio.sleep(pause)
            pause = min(_LONGEST_PAUSE_S, pause * 2)

    async def _listen_until_lost(self) -> None:
        lost = asyncio.Event()
        settings = {**self._arguments.get("server_settings", {}), "application_name": LISTENER}
        connection = await asyncpg.connect(**{**self._arguments, "server_settings": settings}, timeout=10)
        try:
            connection.add_termination_listener(lambda _connection: lost.set())
            await connection.add_listener(CHANNEL, self._notified)
            self._listening.set()
            self._wake_all()
            while not lost.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_ALIVE_INTERVAL_S):
                        await lost.wait()
                    break
                # Only this notices a server that is gone without having closed the connection.
                await connection.execute("SELECT 1", timeout=_ANSWER_TIMEOUT_S)
            log.warning("the connection that listens for events was lost")
        finally:
            connection.terminate()

    def _notified(self, _connection: Any, _pid: int, _channel: str, task_id: Any) -> None:  # noqa: ANN401 - asyncpg's callback signature
        if task_id == EVERYBODY:
            self._wake_all()
        for wake in self._waiting.get(str(task_id), ()):
            wake.set()

    def _wake_all(self) -> None:
        for waiting in self._waiting.values():
            for wake in waiting:
                wake.set()


EventHubDep = Annotated[EventHub, Depends(part("hub"))]
