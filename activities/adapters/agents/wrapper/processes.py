"""The agent's program: started in a group of its own, its error output kept, ended with everything it started."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio import subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .lines import Lines

_TAIL_LINES, _TAIL_CHARACTERS = 40, 4_000
_GRACE_S = 3.0


@dataclass
class AgentProcess:
    """`lines` are those of its standard output."""

    process: subprocess.Process
    lines: Lines
    _errors: deque[str] = field(default_factory=lambda: deque(maxlen=_TAIL_LINES))
    _reading: asyncio.Task[None] | None = None

    @classmethod
    async def start(cls, argv: Sequence[str], environment: Mapping[str, str], workspace: str) -> AgentProcess:
        """Raises OSError for a program that cannot be started."""
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=dict(environment),
            cwd=workspace,
            start_new_session=True,
        )
        assert process.stdout is not None, "asked for above"
        assert process.stderr is not None, "asked for above"
        started = cls(process, Lines(process.stdout))
        started._reading = asyncio.create_task(started._read_errors(Lines(process.stderr, 64 * 1024)))
        return started

    async def _read_errors(self, lines: Lines) -> None:
        while (line := await lines.next()) is not None:
            self._errors.append(line[:1_000].decode(errors="replace"))

    @property
    def said_last(self) -> str:
        """The end of its error output."""
        return "\n".join(self._errors)[-_TAIL_CHARACTERS:]

    async def send(self, content: bytes, *, last: bool = False) -> None:
        """Write to its standard input. Raises ConnectionError if it no longer reads."""
        assert self.process.stdin is not None, "asked for at the start"
        self.process.stdin.write(content)
        await self.process.stdin.drain()
        if last:
            self.process.stdin.close()

    def interrupt(self) -> None:
        self._signal(signal.SIGINT)

    async def wait(self) -> int:
        """The exit code, negative for a signal; its error output has been read then, unless others still have it."""
        code = await self.process.wait()
        if self._reading is not None:
            await asyncio.wait({self._reading}, timeout=0.5)
        return code

    async def end(self, grace_s: float = _GRACE_S) -> int:
        """End it and what it started in its group: TERM, and KILL after `grace_s`; the exit code."""
        self._signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(grace_s):
                await self.process.wait()
        except TimeoutError:
            pass  # it is made to, now
        self._signal(signal.SIGKILL)
        code = await self.process.wait()
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait({self._reading})
        return code

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            return  # all of the group have ended
