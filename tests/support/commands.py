"""One command of the `orchestrator` program, from its arguments to what it printed and how it ended."""

import asyncio
import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.command_server import ROOT, command_server
from tests.support.patience import patience

_LASTING = frozenset({"up", "down", "demo"})
"""They start and end processes and obey signals: these are about the process itself."""
_SEEN_AT_START = ("OTEL_", "PYTHON")
"""Variables that a program, its libraries or its interpreter obey as they are imported."""


@dataclass(frozen=True)
class Said:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


async def run_command(*arguments: str, env: Mapping[str, str], stdin: str = "", timeout: float = 120) -> Said:
    """Run one command to its end, as cheaply as it allows; who runs longer than `timeout` allows for is killed."""
    if _LASTING.intersection(arguments[:1]) or any(name.startswith(_SEEN_AT_START) for name in env):
        return await run_process(*arguments, env=env, stdin=stdin, timeout=timeout)
    code, out, err = await command_server().run(arguments, env=env, stdin=stdin.encode(), timeout=patience(timeout))
    return Said(code, out.decode(), err.decode())


async def run_process(*arguments: str, env: Mapping[str, str], stdin: str = "", timeout: float = 120) -> Said:
    """The same with an interpreter of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "cli",
        *arguments,
        cwd=ROOT,
        env=env,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        async with asyncio.timeout(patience(timeout)):
            out, err = await process.communicate(stdin.encode())
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    return Said(process.returncode or 0, out.decode(), err.decode())
