"""The `docker` program as a port to an engine: run, stopped when its caller is cancelled, errors told apart.

Standard library only: it also runs on servers.
"""

import asyncio
import contextlib
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from contracts.errors import ErrorClass, ErrorCode, OrchestratorError, end_of

_UNREACHABLE = ("Cannot connect to the Docker daemon", "error during connect", "docker.sock: connect", "EOF")
_ABSENT = ("No such", "not found")
_CUT_OFF = ("Cannot connect to the Docker daemon", "error during connect", "unexpected EOF", "failed to receive status")
_CHUNK = 64 * 1024


@dataclass(frozen=True)
class Reply:
    """What a program answered."""

    code: int
    output: bytes
    error: str

    @property
    def text(self) -> str:
        return self.output.decode(errors="replace").strip()

    @property
    def absent(self) -> bool:
        """Whether the engine does not know what was asked for."""
        return self.code != 0 and any(word in self.error for word in _ABSENT)

    @property
    def cut_off(self) -> bool:
        """Whether the last line of `docker` says that it has lost the engine; lines before it may be from a build."""
        last = self.error.strip().rpartition("\n")[2]
        return self.code != 0 and last.removeprefix("ERROR: ").startswith(_CUT_OFF)


async def run_program(
    argv: Sequence[str], *, stdin: bytes | Path | None = None, timeout_s: float = 60.0, keep: int | None = None
) -> Reply:
    """Run a program to its end. `stdin` is its input, or a file with it. `keep` is how many bytes of the end of each
    stream to keep, for a program that may write without end; None keeps all.

    Raises OrchestratorError PROCESS_FAILED (transient) after `timeout_s` seconds; a program whose caller is
    cancelled or gives up is killed.
    """
    file = os.open(stdin, os.O_RDONLY) if isinstance(stdin, Path) else None
    nothing = asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(
            *argv,
            stdin=nothing if file is None else file,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
    except FileNotFoundError:
        raise OrchestratorError(
            ErrorCode.PROCESS_FAILED,
            f"The program {argv[0]} is not installed on this machine. Install it and try again.",
        ) from None
    finally:
        if file is not None:
            os.close(file)
    try:
        async with asyncio.timeout(timeout_s):
            if keep is None:
                output, error = await process.communicate(stdin if isinstance(stdin, bytes) else None)
            else:
                assert not isinstance(stdin, bytes), "only a file is read beside that"
                output, error = await asyncio.gather(_end(process.stdout, keep), _end(process.stderr, keep))
                await process.wait()
    except TimeoutError:
        raise OrchestratorError(
            ErrorCode.PROCESS_FAILED,
            f"{' '.join(argv[:2])} took longer than {timeout_s:g} s.",
            error_class=ErrorClass.TRANSIENT,
        ) from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            if process.returncode is None:
                process.kill()
    return Reply(process.returncode or 0, output, error.decode(errors="replace"))


async def _end(stream: asyncio.StreamReader | None, keep: int) -> bytes:
    """The last `keep` bytes of a stream."""
    kept = bytearray()
    while stream is not None and (chunk := await stream.read(_CHUNK)):
        kept += chunk
        del kept[:-keep]
    return bytes(kept)


async def try_run(*arguments: str, stdin: bytes | Path | None = None, timeout_s: float = 60.0) -> Reply:
    """`docker <arguments>`, whatever it answers. Raises DOCKER_UNREACHABLE (transient) without an engine."""
    reply = await run_program([program(), *arguments], stdin=stdin, timeout_s=timeout_s)
    if reply.code != 0 and any(word in reply.error for word in _UNREACHABLE):
        raise unreachable(reply)
    return reply


async def run(*arguments: str, stdin: bytes | Path | None = None, timeout_s: float = 60.0) -> str:
    """`docker <arguments>`; its output. Raises PROCESS_FAILED with what the engine said."""
    reply = await try_run(*arguments, stdin=stdin, timeout_s=timeout_s)
    if reply.code != 0:
        said = end_of((reply.error or reply.text).strip(), 1_500)
        raise OrchestratorError(ErrorCode.PROCESS_FAILED, f"docker {arguments[0]} failed: {said}")
    return reply.text


def unreachable(reply: Reply) -> OrchestratorError:
    """The error for a command that could not reach the engine, or lost the connection to it."""
    return OrchestratorError(
        ErrorCode.DOCKER_UNREACHABLE,
        f"The Docker Engine cannot be reached: {end_of(reply.error.strip(), 500)}",
        error_class=ErrorClass.TRANSIENT,
    )


def program() -> str:
    return shutil.which("docker", path=os.environ.get("PATH", os.defpath)) or "docker"
