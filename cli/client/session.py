"""One command's way to the platform: its HTTP API, on the platform's own host as everywhere else."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from cli.terminal.output import Output
from contracts.errors import ErrorCode, OrchestratorError
from contracts.states import ActorVia
from runtime.access_client import AccessApi

if TYPE_CHECKING:
    from runtime.settings import Settings

Result = TypeVar("Result")
_REQUEST_S = 25.0
"""The API gives a workflow twenty seconds to take an answer or a deploy in."""
_RETRY_FOR_S = 2.0
_FIRST_ANSWER_S = 1.0
_HEALTH_S = 2.5
"""With the answer before it and the start of this program, a person is told within five seconds."""


def run(work: Callable[[AccessApi, Output], Awaitable[Result]], *, as_json: bool) -> Result:
    """Run `work` against the API; Ctrl-C ends it as KeyboardInterrupt."""
    out = Output(as_json=as_json)
    return asyncio.run(connected(lambda api: work(api, out)))


async def connected(work: Callable[[AccessApi], Awaitable[Result]], settings: Settings | None = None) -> Result:
    """The result of `work` with the API named in the environment; otherwise, or with `settings`, with the API of the
    home.

    Raises API_UNREACHABLE within five seconds of the program's start if there is no answer.
    """
    async with _open_api(settings) as api:
        return await _unless_silent(api, work(api))


def _open_api(settings: Settings | None) -> AccessApi:
    """Open the API with the token of the environment, or with the operator's key."""
    url, token = _named_by_environment() if settings is None else ("", "")
    if not url:
        # Slow to import, and an agent worker has no home.
        from cli.client.home import admin_key, effective_settings

        settings = settings or effective_settings()
        url, token = settings.api_url, admin_key(settings)
    return AccessApi(url, token, attempts=3, timeout_s=_REQUEST_S, retry_for_s=_RETRY_FOR_S, via=ActorVia.CLI)


def _named_by_environment() -> tuple[str, str]:
    url, token = os.environ.get("ORCHESTRATOR_API_URL", ""), os.environ.get("ORCHESTRATOR_TOKEN", "")
    if url and not token:
        raise OrchestratorError(
            ErrorCode.NOT_AUTHENTICATED, "ORCHESTRATOR_API_URL is set; set ORCHESTRATOR_TOKEN as well."
        )
    return url, token


async def _unless_silent(api: AccessApi, work: Awaitable[Result]) -> Result:
    """The result of `work`, however long it takes; API_UNREACHABLE if the API does not even answer its health check."""
    working = asyncio.ensure_future(work)
    await asyncio.wait([working], timeout=_FIRST_ANSWER_S)
    if not working.done() and not api.has_answered:
        async with AccessApi(api.base_url, "", attempts=1, timeout_s=_HEALTH_S) as other:
            try:
                await other.health()
            except OrchestratorError:
                if not api.has_answered:
                    working.cancel()
                    raise
    return await working
