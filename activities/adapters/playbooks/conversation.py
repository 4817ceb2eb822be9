"""Asks the release program, here or on a server: one order after the other over one connection."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from typing import Any

from activities.adapters.playbooks.detached import NO_CONNECTION, program_environment, reported, said_in
from activities.adapters.playbooks.release_kit import NOT_THERE
from activities.adapters.release.order import Order
from contracts.errors import ErrorCode, OrchestratorError, end_of

_STEP_S = 300.0
"""Outside of a deploy a step stops or starts what is there: it builds nothing."""
_MAX_LINE = 1024 * 1024


class KitMissing(Exception):
    """The server does not have this platform's release program."""


@dataclass(frozen=True)
class Conversation:
    """A conversation with one running program."""

    process: asyncio.subprocess.Process

    async def ask(self, order: Order) -> dict[str, Any]:
        """Raises the error that the program reports, KitMissing, SERVER_UNREACHABLE (transient) if the connection
        breaks, and PROCESS_FAILED (transient) if the program has ended or takes longer than five minutes."""
        answer = await self._answer(json.dumps(asdict(order)).encode() + b"\n")
        if answer.get("failed"):
            raise reported(answer)
        return answer

    async def _answer(self, given: bytes) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            async with asyncio.timeout(_STEP_S):
                with suppress(BrokenPipeError, ConnectionResetError):
                    self.process.stdin.write(given)
                    await self.process.stdin.drain()
                while line := await self.process.stdout.readline():
                    if "answer" in (said := said_in(line)):
                        answer: dict[str, Any] = said["answer"]
                        return answer
                raise await self._gone()
        except TimeoutError:
            reason = f"The release program took longer than {_STEP_S:g} s."
            raise OrchestratorError.transient(ErrorCode.PROCESS_FAILED, reason) from None

    async def _gone(self) -> Exception:
        assert self.process.stderr is not None
        error = (await self.process.stderr.read()).decode(errors="replace")
        code = await self.process.wait()
        if code == NOT_THERE:
            return KitMissing()
        if code == NO_CONNECTION:
            reason = f"The server cannot be reached: {end_of(error.strip(), 500)}"
            return OrchestratorError.transient(ErrorCode.SERVER_UNREACHABLE, reason)
        reason = f"The release program ended with {code}: {end_of(error.strip(), 1_000)}"
        return OrchestratorError.transient(ErrorCode.PROCESS_FAILED, reason)


@asynccontextmanager
async def conversation(argv: list[str]) -> AsyncIterator[Conversation]:
    """Keep the program running for as long as the block. If the block ends early, no process stays behind here."""
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *argv, stdin=pipe, stdout=pipe, stderr=pipe, env=program_environment(), limit=_MAX_LINE
    )
    try:
        yield Conversation(process)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
