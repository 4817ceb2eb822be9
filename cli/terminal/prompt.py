"""A prompt that waits for a line while other things go on, and can be taken back."""

from __future__ import annotations

import asyncio
import os
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager

from cli.terminal.output import clean


def can_ask() -> bool:
    """Whether a person sits there: what is typed arrives, and what is asked is seen."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stdout.isatty()


async def ask_line(prompt: str, *, hidden: bool = False) -> str | None:
    """A typed line without its end; None once the input has ended. Cancelling it takes the prompt back."""
    descriptor = sys.stdin.fileno()
    sys.stdout.write(clean(prompt))
    sys.stdout.flush()
    try:
        with _without_echo(descriptor, hidden=hidden):
            return await _line(descriptor)
    except asyncio.CancelledError:
        sys.stdout.write("\n")
        sys.stdout.flush()
        raise
    finally:
        if hidden:
            sys.stdout.write("\n")
            sys.stdout.flush()


async def _line(descriptor: int) -> str | None:
    """A terminal gives a line once it is complete."""
    loop = asyncio.get_running_loop()
    found = b""
    while not found.endswith(b"\n"):
        ready = asyncio.Event()
        loop.add_reader(descriptor, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(descriptor)
        part = os.read(descriptor, 65_536)
        if not part:
            return found.decode(errors="replace") or None
        found += part
    return found.partition(b"\n")[0].decode(errors="replace").removesuffix("\r")


@contextmanager
def _without_echo(descriptor: int, *, hidden: bool) -> Iterator[None]:
    if not hidden:
        yield
        return
    before = termios.tcgetattr(descriptor)
    quiet = [*before]
    quiet[3] &= ~termios.ECHO
    termios.tcsetattr(descriptor, termios.TCSAFLUSH, quiet)
    try:
        yield
    finally:
        termios.tcsetattr(descriptor, termios.TCSAFLUSH, before)
