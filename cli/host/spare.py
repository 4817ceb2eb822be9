"""A second process of a part that has loaded everything and waits: a killed part is back sooner."""

from __future__ import annotations

import asyncio
import contextlib
import subprocess

from cli.host.processes import Command, ProcessBook

_AFTER_S = 10.0
"""Loading takes seconds of a core: a part that has just been started has better uses for it."""


class Spare:
    """It has no record, and ends with us or when it is dismissed: it reads a pipe that only we hold."""

    def __init__(self, book: ProcessBook, name: str, command: Command, after_s: float = _AFTER_S) -> None:
        self._book = book
        self._name = name
        self._command = command
        self._after_s = after_s
        self._process: subprocess.Popen[bytes] | None = None

    async def prepare(self) -> None:
        """Start the process, unless it is there."""
        await asyncio.sleep(self._after_s)
        if self._process is None or self._process.poll() is not None:
            self.dismiss()
            self._process = await asyncio.to_thread(self._book.launch, self._name, self._command, held=True)

    def begin(self) -> bool:
        """Let it work, under the name of its part. False when there is none: then start the part as usual."""
        process, self._process = self._process, None
        if process is None or process.stdin is None:
            return False
        try:
            process.stdin.write(b"begin\n")
            process.stdin.close()
        except OSError:
            process.kill()
            process.wait()
            return False
        self._book.write(self._name, process.pid, self._command)
        return True

    def dismiss(self) -> None:
        """End it. May be repeated."""
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            with contextlib.suppress(OSError):
                process.stdin.close()
            # It holds nothing yet; the end of its input would end it as well, once it has loaded everything.
            process.kill()
            process.wait()
