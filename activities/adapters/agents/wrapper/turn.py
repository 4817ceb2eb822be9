"""One turn: prompts one after the other in one session, until the agent is done, a person ends it, or it hangs."""

from __future__ import annotations

import asyncio
import importlib
import signal
import site
import sys
import time
from collections.abc import Coroutine
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from .beginning.start import Started
from .control import Cancel, Command, ControlDirectory, Hang, Steer
from .ended import HUNG, NOT_STARTED, Ended, TurnFailed
from .events import Events, bounded
from .forwarding import Forwarder
from .job import Job
from .oneshot import ExecRunner
from .processes import AgentProcess

DONE, FAILED, STOPPED_BY_SIGNAL = 0, 1, 143
_MAX_MESSAGE = 4_000
_SIGNAL_S = 3.0
"""After a signal the container is killed within five seconds: the agent gets less than it is given otherwise."""


class Runner(Protocol):
    """One session of an agent. `prompt` returns when the agent has ended its work on it, for whatever reason."""

    async def open(self) -> None: ...

    async def prompt(self, text: str) -> Ended: ...

    async def interrupt(self) -> None: ...

    async def close(self) -> None: ...


@dataclass
class Turn:
    """`forwarder` is the way to the model, where there is one."""

    begun: Started
    events: Events
    forwarder: Forwarder | None = None
    commands: asyncio.Queue[Command] = field(default_factory=asyncio.Queue)
    _steers: list[str] = field(default_factory=list)
    _timer: asyncio.TimerHandle | None = None

    @property
    def job(self) -> Job:
        return self.begun.job

    async def run(self) -> int:
        """The exit code: 0 when the agent has ended its work or a person has ended it, 1 when it failed, 143 after a
        signal. The last line says which."""
        self.events.note("started", agent=self.job.agent, runner=self.job.runner)
        runner: Runner | None = None
        self._watch()
        try:
            runner = await self._started()
            opened = await self._unless_told(runner.open(), self.job.start_s)
            if opened is not None:
                return self._stopped(opened)
            return await self._prompts(runner)
        except TurnFailed as error:
            self.events.end("failed", reason=error.reason, message=bounded(str(error), _MAX_MESSAGE))
            return FAILED
        finally:
            if self._timer is not None:
                self._timer.cancel()
            if runner is not None:
                await runner.close()

    async def _started(self) -> Runner:
        if self.begun.spawned is None:
            raise TurnFailed(NOT_STARTED, self.begun.problem)
        if self.job.runner == "exec":
            return ExecRunner(self.job, self.events, self.begun.session_id, self.begun.spawned)
        process = await AgentProcess.attach(self.begun.spawned)
        if sys.flags.no_site:
            # Only the SDK needs installed packages.
            site.main()
        # Its SDK takes about a second to import: the agent starts meanwhile.
        runner: Runner = importlib.import_module(f"{__package__}.protocol").AcpRunner(self.job, self.events, process)
        return runner

    async def _prompts(self, runner: Runner) -> int:
        text = self.job.prompt
        while True:
            self.events.note("prompt")
            prompting = asyncio.create_task(runner.prompt(text))
            try:
                command = await self._first(prompting)
                if command is not None:
                    await self._interrupted(runner, prompting, command)
                if isinstance(command, Cancel | Hang):
                    return self._stopped(command)
                ended = prompting.result()
                if command is None or not ended.interrupted:
                    self._use(ended)
            finally:
                prompting.cancel()
            if isinstance(command, Steer):
                self._steers.append(command.text)
            if not self._steers:
                return self._ended(ended)
            text = "\n\n".join(self._steers)
            self._steers.clear()
            self.events.note("steered", text=bounded(text))

    async def _first(self, work: asyncio.Task[Any]) -> Command | None:
        """The command that came before the work ended; None if it ended."""
        telling = asyncio.create_task(self.commands.get())
        try:
            await asyncio.wait({work, telling}, return_when=asyncio.FIRST_COMPLETED)
            return telling.result() if telling.done() else None
        finally:
            telling.cancel()

    async def _interrupted(self, runner: Runner, prompting: asyncio.Task[Ended], command: Command) -> None:
        """Ask the agent to end the prompt. One that does not is ended with its process."""
        signalled = isinstance(command, Cancel) and command.reason == "signal"
        await runner.interrupt()
        await asyncio.wait({prompting}, timeout=_SIGNAL_S if signalled else self.job.cancel_s)
        if not prompting.done() and isinstance(command, Steer):
            raise TurnFailed(HUNG, f"The agent did not stop for a message within {self.job.cancel_s:g} s.")

    async def _unless_told(self, opening: Coroutine[Any, Any, None], limit_s: float) -> Command | None:
        """None once the session is open. What is said meanwhile waits, unless it ends the turn."""
        task = asyncio.create_task(opening)
        try:
            async with asyncio.timeout(limit_s):
                while (command := await self._first(task)) is not None:
                    if not isinstance(command, Steer):
                        return command
                    self._steers.append(command.text)
            task.result()
            return None
        except TimeoutError:
            raise TurnFailed(NOT_STARTED, f"The agent gave no session within {limit_s:g} s.") from None
        finally:
            task.cancel()

    def _watch(self) -> None:
        """Tell of an agent that says nothing and waits for no answer of the model."""
        left = self._silence_left()
        if left > 0:
            self._timer = asyncio.get_running_loop().call_later(left, self._watch)
        else:
            self.commands.put_nowait(Hang(self.job.silence_s))

    def _silence_left(self) -> float:
        now, heard = time.monotonic(), self.events.alive_at
        if self.forwarder is not None:
            heard = now if self.forwarder.waiting else max(heard, self.forwarder.moved_at)
        return heard + self.job.silence_s - now

    def _use(self, ended: Ended) -> None:
        if ended.usage:
            self.events.note("usage", **ended.usage)

    def _stopped(self, command: Command) -> int:
        if isinstance(command, Hang):
            message = f"The agent said nothing for {command.silent_s:g} s, and waited for no answer of the model."
            self.events.end("failed", reason=HUNG, message=message)
            return FAILED
        reason = command.reason if isinstance(command, Cancel) else ""
        self.events.end("stopped", reason=reason)
        return STOPPED_BY_SIGNAL if reason == "signal" else DONE

    def _ended(self, ended: Ended) -> int:
        if ended.reason is None and not ended.interrupted:
            self.events.end("completed", stop_reason=ended.stop_reason)
            return DONE
        message = bounded(ended.message or "The agent stopped without being asked to.", _MAX_MESSAGE)
        self.events.end("failed", reason=ended.reason or "agent_error", message=message)
        return FAILED


async def drive(begun: Started) -> int:
    """Run the turn to its end, with everything around it."""
    job = begun.job
    forwarder = Forwarder(job.model_socket, job.model_port, begun.listener) if job.model_socket else None
    turn = Turn(begun, Events(secret=begun.token), forwarder)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, turn.commands.put_nowait, Cancel("signal"))
    if begun.signalled:
        turn.commands.put_nowait(Cancel("signal"))
    with ExitStack() as opened:
        if forwarder is not None:
            await forwarder.open()
            opened.callback(forwarder.close)
        if job.control:
            control = ControlDirectory(Path(job.control), turn.commands.put_nowait)
            opened.callback(control.close)
            control.open()
        return await turn.run()


def run(begun: Started) -> int:
    """The exit code of a turn that has begun."""
    return asyncio.run(drive(begun))
