"""The image that containers start from, got once by `up` where a Docker Engine answers."""

from __future__ import annotations

import asyncio
import os
import shutil
from pathlib import Path

import infra
from cli.host.parts import Parts
from cli.terminal.output import Output

BASE_IMAGE = "debian:bookworm-slim"
_SERVER = ("--format", "{{.Server.Version}}")
_ANSWER_S = 5.0
_GET_S = 600.0


async def get_base_image(parts: Parts, out: Output) -> None:
    """Pull or make the base image when it is missing. Without it work runs in processes, which is not a failure.

    Nothing is asked for with ORCHESTRATOR_RUNTIME=process, or where no engine answers.
    """
    if parts.settings.runtime == "process" or not await _is_missing():
        return
    out.say(f"   downloading {BASE_IMAGE}, the image that containers start from (only once, up to a minute)")
    log = parts.book.log_file("images")
    with log.open("ab") as file:
        code = await _run(["bash", str(_script())], file.fileno(), _GET_S)
    if code != 0:
        lines = log.read_text(errors="replace").strip().splitlines()
        out.say(f"   not available, so no containers are used: {lines[-1] if lines else code} (log: {log})")


async def engine_answers() -> bool:
    program = shutil.which("docker")
    return program is not None and await _run([program, "version", *_SERVER], None, _ANSWER_S) == 0


async def _is_missing() -> bool:
    """Whether an engine answers and does not have the image."""
    return await engine_answers() and await _run(["docker", "image", "inspect", BASE_IMAGE], None, _ANSWER_S) != 0


async def _run(argv: list[str], output: int | None, timeout_s: float) -> int:
    """The exit code; 124 for what takes longer than `timeout_s` seconds and was ended."""
    target = asyncio.subprocess.DEVNULL if output is None else output
    # Keys for models are for the model proxy alone.
    known = {name: value for name, value in os.environ.items() if "_API_KEY" not in name.upper()}
    process = await asyncio.create_subprocess_exec(
        *argv, stdin=asyncio.subprocess.DEVNULL, stdout=target, stderr=target, env=known
    )
    try:
        async with asyncio.timeout(timeout_s):
            return await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
        return 124


def _script() -> Path:
    return Path(infra.__file__).resolve().parent / "docker" / "ensure_base_image.sh"
