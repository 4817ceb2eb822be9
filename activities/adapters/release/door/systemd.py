"""The systemd of a server. Standard library only: servers import it."""

import asyncio
from pathlib import Path

from contracts.errors import ErrorCode, OrchestratorError

UNITS = Path("/etc/systemd/system")
_RUNNING = Path("/run/systemd/system")
"""Exists where systemd is the first process."""
_CALL_S = 60.0


def has_systemd() -> bool:
    return _RUNNING.is_dir()


async def write_unit(name: str, text: str) -> None:
    """The unit as it is to be from its next start on. Repeatable."""
    file = UNITS / name
    if not file.exists() or file.read_text() != text:
        # A draft of another name would be a unit, too.
        draft = file.with_name(f".{name}.draft")
        draft.write_text(text)
        draft.chmod(0o644)
        draft.replace(file)
        await systemctl("daemon-reload")


async def systemctl(*arguments: str) -> tuple[int, str]:
    """Its exit code, and what it said. Raises PROCESS_FAILED (transient) if it takes longer than a minute."""
    return await _run("systemctl", *arguments)


async def end_of_log(unit: str) -> str:
    return (await _run("journalctl", "--unit", unit, "--lines", "20", "--output", "cat", "--no-pager"))[1]


async def _run(*argv: str) -> tuple[int, str]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(*argv, stdin=asyncio.subprocess.DEVNULL, stdout=pipe, stderr=pipe)
    try:
        async with asyncio.timeout(_CALL_S):
            said, errors = await process.communicate()
    except TimeoutError:
        process.kill()
        reason = f"`{' '.join(argv)}` took longer than {_CALL_S:g} s on the server."
        raise OrchestratorError.transient(ErrorCode.PROCESS_FAILED, reason) from None
    return process.returncode or 0, (said + errors).decode(errors="replace").strip()
