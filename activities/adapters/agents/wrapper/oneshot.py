"""One-shot programs: one process for each prompt, which it gets on its standard input, and which ends with it.

They have honest exit codes and make no requests beside the work. A prompt that follows continues the session.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from .beginning.spawning import Spawned, new_session_id, spawn
from .ended import NOT_STARTED, Ended, TurnFailed, cannot_start, exit_reason, failure
from .events import Events
from .formats import FORMATS, Printed
from .job import Job, environment_of
from .processes import AgentProcess


@dataclass
class ExecRunner:
    """`session_id` is chosen where the program takes one (`{session}` in its arguments), else it is read.

    `spawned` is the process for the first prompt, which has been started already.
    """

    job: Job
    events: Events
    session_id: str = ""
    spawned: Spawned | None = None
    _continues: bool = False
    _process: AgentProcess | None = None
    _interrupted: bool = False

    async def open(self) -> None:
        """Nothing is asked yet; a session id that is known is written down."""
        if self.job.session_id is not None:
            self.session_id, self._continues = self.job.session_id, True
            self.events.note("session", session_id=self.session_id, resumed=True)
        elif self.job.names_session:
            self._note(self.session_id or new_session_id())

    async def prompt(self, text: str) -> Ended:
        """Run the program on one prompt, to its end."""
        self._interrupted = False
        lines = FORMATS[self.job.lines](self.events, self._name)
        process = await self._start()
        self._continues = True
        # One that has ended already says why on its output.
        with contextlib.suppress(ConnectionError):
            await process.send(text.encode(errors="replace"), last=True)
        while (line := await process.lines.next()) is not None:
            lines.take(line)
        code = await process.wait()
        await process.end()
        return self._ended(lines, code, process.said_last)

    async def interrupt(self) -> None:
        """Ask for the end of the running prompt: INT, as a person at a terminal would."""
        self._interrupted = True
        if self._process is not None:
            self._process.interrupt()

    async def close(self) -> None:
        if self.spawned is not None:
            # A person ended the turn before there was a prompt.
            self._process, self.spawned = await AgentProcess.attach(self.spawned), None
        if self._process is not None:
            await self._process.end()

    async def _start(self) -> AgentProcess:
        spawned, self.spawned = self.spawned, None
        if spawned is None:
            argv = self.job.arguments(self.session_id, continues=self._continues)
            try:
                spawned = spawn(argv, environment_of(self.job), self.job.workspace)
            except OSError as error:
                raise TurnFailed(NOT_STARTED, cannot_start(argv, error)) from error
        self._process = await AgentProcess.attach(spawned)
        return self._process

    def _name(self, session_id: str) -> None:
        if session_id != self.session_id:
            self._note(session_id)

    def _note(self, session_id: str) -> None:
        self.session_id = session_id
        self.events.note("session", session_id=session_id, resumed=False)

    def _ended(self, lines: Printed, code: int, said_last: str) -> Ended:
        if self._interrupted:
            return Ended(stop_reason="cancelled", interrupted=True, usage=lines.usage)
        if lines.error is not None or (code != 0 and lines.finished):
            message = lines.error or f"The agent ended with exit code {code}."
            return Ended(failure(f"{message} {said_last}"), message, usage=lines.usage)
        if not lines.finished:
            message = f"The agent ended without a result, with exit code {code}. {said_last}".strip()
            return Ended(failure(said_last, exit_reason(code)), message, usage=lines.usage)
        return Ended(stop_reason="end_turn", usage=lines.usage)
