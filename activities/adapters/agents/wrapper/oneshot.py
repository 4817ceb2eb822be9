"""One-shot programs: one process for each prompt, which it gets on its standard input, and which ends with it.

They have honest exit codes and make no requests beside the work. A prompt that follows continues the session.
"""

from __future__ import annotations

import contextlib
import uuid
from dataclasses import dataclass

from .ended import NOT_STARTED, Ended, TurnFailed, exit_reason, failure
from .events import Events
from .formats import FORMATS, Printed
from .job import Job, environment_of
from .processes import AgentProcess

_SESSION = "{session}"


@dataclass
class ExecRunner:
    """`session_id` is chosen here where the program takes one (`{session}` in its arguments), else it is read."""

    job: Job
    events: Events
    session_id: str = ""
    _continues: bool = False
    _process: AgentProcess | None = None
    _interrupted: bool = False

    async def open(self) -> None:
        """Nothing runs yet; a session id that is known is written down."""
        if self.job.session_id is not None:
            self.session_id, self._continues = self.job.session_id, True
            self.events.note("session", session_id=self.session_id, resumed=True)
        elif any(_SESSION in word for word in self.job.argv):
            self._name(str(uuid.uuid4()))

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
        if self._process is not None:
            await self._process.end()

    async def _start(self) -> AgentProcess:
        template = self.job.resume_argv if self._continues and self.session_id else self.job.argv
        argv = [word.replace(_SESSION, self.session_id) for word in template]
        try:
            self._process = await AgentProcess.start(argv, environment_of(self.job), self.job.workspace)
        except OSError as error:
            raise TurnFailed(NOT_STARTED, f"{argv[0]} cannot be started: {error.strerror}") from error
        return self._process

    def _name(self, session_id: str) -> None:
        if session_id != self.session_id:
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
