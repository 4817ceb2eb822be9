"""The agent's program: followed, its error output kept, ended with everything it started."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio import streams
from collections import deque
from dataclasses import dataclass, field

from .beginning.spawning import Spawned
from .lines import Lines

_TAIL_LINES, _TAIL_CHARACTERS = 40, 4_000
_GRACE_S = 3.0
_REST_S = 1.0
"""After its end, so long for what it has printed last. What it has started may keep its output open for ever."""


@dataclass
class AgentProcess:
    """`lines` are those of its standard output; they end with the process, whoever else has its output still."""

    spawned: Spawned
    lines: Lines
    _input: asyncio.StreamWriter
    _outputs: list[asyncio.ReadTransport]
    _exit: asyncio.Future[int]
    _errors: deque[str] = field(default_factory=lambda: deque(maxlen=_TAIL_LINES))
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @classmethod
    async def attach(cls, spawned: Spawned) -> AgentProcess:
        """Follow a process that was started a moment ago."""
        output, output_transport = await _reader(spawned.output)
        errors, errors_transport = await _reader(spawned.errors)
        writer = await _writer(spawned.input)
        started = cls(spawned, Lines(output), writer, [output_transport, errors_transport], _exit_of(spawned))
        reading = asyncio.create_task(started._read_errors(Lines(errors, 64 * 1024)))
        started._tasks = [reading, asyncio.create_task(started._end_outputs())]
        return started

    async def _read_errors(self, lines: Lines) -> None:
        while (line := await lines.next()) is not None:
            self._errors.append(line[:1_000].decode(errors="replace"))

    async def _end_outputs(self) -> None:
        await self._ended()
        await asyncio.sleep(_REST_S)
        self._signal(signal.SIGKILL)
        for transport in self._outputs:
            transport.close()

    async def _ended(self) -> int:
        return await asyncio.shield(self._exit)

    @property
    def said_last(self) -> str:
        """The end of its error output."""
        return "\n".join(self._errors)[-_TAIL_CHARACTERS:]

    async def send(self, content: bytes, *, last: bool = False) -> None:
        """Write to its standard input. Raises ConnectionError if it no longer reads."""
        self._input.write(content)
        await self._input.drain()
        if last:
            self._input.close()

    def interrupt(self) -> None:
        self._signal(signal.SIGINT)

    async def wait(self) -> int:
        """The exit code, negative for a signal; its error output has been read then."""
        code = await self._ended()
        await asyncio.wait(self._tasks[:1], timeout=2 * _REST_S)
        return code

    async def end(self, grace_s: float = _GRACE_S) -> int:
        """End it and what it started in its group: TERM, and KILL after `grace_s`; the exit code."""
        self._signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(grace_s):
                await self._ended()
        except TimeoutError:
            pass  # it is made to, now
        self._signal(signal.SIGKILL)
        code = await self._ended()
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        for transport in (*self._outputs, self._input.transport):
            transport.close()
        return code

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.spawned.pid, number)
        except ProcessLookupError:
            return  # all of the group have ended


def _exit_of(spawned: Spawned) -> asyncio.Future[int]:
    """Done with the exit code, negative for a signal, as soon as the process has ended."""
    loop, descriptor = asyncio.get_running_loop(), os.pidfd_open(spawned.pid)
    exited: asyncio.Future[int] = loop.create_future()

    def ended() -> None:
        loop.remove_reader(descriptor)
        os.close(descriptor)
        exited.set_result(spawned.exit_code())

    loop.add_reader(descriptor, ended)
    return exited


async def _reader(descriptor: int) -> tuple[asyncio.StreamReader, asyncio.ReadTransport]:
    reader = asyncio.StreamReader()
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(descriptor, "rb", 0)
    )
    return reader, transport


async def _writer(descriptor: int) -> asyncio.StreamWriter:
    loop = asyncio.get_running_loop()
    transport, protocol = await loop.connect_write_pipe(streams.FlowControlMixin, os.fdopen(descriptor, "wb", 0))
    return asyncio.StreamWriter(transport, protocol, None, loop)
