"""Opens the platform for one command, and runs the command's coroutine."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from cli.output import Output
from contracts.errors import ErrorCode, OrchestratorError

if TYPE_CHECKING:
    from pathlib import Path

    from cli.platform import Platform
    from runtime.settings import Settings

Result = TypeVar("Result")
API_URL = "ORCHESTRATOR_API_URL"
TOKEN = "ORCHESTRATOR_TOKEN"


def run(work: Callable[[Platform, Output], Awaitable[Result]], *, as_json: bool) -> Result:
    """Run `work` against the platform; Ctrl-C ends it as KeyboardInterrupt."""

    async def with_platform() -> Result:
        async with open_platform() as platform:
            return await work(platform, Output(as_json=as_json))

    return asyncio.run(with_platform())


@asynccontextmanager
async def open_platform(settings: Settings | None = None) -> AsyncIterator[Platform]:
    """HTTP only when the environment names an API and a token, else the operator's way on this host."""
    from cli.platform import HttpPlatform, OperatorPlatform
    from runtime.api_client import ApiClient

    if settings is None and (url := os.environ.get(API_URL)):
        token = os.environ.get(TOKEN) or ""
        if not token:
            raise OrchestratorError(ErrorCode.NOT_AUTHENTICATED, f"{API_URL} is set; set {TOKEN} as well.")
        async with ApiClient(url, token, attempts=3) as api:
            yield HttpPlatform(api)
        return
    from cli.endpoints import effective_settings

    settings = settings or effective_settings()
    async with ApiClient(settings.api_url, admin_key(settings), attempts=3) as api:
        yield OperatorPlatform(api, settings)


def admin_key_file(settings: Settings) -> Path:
    """Where the bootstrap of the API leaves the administrator's key."""
    return settings.home / "keys" / "admin.key"


def admin_key(settings: Settings) -> str:
    """The administrator's key on the platform's host."""
    from runtime import private_files

    path = admin_key_file(settings)
    if not path.exists():
        raise OrchestratorError(
            ErrorCode.API_UNREACHABLE,
            f"There is no platform in {settings.home} yet. Start it with `orchestrator up`, "
            f"or set {API_URL} and {TOKEN} to reach one elsewhere.",
        )
    return private_files.read(path).strip()
