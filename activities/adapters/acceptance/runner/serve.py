"""`python -m acceptance_runner.serve JOB`: migrates and starts the services of a commit, keeps them until it is ended.

What a service prints is printed with its name. On the control port (`state`, `restart`) whoever checks learns how they
are, and has them started again. It stays when they end: that they have ended is what is asked.
"""

import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

_STOP_GRACE_S = 5.0
_MIGRATION_S = 240.0
_LINE = 64 * 1024


class Host:
    """The services of one commit."""

    def __init__(self, job: dict[str, Any]) -> None:
        self._job = job
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._state: dict[str, dict[str, Any]] = {one["name"]: {"ended": None} for one in job["services"]}
        self._printing: set[asyncio.Task[None]] = set()
        self._changing = asyncio.Lock()

    async def start(self) -> None:
        """Migrate in order, then start all; a service whose migration fails is not started."""
        Path(self._job["data"]).mkdir(parents=True, exist_ok=True)
        for service in self._job["services"]:
            code = await self._migrate(service) if service["migrate"] else 0
            self._state[service["name"]] = {"ended": code or None, "migrating": bool(code)}
        for service in self._job["services"]:
            if self._state[service["name"]]["ended"] is None:
                await self._launch(service)

    async def restart(self) -> None:
        async with self._changing:
            await self.stop()
            await self.start()

    async def stop(self) -> None:
        running, self._running = self._running, {}
        for process in running.values():
            _signal(process, signal.SIGTERM)
        for process in running.values():
            try:
                async with asyncio.timeout(_STOP_GRACE_S):
                    await process.wait()
            except TimeoutError:
                _signal(process, signal.SIGKILL)
                await process.wait()

    async def _migrate(self, service: dict[str, Any]) -> int:
        process = await self._spawn(service, service["migrate"], "migration")
        try:
            async with asyncio.timeout(_MIGRATION_S):
                return await process.wait()
        except TimeoutError:
            _signal(process, signal.SIGKILL)
            return await process.wait() or 1

    async def _launch(self, service: dict[str, Any]) -> None:
        name = service["name"]
        process = self._running[name] = await self._spawn(service, service["command"], "live")
        self._keep(asyncio.create_task(self._watch(name, process)))

    async def _watch(self, name: str, process: asyncio.subprocess.Process) -> None:
        code = await process.wait()
        if self._running.get(name) is process:
            self._state[name] = {"ended": code}
            _say(f"[{name}] ended with exit code {code}")

    async def _spawn(self, service: dict[str, Any], argv: list[str], phase: str) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *_runnable(argv, service["environment"]),
            cwd=self._job["project"],
            env={**service["environment"], "RELEASE_PHASE": phase},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            stdin=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        assert process.stdout is not None, "it was asked for"
        self._keep(asyncio.create_task(_print(service["name"], process.stdout)))
        return process

    def _keep(self, task: "asyncio.Task[None]") -> None:
        self._printing.add(task)
        task.add_done_callback(self._printing.discard)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One question and its answer."""
        with contextlib.closing(writer):
            word = (await reader.readline()).decode(errors="replace").strip()
            if word == "restart":
                await self.restart()
            writer.write(json.dumps(self._state).encode() + b"\n")
            with contextlib.suppress(ConnectionError):
                await writer.drain()


def _runnable(argv: list[str], environment: dict[str, str]) -> list[str]:
    """A program that cannot be had ends like one that failed, and says so."""
    return ["/bin/sh", "-c", 'exec "$@"', "sh", *argv]


async def _print(name: str, stream: asyncio.StreamReader) -> None:
    """Line by line: what is cut in the middle could be half of a secret."""
    rest = b""
    while chunk := await stream.read(_LINE):
        *lines, rest = (rest + chunk).split(b"\n")
        if len(rest) > _LINE:
            lines, rest = [*lines, rest], b""
        for line in lines:
            _say(f"[{name}] {line.decode(errors='replace')}")
    if rest:
        _say(f"[{name}] {rest.decode(errors='replace')}")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _signal(process: asyncio.subprocess.Process, number: int) -> None:
    """To all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


async def main(job: dict[str, Any]) -> None:
    host, ended = Host(job), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    server = await asyncio.start_server(host.serve, "127.0.0.1", job["control"])
    starting = asyncio.create_task(host.restart())
    async with server:
        await ended.wait()
    starting.cancel()
    await host.stop()


if __name__ == "__main__":
    asyncio.run(main(json.loads(Path(sys.argv[1]).read_text())))
