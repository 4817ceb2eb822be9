"""The agent's program: started in a group of its own, its error output kept, ended with everything it started."""

from __future__ import annotations

import asyncio
import os
import signal
from asyncio import streams, subprocess
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .lines import Lines

_TAIL_LINES, _TAIL_CHARACTERS = 40, 4_000
_GRACE_S = 3.0
_REST_S = 1.0
"""After its end, so long for what it has printed last. What it has started may keep its output open for ever."""


@dataclass
class AgentProcess:
    """`lines` are those of its standard output; they end with the process, whoever else has its output still."""

    process: subprocess.Process
    lines: Lines
    _input: asyncio.StreamWriter
    _outputs: list[asyncio.ReadTransport]
    _errors: deque[str] = field(default_factory=lambda: deque(maxlen=_TAIL_LINES))
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    @classmethod
    async def start(cls, argv: Sequence[str], environment: Mapping[str, str], workspace: str) -> AgentProcess:
        """Raises OSError for a program that cannot be started."""
        # Pipes of our own: asyncio waits for the end of its own ones before it tells of the end of a process.
        (in_read, in_write), (out_read, out_write), (error_read, error_write) = os.pipe(), os.pipe(), os.pipe()
        try:
            process = await asyncio.create_subprocess_exec(
                *argv, stdin=in_read, stdout=out_write, stderr=error_write, env=dict(environment), cwd=workspace,
                start_new_session=True,
            )  # fmt: skip
        except OSError:
            for descriptor in (in_write, out_read, error_read):
                os.close(descriptor)
            raise
        finally:
            for descriptor in (in_read, out_write, error_write):
                os.close(descriptor)
        output, output_transport = await _reader(out_read)
        errors, errors_transport = await _reader(error_read)
        started = cls(process, Lines(output), await _writer(in_write), [output_transport, errors_transport])
        reading = asyncio.create_task(started._read_errors(Lines(errors, 64 * 1024)))
        started._tasks = [reading, asyncio.create_task(started._end_outputs())]
        return started

    async def _read_errors(self, lines: Lines) -> None:
        while (line := await lines.next()) is not None:
            self._errors.append(line[:1_000].decode(errors="replace"))

    async def _end_outputs(self) -> None:
        await self.process.wait()
        await asyncio.sleep(_REST_S)
        self._signal(signal.SIGKILL)
        for transport in self._outputs:
            transport.close()

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
        code = await self.process.wait()
        await asyncio.wait(self._tasks[:1], timeout=2 * _REST_S)
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
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        for transport in (*self._outputs, self._input.transport):
            transport.close()
        return code

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self.process.pid, number)
        except ProcessLookupError:
            return  # all of the group have ended


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
