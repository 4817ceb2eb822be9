"""Keeps the parts running: one that ends is started again, with growing pauses; a signal stops all in order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator

from cli.client.home import effective_settings
from cli.host.health import wait_healthy
from cli.host.log_files import rotate_all
from cli.host.parts import (
    STOP_ORDER,
    SUPERVISOR,
    WORKERS,
    Parts,
    bot_environment,
    child_environment,
    environment,
    model_environment,
)
from cli.host.processes import Command, Record, ended
from cli.host.spare import Spare
from cli.host.status import summary_line
from cli.terminal.exits import ExitCode
from cli.terminal.output import Output
from contracts.errors import OrchestratorError
from runtime.beat import HUNG_S, until_hung

_SECOND_PAUSE_S = 1.0
"""What had worked for a while is started again at once, and what then does not after growing pauses."""
_LONGEST_PAUSE_S = 30.0
_STEADY_S = 20.0
"""A part that lived this long starts again with the shortest pause: an accident, not a crash at every start."""
_LOOK_S = 5.0
_ROTATE_S = 60.0


def stop_request() -> asyncio.Event:
    """Set by SIGINT, SIGTERM and SIGHUP, from now on. Ask for it before the supervisor's record invites a signal."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stopping.set)
    return stopping


async def stay(parts: Parts, out: Output, stopping: asyncio.Event) -> ExitCode:
    """Watch until `stopping`, then stop the parts in order. The caller holds the supervisor's record."""
    watchers = [asyncio.create_task(_keep(parts, name, out)) for name in parts.names]
    watchers.append(asyncio.create_task(_keep_later_ones(parts, set(parts.names), out)))
    watchers.append(asyncio.create_task(_keep_logs_short(parts, out)))
    if not out.as_json and out.console.is_terminal:
        watchers.append(asyncio.create_task(_status_line(parts, out)))
    await stopping.wait()
    for watcher in watchers:
        watcher.cancel()
    await asyncio.gather(*watchers, return_exceptions=True)
    await _stop_all(parts, out)
    return ExitCode.OK


def start_in_background(parts: Parts) -> None:
    """Start a small process without a terminal that does the same as a foreground `up`."""
    command = Command(
        argv=[sys.executable, "-m", "cli.host.supervision"],
        env=environment({**child_environment(parts.settings), **bot_environment(), **model_environment()}),
        cwd=parts.module("cli").cwd,
        grace_s=90.0,
    )
    parts.book.start(SUPERVISOR, command)


async def _keep(parts: Parts, name: str, out: Output) -> None:
    """Start the part again whenever it ends."""
    spare = Spare(parts.book, name, parts.spare_workers) if name == WORKERS and parts.settings.spare_workers else None
    try:
        await _start_whenever_it_ends(parts, name, out, spare)
    finally:
        if spare is not None:
            spare.dismiss()


async def _keep_later_ones(parts: Parts, kept: set[str], out: Output) -> None:
    """Parts that a later `up` starts: the model proxy, once there is a key in the vault."""
    async with asyncio.TaskGroup() as group:
        while True:
            for name in set(parts.names) - kept:
                # Only what runs already: whoever starts it now waits for it, too.
                if parts.book.record(name) is not None:
                    kept.add(name)
                    group.create_task(_keep(parts, name, out))
            await asyncio.sleep(_LOOK_S)


async def _start_whenever_it_ends(parts: Parts, name: str, out: Output, spare: Spare | None) -> None:
    loop = asyncio.get_running_loop()
    pause = 0.0
    while True:
        since = loop.time()
        if (record := parts.book.record(name)) is not None:
            async with _prepared(spare, out):
                await _ended_or_hung(parts, name, record, out)
        if loop.time() - since > _STEADY_S:
            pause = 0.0
        when = f"in {pause:g} s" if pause else "now"
        out.say(f"{name} has stopped; starting it again {when}. Its log: {parts.book.log_file(name)}")
        await asyncio.sleep(pause)
        pause = min(_LONGEST_PAUSE_S, max(_SECOND_PAUSE_S, pause * 2))
        try:
            await _start_again(parts, name, spare)
        except (OrchestratorError, OSError) as error:
            out.say(f"{name} could not be started: {error}")
        else:
            out.say(f"{name} is running again.")


async def _keep_logs_short(parts: Parts, out: Output) -> None:
    while True:
        try:
            full = await asyncio.to_thread(rotate_all, parts.settings.logs_dir)
        except OSError as error:
            full = []
            out.say(f"The logs cannot be rotated: {error}")
        for name in full:
            out.say(f"{name} was full and begins anew; what it held is in {name}.1")
        await asyncio.sleep(_ROTATE_S)


async def _ended_or_hung(parts: Parts, name: str, record: Record, out: Output) -> None:
    """Wait until the process is gone. Temporal workers that stop to beat (stuck, or stopped by a signal) are ended."""
    if name != WORKERS:
        await ended(record)
        return
    gone = asyncio.create_task(ended(record))
    hung = asyncio.create_task(until_hung(parts.ready_file))
    try:
        await asyncio.wait([gone, hung], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for watcher in (gone, hung):
            watcher.cancel()
        await asyncio.gather(gone, hung, return_exceptions=True)
    if parts.book.record(name) == record:
        out.say(f"{name} hangs: no sign of life for {HUNG_S:g} s. It is ended; its steps go on in the next one.")
        await parts.book.kill(name)


@contextlib.asynccontextmanager
async def _prepared(spare: Spare | None, out: Output) -> AsyncIterator[None]:
    """Meanwhile a spare process gets ready, where there is to be one."""
    if spare is None:
        yield
        return
    preparing = asyncio.create_task(spare.prepare())
    try:
        yield
    finally:
        preparing.cancel()
        for failed in await asyncio.gather(preparing, return_exceptions=True):
            if isinstance(failed, Exception):
                out.say(f"No spare process could be started: {failed}")


async def _start_again(parts: Parts, name: str, spare: Spare | None) -> None:
    if parts.book.record(name) is None:
        parts.check_ports(name)
        command = await asyncio.to_thread(parts.command, name)
        if spare is None or not spare.begin():
            parts.book.start(name, command)
    await wait_healthy(parts, name, 60.0)


async def _stop_all(parts: Parts, out: Output) -> None:
    for name in STOP_ORDER:
        if (pid := await parts.book.stop(name)) is not None:
            out.say(f"Stopped {name} (pid {pid}).")
    parts.ready_file.unlink(missing_ok=True)
    record = parts.book.record(SUPERVISOR)
    if record is not None and record.pid == os.getpid():
        parts.book.forget(SUPERVISOR)
    out.say("Everything has stopped. Deployed services keep running.")


async def _status_line(parts: Parts, out: Output) -> None:
    """One live line: the parts and the work in progress."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    with out.console.status("running") as line:
        while True:
            minutes, seconds = divmod(int(loop.time() - began), 60)
            line.update(f"{minutes}:{seconds:02d}  {await summary_line(parts)}")
            await asyncio.sleep(_LOOK_S)


def main() -> None:
    """Entry point of the background supervisor."""

    async def stay_here() -> ExitCode:
        stopping = stop_request()
        return await stay(Parts(effective_settings()), Output(as_json=False), stopping)

    code = asyncio.run(stay_here())
    sys.stdout.flush()
    # temporalio was used for health checks; the interpreter's tear-down may crash after it.
    os._exit(code)


if __name__ == "__main__":
    main()
